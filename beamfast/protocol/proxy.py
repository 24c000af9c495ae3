"""
The dialogue of a client with an HTTP proxy, before the one with the server.

Standard: RFC 9110, section 9.3.6 (CONNECT). No I/O: when the tunnel is up, the
same bytes go to the next driver, through TLS if the URL asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from beamfast._intake import Outbox
from beamfast.errors import CloseCode, ProtocolError
from beamfast.http import Headers
from beamfast.protocol.driver import State
from beamfast.protocol.events import Closed, Failed, Opened
from beamfast.protocol.response import ResponseReader, ServerResponse
from beamfast.protocol.url import parse_proxy_url, parse_websocket_url

if TYPE_CHECKING:
    from typing_extensions import Buffer

_OWNED: Final = frozenset({"host", "connection", "proxy-connection"})


class ProxyDriver(Outbox):
    """
    One CONNECT.

    Args:
        url: of the WebSocket server.
        proxy_url: ``http`` or ``https``; its user information is sent.
        headers: further fields.

    Attributes:
        state: OPEN when the tunnel is up.
        response: what the proxy answered, None until then.

    Raises:
        ValueError: a URL or a field is invalid.
    """

    __slots__ = ("_fields", "_reader", "_rest", "_started", "_url", "response", "state")

    def __init__(
        self, url: str, proxy_url: str, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__()
        proxy = parse_proxy_url(proxy_url)
        self._url = parse_websocket_url(url)
        self._fields = Headers(headers)
        for name, _ in self._fields:
            if name.lower() in _OWNED:
                raise ValueError(f"{name} belongs to the handshake")
        if proxy.authorization and "proxy-authorization" not in self._fields:
            self._fields.add("Proxy-Authorization", proxy.authorization)
        self._reader: ResponseReader | None = ResponseReader()
        self._rest = b""
        self._started = False
        self.state: State = State.CONNECTING
        self.response: ServerResponse | None = None

    def start(self) -> bool:
        """Write the request; False if that was done."""
        if self._started or self.state is not State.CONNECTING:
            return False
        self._started = True
        # Port included, even the default one (RFC 9110, 9.3.6).
        target = self._url.authority.encode()
        lines = [
            b"CONNECT %s HTTP/1.1" % target,
            b"Host: %s" % target,
            b"Connection: keep-alive",
            b"Proxy-Connection: keep-alive",
            *(b"%s: %s" % field for field in self._fields.raw),
            b"\r\n",
        ]
        self._put(b"\r\n".join(lines))
        return True

    def receive_data(self, data: Buffer) -> None:
        """Read the next bytes of the proxy, or of the tunnel."""
        if self._reader is None:
            # What follows a refusal is of no use, what follows a 2xx is.
            self._rest += bytes(data) if self.state is State.OPEN else b""
            return
        try:
            answer = self._reader.feed(bytes(data))
        except ProtocolError as error:
            self._fail(str(error))
            return
        if answer is not None:
            self.response, rest = answer
            if 200 <= self.response.status < 300:
                self._reader = None
                self._rest = rest
                self.state = State.OPEN
                self._emit(Opened("connect", None))
            else:
                self._fail(f"unexpected response code {self.response.status}")

    def receive_eof(self) -> None:
        """Note that TCP ended."""
        if self.state is State.CONNECTING:
            self._fail("connection ended")

    def take_rest(self) -> bytes:
        """Give away what the tunnel has brought so far."""
        rest, self._rest = self._rest, b""
        return rest

    def close_expected(self) -> bool:
        """Tell whether the TCP connection has no further use."""
        return self.state is State.CLOSED

    def _fail(self, why: str) -> None:
        self._reader = None
        self.state = State.CLOSED
        target = f"{self._url.host}:{self._url.port}"
        message = f"the proxy did not connect to {target}: {why}"
        self._emit(Failed(message, CloseCode.ABNORMAL_CLOSURE))
        self._emit(Closed(CloseCode.ABNORMAL_CLOSURE, "", False, "remote"))
