"""
The head of a request as a value, and a short way to it for most reads.

Standard: RFC 9112, section 3. Nearly every read of a server is one whole request
without content and nothing else; :func:`head_scanner` makes what knows those. All
others are for :class:`beamfast.protocol.http11.RequestParser`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from beamfast._head import HeadCollector
from beamfast._scan import HeadScanner
from beamfast.errors import RequestError
from beamfast.headers import Headers
from beamfast.http import Request
from beamfast.protocol.framing import check_framing, is_host
from beamfast.protocol.target import parse_target, split_path

_VERSIONS: Final = frozenset({"1.0", "1.1"})


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


def head_scanner(limits: Limits) -> HeadScanner[Request]:
    """Return what reads plain requests as :func:`build_request` would."""
    return HeadScanner(
        *(Request("GET", "/", url="/", path="/"), Headers, _split_path, is_host),
        *(limits.request_line, limits.head, limits.fields),
    )


def _split_path(target: str) -> tuple[str, str, str] | None:
    """Return url, path and query; None when the parser has to say what is wrong."""
    with suppress(RequestError):
        return split_path(target)
    return None
