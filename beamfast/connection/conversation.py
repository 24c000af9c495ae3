"""
What a WebSocket has that a program reads from or waits for.

A subscriber that only listens has none of it. Here are the messages that arrived
and were not asked for yet (pull mode), bounded by no longer reading from the
socket, and the futures of whoever waits for a message, a pong, or the end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from beamfast.errors import ConnectionClosed

if TYPE_CHECKING:
    from beamfast.connection.listeners import Listeners
    from beamfast.http import Request
    from beamfast.protocol.response import ServerResponse
    from beamfast.protocol.stream import MessageStream

#: Messages, and bytes of them, from which on the socket is not read any more.
MESSAGES: Final = 16
BYTES: Final = 64 * 1024

#: Seconds for the closing handshake and the last bytes; then the socket is cut.
CLOSE_TIMEOUT: Final = 10.0

# Why the socket is not read.
_IS_FULL: Final = 1
_IS_ASKED: Final = 2
_IS_BEHIND: Final = 4


class Conversation:
    """
    Buffer and waiters of one WebSocket.

    Args:
        transport: that is paused while the buffer is full.
        loop: of the transport.

    Attributes:
        messages: that wait to be read.
        limit: messages that may wait.
        is_pulled: somebody asks for messages.
        stream: the message that is received in pieces, None for none.
        close_timeout: seconds for the closing handshake.
        request: of the client; None on the client's side.
        response: of the server; None on the server's side.
        url: of the connection.
        is_held: replies wait until the buffer is empty.
        listeners: event-style callbacks, None for none.
        task: that calls ``on_message`` when that is a coroutine function.
    """

    __slots__ = (
        "_ends",
        "_is_over",
        "_loop",
        "_pauses",
        "_pings",
        "_sending",
        "_size",
        "_transport",
        "_waiter",
        "close_timeout",
        "is_held",
        "is_pulled",
        "limit",
        "listeners",
        "messages",
        "request",
        "response",
        "stream",
        "task",
        "url",
    )

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.limit: int = MESSAGES
        self.is_pulled: bool = False
        self.stream: MessageStream | None = None
        self.close_timeout: float = CLOSE_TIMEOUT
        self.request: Request | None = None
        self.response: ServerResponse | None = None
        self.url: str = ""
        self.is_held: bool = False
        self.listeners: Listeners | None = None
        self.task: asyncio.Task[None] | None = None
        self._transport = transport
        self._loop = loop
        self.messages: deque[str | bytes] = deque()
        self._size = 0
        self._pauses = 0
        self._is_over = False
        self._waiter: asyncio.Future[None] | None = None
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
        return not (self.messages or (self.stream is not None and self.stream.count))

    @property
    def is_paused(self) -> bool:
        """True while nothing is read from the socket."""
        return self._pauses != 0

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

    def put(self, message: str | bytes) -> None:
        """Keep a message until it is asked for; the driver calls this."""
        is_full = len(self.messages) >= self.limit or self._size >= BYTES
        if self._is_over and is_full:
            # Nobody may stop the closing handshake by not reading.
            return
        self.messages.append(message)
        self._size += len(message)
        waiter = self._waiter
        if waiter is not None:
            if not waiter.done():
                waiter.set_result(None)
        elif len(self.messages) >= self.limit or self._size >= BYTES:
            self._pause(_IS_FULL)

    def take(self) -> str | bytes:
        """Return the message that waits longest."""
        message = self.messages.popleft()
        self._size -= len(message)
        if (
            self._pauses & _IS_FULL
            and len(self.messages) <= self.limit // 2
            and self._size <= BYTES // 2
        ):
            self._resume(_IS_FULL)
        return message

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
        if self._is_over:
            # Nobody may stop the closing handshake by not reading.
            stream.is_cut = True
        else:
            self._pause(_IS_BEHIND)

    def take_piece(self) -> str | bytes | None:
        """Return the next piece that has arrived, None for none."""
        stream = self.stream
        piece = None if stream is None else stream.take()
        if stream is None or (
            stream.count <= self.limit // 2 and stream.size <= BYTES // 2
        ):
            self._resume(_IS_BEHIND)
        return piece

    def end_stream(self) -> None:
        """Let messages be taken again."""
        self.stream = None
        self.is_pulled = self.listeners is None
        self._resume(_IS_BEHIND)

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
        while self.messages and listeners is not None and listeners.has("message"):
            listeners.emit("message", self.take())

    def check_alone(self) -> None:
        """
        Let only one task wait.

        Raises:
            RuntimeError: somebody waits already; which one should get it?
        """
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("two tasks wait for the next message")

    async def arrival(self) -> None:
        """
        Wait for a message or the end.

        Raises:
            RuntimeError: somebody waits already.
        """
        self.check_alone()
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            # Another one may wait already, after this one was cancelled.
            if self._waiter is waiter:
                self._waiter = None

    def wake(self) -> None:
        """Let whoever waits for a message look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Reading from the socket.

    def pause(self) -> None:
        """Read nothing until :meth:`resume`."""
        self._pause(_IS_ASKED)

    def resume(self) -> None:
        """Undo :meth:`pause`; a full buffer still stops the reader."""
        self._resume(_IS_ASKED)

    def read_to_the_end(self) -> None:
        """Read on whatever happens: the close frame has to be found."""
        self._is_over = True
        self._resume(_IS_ASKED | _IS_FULL | _IS_BEHIND)

    def discard(self) -> None:
        """Nobody will read any more."""
        self.messages.clear()
        self._size = 0
        if self.stream is not None:
            self.stream.cut()
        self.read_to_the_end()

    def _pause(self, why: int) -> None:
        if self._is_over:
            return
        if not self._pauses and not self._transport.is_closing():
            self._transport.pause_reading()
        self._pauses |= why

    def _resume(self, why: int) -> None:
        before, self._pauses = self._pauses, self._pauses & ~why
        if before and not self._pauses and not self._transport.is_closing():
            self._transport.resume_reading()

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
        self._is_over = True
        self._pauses = 0
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
