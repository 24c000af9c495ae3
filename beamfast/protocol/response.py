"""
The head of one HTTP response, as a client reads it during a handshake.

Standard: RFC 9112. Interim responses are passed over. The content is not
decoded: a handshake has none, and for CONNECT what follows is the tunnel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from beamfast.errors import ProtocolError
from beamfast.http import Headers, RawFields

_END: Final = b"\r\n\r\n"
_HEAD_LIMIT: Final = 32 * 1024


@dataclass(slots=True)
class ServerResponse:
    """
    What a server or proxy answered.

    Attributes:
        status: of the response.
        headers: its fields.
        http_version: ``"1.1"`` or ``"1.0"``.
        body: what came after the head of a refusal, as far as it was fed.
    """

    status: int
    headers: Headers
    http_version: str = "1.1"
    body: bytearray = field(default_factory=bytearray)


class ResponseReader:
    """Reads bytes until the head of the final response is complete."""

    def __init__(self) -> None:
        self._tail = b""
        self._size = 0
        self._is_complete = False
        self._raw: RawFields = []
        self._parser: HttpResponseParser | None = None

    def feed(self, data: bytes) -> tuple[ServerResponse, bytes] | None:
        """
        Read the next bytes.

        Returns:
            The response and what follows its head, None while it is incomplete.

        Raises:
            ProtocolError: this is no HTTP response, or its head is too large.
        """
        while data:
            # The end may have begun in the last read. An empty line in front of
            # the response looks like one too, and is not.
            seen = self._tail + data
            end = seen.find(_END)
            fed = len(data) if end < 0 else end + len(_END) - len(self._tail)
            self._tail = seen[: len(self._tail) + fed][1 - len(_END) :]
            parser = self._parse(data[:fed])
            data = data[fed:]
            if not self._is_complete:
                continue
            response = self._finish(parser)
            # 101 is final here; other interim responses are not (RFC 9110, 15.2).
            if response.status >= 200 or response.status == 101:
                return response, data
        return None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one field; called by httptools."""
        self._raw.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Note the end of the head; called by httptools."""
        self._is_complete = True

    def _parse(self, data: bytes) -> HttpResponseParser:
        parser = self._parser
        if parser is None:
            parser = self._parser = HttpResponseParser(self)
        self._size += len(data)
        if self._size > _HEAD_LIMIT:
            raise ProtocolError("HTTP response head too large")
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            # With a 101 llhttp stops at the end of the head, one way or another.
            if not self._is_complete:
                raise ProtocolError(f"Invalid HTTP response: {error}") from None
        return parser

    def _finish(self, parser: HttpResponseParser) -> ServerResponse:
        response = ServerResponse(
            parser.get_status_code(),
            Headers.from_raw(self._raw),
            parser.get_http_version(),
        )
        self._tail = b""
        self._raw = []
        self._is_complete = False
        # It refers back to this object.
        self._parser = None
        return response
