"""
What a WebSocket has that a program reads from or waits for.

A subscriber that only listens has none of it. Here are the messages that were not
asked for yet (:class:`beamfast._inbox.Inbox`), a message that is received in pieces,
listeners, and the futures of whoever waits for a pong or the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from beamfast._inbox import BYTES, IS_ASKED, IS_BEHIND, IS_FULL, Inbox
from beamfast.errors import ConnectionClosed

if TYPE_CHECKING:
    from beamfast.connection.listeners import Listeners
    from beamfast.http import Request
    from beamfast.protocol.response import ServerResponse
    from beamfast.protocol.stream import MessageStream

#: Seconds for the closing handshake and the last bytes; then the socket is cut.
CLOSE_TIMEOUT: Final = 10.0


class Conversation(Inbox):
    """
    Buffer and waiters of one WebSocket.

    Args:
        transport: that is paused while the buffer is full.
        loop: of the transport.

    Attributes:
        stream: the message that is received in pieces, None for none.
        close_timeout: seconds for the closing handshake.
        request: of the client; None on the client's side.
        response: of the server; None on the server's side.
        url: of the connection.
        listeners: event-style callbacks, None for none.
        task: that calls ``on_message`` when that is a coroutine function.
    """

    __slots__ = (
        "_ends",
        "_loop",
        "_pings",
        "_sending",
        "close_timeout",
        "listeners",
        "request",
        "response",
        "stream",
        "task",
        "url",
    )

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.stream: MessageStream | None = None
        self.close_timeout: float = CLOSE_TIMEOUT
        self.request: Request | None = None
        self.response: ServerResponse | None = None
        self.url: str = ""
        self.listeners: Listeners | None = None
        self.task: asyncio.Task[None] | None = None
        self._loop = loop
        self._pings: dict[bytes, tuple[asyncio.Future[float], float]] = {}
        self._ends: list[asyncio.Future[None]] = []
        self._sending: asyncio.Lock | None = None

    def introduce(self, request: Request) -> None:
        """Note what the connection began with."""
        self.request = request
        scheme = "wss" if request.is_secure else "ws"
        host = request.headers.get("host") or ""
        self.url = f"{scheme}://{host}{request.target}"

    # Messages.

    @property
    def is_read(self) -> bool:
        """True when nothing waits, neither messages nor pieces of one."""
        return not (self.count or (self.stream is not None and self.stream.count))

    @property
    def sending(self) -> asyncio.Lock:
        """Held while a message leaves in pieces, which no other one may part."""
        if self._sending is None:
            self._sending = asyncio.Lock()
        return self._sending

    @property
    def is_sending(self) -> bool:
        """True while a message leaves in pieces."""
        return self._sending is not None and self._sending.locked()

    # One message in pieces, under the same limits.

    def begin_stream(self, stream: MessageStream) -> None:
        """Let pieces of ``stream`` be taken, and no messages."""
        self.stream = stream
        self.is_pulled = False

    def note_arrival(self) -> None:
        """More of it can be taken; its stream calls this."""
        stream = self.stream
        self.wake()
        if stream is None or (stream.count < self.limit and stream.size < BYTES):
            return
        if self.is_over:
            # Nobody may stop the closing handshake by not reading.
            stream.is_cut = True
        else:
            self.pause(IS_BEHIND)

    def take_piece(self) -> str | bytes | None:
        """Return the next piece that has arrived, None for none."""
        stream = self.stream
        piece = None if stream is None else stream.take()
        if stream is None or (
            stream.count <= self.limit // 2 and stream.size <= BYTES // 2
        ):
            self.resume(IS_BEHIND)
        return piece

    def end_stream(self) -> None:
        """Let messages be taken again."""
        self.stream = None
        self.is_pulled: bool = self.listeners is None
        self.resume(IS_BEHIND)

    def listen(self, listeners: Listeners) -> Callable[[str | bytes], None]:
        """Pass messages to ``listeners``, which hear at once that this is open."""
        self.is_pulled = False
        self.listeners = listeners
        listeners.emit("open")
        return self.dispatch

    def dispatch(self, message: str | bytes) -> None:
        """Pass a message to whoever listens, or keep it for the first who will."""
        if self.listeners is not None and self.listeners.has("message"):
            self.listeners.emit("message", message)
        else:
            self.put(message)

    def dispatch_waiting(self) -> None:
        """Pass on what was kept, if somebody listens now."""
        listeners = self.listeners
        while self.count and listeners is not None and listeners.has("message"):
            listeners.emit("message", self.take())

    # Reading from the socket.

    def read_to_the_end(self) -> None:
        """Read on whatever happens: the close frame has to be found."""
        self.is_over = True
        self.resume(IS_ASKED | IS_FULL | IS_BEHIND)

    def discard(self) -> None:
        """Nobody will read any more."""
        self.clear()
        if self.stream is not None:
            self.stream.cut()
        self.read_to_the_end()

    # Pings, and the end.

    def expect(self, payload: bytes) -> asyncio.Future[float]:
        """Return what will be the seconds until the pong of a ping just sent."""
        future = self._loop.create_future()
        self._pings[payload] = (future, self._loop.time())
        return future

    def complete(self, payloads: Iterable[bytes]) -> None:
        """Note the pong of these pings."""
        for payload in payloads:
            waiting = self._pings.pop(payload, None)
            if waiting is not None and not waiting[0].done():
                waiting[0].set_result(self._loop.time() - waiting[1])

    async def ended(self) -> None:
        """Wait until the connection is gone."""
        # One for each caller: who cancels an own wait must not cancel others.
        future = self._loop.create_future()
        self._ends.append(future)
        try:
            await future
        finally:
            if future in self._ends:
                self._ends.remove(future)

    def end(self, code: int, reason: str) -> None:
        """The connection is gone: nobody waits in vain."""
        self.read_to_the_end()
        self.wake()
        for future, _ in self._pings.values():
            if not future.done():
                future.set_exception(ConnectionClosed(code, reason))
                # Who never looks at it has not forgotten anything.
                future.exception()
        self._pings.clear()
        ends, self._ends = self._ends, []
        for waiting in ends:
            if not waiting.done():
                waiting.set_result(None)
        if self.listeners is not None:
            self.listeners.emit("close", code, reason)
