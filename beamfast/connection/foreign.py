"""
Transports whose other end is a function instead of a socket.

Inside another server (ASGI) the wire is somebody else's: an event stream goes out
in pieces of a body, a WebSocket as messages. The same ``WebSocket`` and
``EventSource`` work there, on these transports. A WebSocket gets a driver of the
client's side as its peer, which turns its frames back into messages; so there is
one implementation of queues, closing handshakes and receive modes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from beamfast.connection.websocket import WebSocket
from beamfast.errors import Unsupported
from beamfast.protocol.events import Closed
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Messages are limited where they come in, by the server and by our own side.
NO_LIMIT: Final = 2**62

logger: logging.Logger = logging.getLogger("beamfast.connection")


class ForeignTransport(asyncio.Transport):
    """
    A transport that hands what is written to a function, a piece at a time.

    Args:
        loop: of this process.
        deliver: takes a piece; what is written while it waits is a backlog.
        peername: address of the client.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[bytes], Awaitable[None]],
        peername: tuple[str, int] | None,
    ) -> None:
        super().__init__({"peername": peername})
        self._loop = loop
        self._deliver = deliver
        self._protocol: Any = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_paused = False
        self._is_closing = False
        self._news = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()

    async def run(self) -> None:
        """Hand over what is written until the transport is closed."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._pieces:
                    data = b"".join(self._pieces)
                    self._pieces.clear()
                    await self._deliver(data)
                    self._size -= len(data)
                if self._is_paused:
                    self._is_paused = False
                    self._protocol.resume_writing()
                if self._is_closing and not self._pieces:
                    return
        except OSError as error:
            # Whoever carries our bytes has found the client gone.
            logger.debug("%s", error)
        finally:
            self._is_closing = True
            self._may_read.set()
            self._protocol.connection_lost(None)

    async def readable(self) -> None:
        """Return when the protocol takes more, or wants nothing any more."""
        await self._may_read.wait()

    # What a protocol calls.

    def set_protocol(self, protocol: Any) -> None:
        """Say who is told of a backlog and of the end."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: Any) -> None:
        """Keep ``data`` until it is its turn."""
        if self._is_closing or not data:
            return
        self._pieces.append(bytes(data))
        self._size += len(data)
        self._news.set()
        if not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have not been handed over."""
        return self._size

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """There is a backlog from the first byte to the last, as our sockets want."""

    def is_closing(self) -> bool:
        """Return True once nothing more can be written."""
        return self._is_closing

    def can_write_eof(self) -> bool:
        """Return False: the other server knows only a whole end."""
        return False

    def close(self) -> None:
        """End once everything written has been handed over."""
        self._is_closing = True
        self._may_read.set()
        self._news.set()

    def abort(self) -> None:
        """End now."""
        self._pieces.clear()
        self.close()

    def is_reading(self) -> bool:
        """Return True while the protocol takes more."""
        return self._may_read.is_set()

    def pause_reading(self) -> None:
        """Take nothing more for now."""
        if not self._is_closing:
            self._may_read.clear()

    def resume_reading(self) -> None:
        """Go on."""
        self._may_read.set()


class ForeignWebSocket(WebSocket):
    """A WebSocket inside another server, which keeps the pings to itself."""

    __slots__ = ()

    async def ping(self, payload: Buffer | None = None) -> asyncio.Future[float]:
        """
        Refuse.

        Raises:
            Unsupported: always.
        """
        raise Unsupported("pings belong to the server that this application runs in")


class MessagePeer:
    """
    The other end of a WebSocket that is carried as messages.

    Args:
        send: takes each message.
        close: takes code and reason of the end.
    """

    def __init__(
        self,
        send: Callable[[str | bytes], Awaitable[None]],
        close: Callable[[int, str], Awaitable[None]],
    ) -> None:
        self._send = send
        self._close = close
        self._driver = Rfc6455Driver(
            Side.CLIENT, max_size=NO_LIMIT, max_frame_size=NO_LIMIT
        )
        self._websocket: WebSocket | None = None
        self._was_told = False

    def attach(self, websocket: WebSocket) -> None:
        """Say who is at this end."""
        self._websocket = websocket

    async def deliver(self, data: bytes) -> None:
        """Take frames of the WebSocket and pass their messages on."""
        self._driver.receive_data(data)
        for event in self._driver.events_received():
            if isinstance(event, str | bytes):
                await self._send(event)
            elif isinstance(event, Closed) and not self._was_told:
                self._was_told = True
                # 1005 is what an empty close frame is reported as.
                code = 1000 if event.code == 1005 else event.code
                await self._close(code, event.reason)
        self._reply()

    def receive(self, message: str | bytes) -> None:
        """Give the WebSocket a message of the client."""
        if isinstance(message, str):
            self._driver.send_text(message)
        else:
            self._driver.send_binary(message)
        self._reply()

    def receive_close(self, code: int, reason: str) -> None:
        """Tell the WebSocket that the client is gone, or is leaving."""
        self._was_told = True
        try:
            self._driver.send_close(code, reason)
        except ValueError:
            # A code that is only reported: 1005, 1006, 1015.
            if self._websocket is not None:
                self._websocket.abort()
        else:
            self._reply()

    def _reply(self) -> None:
        data = b"".join(self._driver.data_to_send())
        if data and self._websocket is not None:
            self._websocket.data_received(data)
