"""
The head of a request as a value, and a short way to it for most reads.

Standard: RFC 9112, section 3. Nearly every read of a server is one whole request
without content and nothing else; :class:`HeadReader` knows those, and leaves all
others to :class:`beamfast.protocol.http11.RequestParser`, by the same rules.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from beamfast._head import IDLE, HeadCollector
from beamfast.errors import RequestError
from beamfast.headers import Headers
from beamfast.http import Request
from beamfast.protocol.framing import check_framing
from beamfast.protocol.target import parse_target

_VERSIONS: Final = frozenset({"1.0", "1.1"})

#: What asks for more than an answer: content, an interim response, an upgrade.
_SPECIAL: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"expect", b"upgrade"}
)
_STAYS: Final = [b"keep-alive"]


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How much one request may take.

    Args:
        request_line: bytes of the first line; above it 414.
        head: bytes of request line, header fields and trailer fields; 431.
        fields: number of header and trailer fields; 431.
        max_body: bytes of content, None for no limit; 413.
    """

    request_line: int = 8 * 1024
    head: int = 32 * 1024
    fields: int = 100
    max_body: int | None = 8 * 1024 * 1024


def build_request(head: HeadCollector, version: str, max_body: int | None) -> Request:
    """
    Return the request with the head that was collected.

    Args:
        head: complete.
        version: as llhttp names it.
        max_body: greatest ``Content-Length``, None for any.

    Raises:
        RequestError: it is none that this server answers.
    """
    if version not in _VERSIONS:
        # llhttp calls a line without a version "0.9".
        status = 400 if version == "0.9" else 505
        raise RequestError(status, f"HTTP version {version} is not supported")
    method = head.method.decode()
    if method == "CONNECT":
        raise RequestError(501, "CONNECT is not implemented")
    text = head.target.decode("ascii")
    target = parse_target(method, text)
    check_framing(head.index, version, max_body)
    if target.authority is None:
        headers = Headers.from_raw(head.raw, head.index)
    else:
        # The absolute form overrides the field (RFC 9112, 3.2.2).
        raw = [pair for pair in head.raw if pair[0].lower() != b"host"]
        headers = Headers.from_raw([(b"Host", target.authority.encode("ascii")), *raw])
    return Request(
        method,
        text,
        url=target.url,
        path=target.path,
        query=target.query,
        headers=headers,
        http_version=version,
    )


class HeadReader(HeadCollector):
    """
    Reads what is one whole request without content, of a connection that stays.

    One reader serves all connections: it keeps nothing between two reads.

    Args:
        limits: of the head.
    """

    __slots__ = ("_limits",)

    def __new__(cls, limits: Limits) -> Self:
        """Make a reader."""
        reader = super().__new__(cls, limits.request_line, limits.head, limits.fields)
        reader._limits = limits
        return reader

    def __init__(self, limits: Limits) -> None:
        self._limits: Limits

    def on_excess(self, status: int) -> None:
        """Leave it to the parser to say so."""
        raise RequestError(status, "")

    def read(self, data: bytes) -> Request | None:
        """Return the request that ``data`` is; None when a parser has to see it."""
        if not data.endswith(b"\r\n\r\n"):
            return None
        llhttp = self.llhttp
        if llhttp is None:
            llhttp = self.llhttp = HttpRequestParser(self)
        self.complete = 0
        try:
            llhttp.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.llhttp = None
            return None
        index = self.index
        # HTTP/1.1 connections stay open unless one says otherwise (RFC 9112, 9.3).
        if (
            self.complete == 1
            and self.part == IDLE
            and _SPECIAL.isdisjoint(index)
            and index.get(b"connection", _STAYS) == _STAYS
            and llhttp.get_http_version() == "1.1"
        ):
            with suppress(RequestError):
                return build_request(self, "1.1", self._limits.max_body)
        self.llhttp = None
        return None
