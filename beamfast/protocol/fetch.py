"""
One HTTP request and its response without I/O, for clients.

Standard: RFC 9112. The content is given as it comes, which may be for ever; one
connection serves one request. Content codings are not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from beamfast._intake import Outbox
from beamfast.errors import CloseCode
from beamfast.http import Headers, RawFields
from beamfast.protocol.driver import State
from beamfast.protocol.events import Failed
from beamfast.protocol.response import ServerResponse
from beamfast.protocol.url import parse_websocket_url

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Bytes of the head of a response.
HEAD_LIMIT: Final = 32 * 1024

_OWNED: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})


class FetchDriver(Outbox):
    """
    One request.

    Args:
        method: of the request, in upper case.
        url: ``http``, ``https``, ``ws`` or ``wss``; user information is sent.
        headers: further fields.
        body: content; None for none.

    Attributes:
        state: CONNECTING before the head of the response, OPEN while its content
            comes, CLOSED at the end.
        response: status and fields, None until then.
        is_complete: the whole content has come.

    Raises:
        ValueError: the URL or a field is invalid.
    """

    __slots__ = (
        "_body",
        "_content",
        "_fields",
        "_is_until_eof",
        "_method",
        "_parser",
        "_raw",
        "_size",
        "_url",
        "is_complete",
        "response",
        "state",
    )

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> None:
        super().__init__()
        self._method = method
        self._url = parse_websocket_url(url)
        self._fields = Headers(headers)
        for name, _ in self._fields:
            if name.lower() in _OWNED:
                raise ValueError(f"{name} belongs to the connection")
        if self._url.authorization and "authorization" not in self._fields:
            self._fields.add("Authorization", self._url.authorization)
        self._body = body
        self._content = bytearray()
        self._raw: RawFields = []
        self._size = 0
        self._is_until_eof = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self.state: State = State.CONNECTING
        self.response: ServerResponse | None = None
        self.is_complete: bool = False

    def start(self) -> None:
        """Write the request."""
        fields = Headers([("Host", self._url.host_field), ("Connection", "close")])
        for field in self._fields:
            fields.add(*field)
        if self._body is not None:
            fields.add("Content-Length", str(len(self._body)))
        line = f"{self._method} {self._url.resource} HTTP/1.1\r\n".encode()
        self._put(line + fields.lines + b"\r\n" + (self._body or b""))

    def receive_data(self, data: Buffer) -> None:
        """Read the next bytes."""
        parser = self._parser
        if parser is None:
            return
        if self.response is None:
            self._size += len(memoryview(data))
        try:
            parser.feed_data(memoryview(data))
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(f"Invalid HTTP response: {error}")
        if self.response is None and self._size > HEAD_LIMIT:
            self._fail("HTTP response head too large")

    def receive_eof(self) -> None:
        """Note that TCP ended, which ends a content of unknown length."""
        if self.state is State.CLOSED:
            return
        if self.state is State.OPEN and self._is_until_eof:
            self._finish()
        else:
            self._fail("The connection ended early")

    def take_content(self) -> bytes:
        """Return what has come of the content since the last call."""
        content, self._content = bytes(self._content), bytearray()
        return content

    def _fail(self, why: str) -> None:
        if self.state is not State.CLOSED:
            self._emit(Failed(why, CloseCode.ABNORMAL_CLOSURE))
        self._end()

    def _finish(self) -> None:
        self.is_complete = True
        self._end()

    def _end(self) -> None:
        self.state = State.CLOSED
        # It refers back to this object.
        self._parser = None

    # The parser's side.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one field; called by httptools."""
        self._raw.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Note the head of the final response; called by httptools."""
        parser = self._parser
        assert parser is not None
        status, raw = parser.get_status_code(), self._raw
        self._raw = []
        if status < 200:
            return  # interim (RFC 9110, 15.2)
        headers = Headers.from_raw(raw)
        self.response = ServerResponse(status, headers, parser.get_http_version())
        is_chunked = "chunked" in headers.tokens("transfer-encoding")
        self._is_until_eof = not (is_chunked or "content-length" in headers)
        self.state = State.OPEN
        if self._method == "HEAD" or status in (204, 304):
            self._finish()

    def on_body(self, data: bytes) -> None:
        """Collect content; called by httptools."""
        self._content += data

    def on_message_complete(self) -> None:
        """Note the end of the content; called by httptools."""
        if self.response is not None and self.state is State.OPEN:
            self._finish()
