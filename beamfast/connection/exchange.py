"""
One request on its way through a connection: the body that arrives, its reader.

The body is buffered up to a mark, above which the connection stops reading
from the socket; nothing is read ahead of a plugin that does not ask.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final, Protocol

from beamfast.errors import BeamfastError, RequestError
from beamfast.http import Request

#: Bytes of a body that wait for the application before reading stops.
HIGH_WATER: Final = 2**16
#: Bytes of an unread body that are worth keeping the connection for.
DISCARD_LIMIT: Final = 2**18


class Feeder(Protocol):
    """The connection, as its exchanges see it."""

    def send_continue(self) -> None:
        """Write ``100 Continue`` (RFC 9110, 10.1.1)."""
        ...

    def flow_changed(self) -> None:
        """Look again whether the socket should be read."""
        ...


class Exchange:
    """
    A request and its body, until it is answered.

    Args:
        feeder: the connection.
        request: whose body this feeds.
        keep_alive: the connection may serve another request after it.

    Attributes:
        request: gone once the answer begins: each refers to the other, and a
            cycle would keep the headers of every request for the collector.
        method: of the request.
        target: of the request.
        http_version: of the request.
    """

    __slots__ = (
        "_chunks",
        "_dropped",
        "_error",
        "_feeder",
        "_waiter",
        "buffered",
        "expects_continue",
        "http_version",
        "is_complete",
        "is_discarded",
        "keep_alive",
        "method",
        "received",
        "request",
        "target",
    )

    def __init__(self, feeder: Feeder, request: Request, *, keep_alive: bool) -> None:
        self.request: Request = request
        self.method: str = request.method
        self.target: str = request.target
        self.http_version: str = request.http_version
        self.keep_alive: bool = keep_alive
        self.is_complete: bool = False
        self.is_discarded: bool = False
        self.buffered: int = 0
        self.received: int = 0
        self._dropped = 0
        self._feeder = feeder
        self._chunks: deque[bytes] | None = None
        self._error: BeamfastError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.expects_continue: bool = (
            request.headers.has(b"expect") and request.expects_continue
        )

    @property
    def is_awaited(self) -> bool:
        """True while somebody waits for the client to send more of the body."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def is_endless(self) -> bool:
        """True when more was dropped than a new connection would cost."""
        return self.is_discarded and self._dropped > DISCARD_LIMIT

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body from the parser."""
        self.received += len(chunk)
        if self._error is not None:
            self._dropped += len(chunk)
            return
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(chunk)
        self.buffered += len(chunk)
        self._wake()
        self._feeder.flow_changed()

    def finish(self) -> None:
        """Note the end of the body."""
        self.is_complete = True
        self._wake()

    def fail(self, error: BeamfastError) -> None:
        """End the body with ``error`` for whoever reads it."""
        self._error = error
        self._chunks = None
        self.buffered = 0
        self._wake()

    def discard(self) -> None:
        """Drop the rest of the body: the request is answered."""
        self.is_discarded = True
        # A reader that outlives the answer must not take a part for the whole.
        self.fail(RequestError(400, "The request was answered already"))
        self._feeder.flow_changed()

    def answer(self) -> None:
        """Note that the answer begins: no interim one may follow (RFC 9110, 15.2)."""
        del self.request
        if self.expects_continue:
            self.expects_continue = False
            # The client may or may not send its body now; both would be
            # legal, so the connection cannot be used again (RFC 9110, 10.1.1).
            self.keep_alive = self.keep_alive and self.is_complete

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives; the first step sends 100 Continue."""
        if self.expects_continue and not self.received and not self.is_complete:
            self.expects_continue = False
            self._feeder.send_continue()
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self.buffered -= len(chunk)
                self._feeder.flow_changed()
                yield chunk
            elif self._error is not None:
                raise self._error
            elif self.is_complete:
                return
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None
