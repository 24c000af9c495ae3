"""
A driver on a transport while something is being agreed on.

Opening handshakes, of clients and in servers of others, and the ``CONNECT`` of a
proxy: whoever awaits :meth:`Dialogue.run` gets the transport back when the driver
has decided, and may put the next driver or a WebSocket on it.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Protocol

from beamfast.connection.alone import Alone
from beamfast.connection.terms import Terms
from beamfast.connection.websocket import WebSocket
from beamfast.protocol.driver import Driver, State


class Negotiator(Protocol):
    """A driver that has something to agree on first."""

    @property
    def state(self) -> State:
        """CONNECTING until that is done."""
        ...

    def receive_data(self, data: bytes) -> None:
        """Read the next bytes."""
        ...

    def receive_eof(self) -> None:
        """Note that TCP ended."""
        ...

    def data_to_send(self) -> list[bytes]:
        """Return the bytes to write since the last call."""
        ...


class Dialogue(asyncio.Protocol):
    """
    One transport, and a driver after the other.

    Attributes:
        transport: None until it is connected.
        is_over: no more bytes will come.
        reads_on_demand: read only while somebody waits for more, so that what
            comes for ever is bounded.
    """

    def __init__(self) -> None:
        self.transport: Any = None
        self.is_over: bool = False
        self.reads_on_demand: bool = False
        self._is_paused = False
        self._loop = asyncio.get_running_loop()
        self._driver: Negotiator | None = None
        self._early = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Exception | None = None
        self._is_lost = False

    async def run(self, driver: Negotiator) -> None:
        """Feed ``driver`` until its state is another one than CONNECTING."""
        self._driver = driver
        self._write()
        if self._early:
            early, self._early = bytes(self._early), bytearray()
            self.data_received(early)
        if self.is_over:
            driver.receive_eof()
        while driver.state is State.CONNECTING:
            await self.progress()

    async def progress(self) -> None:
        """Wait until more bytes have come, or the end."""
        if self.is_over:
            return
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """
        Speak TLS from here on, with a server of that name.

        A step of its own because asyncio cannot give up a connection that is made
        with TLS: cancelled before its first turn, it goes on shaking hands.

        Raises:
            OSError: the server does not, or not with a certificate for it.
        """
        self.transport = await self._loop.start_tls(
            self.transport, self, context, server_hostname=host
        )
        # Nobody can tell who said what came in the clear.
        self._early.clear()

    def keep(self, data: bytes) -> None:
        """Have the next driver read ``data`` first."""
        self._driver = None
        self._early += data

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()

    def become(
        self, driver: Driver, path: str, ping_interval: float, ping_timeout: float
    ) -> WebSocket:
        """Put the WebSocket on the transport that the agreed driver is for."""
        alone = Alone(self._loop)
        websocket = WebSocket(driver, path, alone, Terms(ping_interval, ping_timeout))
        self.transport.set_protocol(websocket)
        websocket.attach(self.transport, alone.state)
        if self._is_lost:
            # The transport told us, and tells nobody else.
            websocket.connection_lost(self._lost)
        return websocket

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Feed the driver."""
        if self._driver is None:
            self._early += data
            return
        self._driver.receive_data(data)
        self._write()
        self._wake()
        if self.reads_on_demand and not (
            self._is_paused or self.is_over or self.transport.is_closing()
        ):
            self._is_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer sends nothing more: it is over."""
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """There is no connection any more."""
        self._lost, self._is_lost = exc, True
        self._end()

    def _end(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        if self._driver is not None:
            self._driver.receive_eof()
        self._wake()

    def _write(self) -> None:
        assert self._driver is not None
        if pieces := self._driver.data_to_send():
            self.transport.write(b"".join(pieces))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
