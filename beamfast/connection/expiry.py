"""
Streams that end when what names their user does: a session, a token.

Few streams have such a time, so they are kept apart and looked at once a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

#: Seconds between two looks.
ROUND: Final = 1.0


class Expiring(Protocol):
    """An open WebSocket or event stream."""

    @property
    def is_closing(self) -> bool:
        """True from the beginning of its end on."""
        ...

    def expire(self) -> None:
        """Tell the client, and end."""
        ...


class Expiry:
    """
    The streams of a process that have an end.

    Args:
        loop: of this process.
        clock: the time of day in seconds.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.time
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._streams: dict[Expiring, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: Expiring, expires: float) -> None:
        """End ``stream`` at a time of day, unless it ends before."""
        self._streams[stream] = expires
        if self._timer is None:
            self._timer = self._loop.call_later(ROUND, self._turn)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._streams.clear()

    def _turn(self) -> None:
        now = self._clock()
        for stream, expires in list(self._streams.items()):
            if now >= expires and not stream.is_closing:
                stream.expire()
            if stream.is_closing or now >= expires:
                del self._streams[stream]
        self._timer = None
        if self._streams:
            self._timer = self._loop.call_later(ROUND, self._turn)
