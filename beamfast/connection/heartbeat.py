"""
One timer for all connections of a process: pings, comments, idle and close deadlines.

A handle of the loop costs 0.6 KiB and every connection would hold one. Here a
connection holds two numbers, and the wheel looks at the connections of one
bucket a second. Deadlines are met with a resolution of one second, late rather
than early. Every open connection is in the wheel, so it is also the list of
connections to close when the server stops.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from typing import Any, Final, Protocol

BUCKETS: Final = 64

#: Value of ``Timed.bucket`` for a connection that the wheel does not hold.
OUTSIDE: Final = -1
_FIRING: Final = -2

logger: logging.Logger = logging.getLogger("beamfast.connection")


class Timed(Protocol):
    """What a connection needs to be watched."""

    deadline: float
    bucket: int

    def on_deadline(self, now: float) -> None:
        """Act on the deadline that has passed; may set another one."""
        ...


class Clock(Protocol):
    """What keeps the deadlines of connections."""

    def watch(self, timed: Timed, deadline: float = math.inf) -> None:
        """Call ``timed.on_deadline`` soon after ``deadline``, not before."""
        ...

    def watch_for(self, timed: Timed, seconds: float) -> None:
        """As :meth:`watch`, with a deadline that is so far away."""
        ...

    def forget(self, timed: Timed) -> None:
        """Stop watching; harmless when nothing was watched."""
        ...


class Heartbeat:
    """
    A timer wheel with one bucket per second.

    Args:
        loop: whose clock counts.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: list[set[Any]] = [set() for _ in range(BUCKETS)]
        self._turned = math.floor(loop.time())
        self._handle: asyncio.TimerHandle | None = None
        self._count = 0
        self._is_closed = False

    def watch(self, timed: Timed, deadline: float = math.inf) -> None:
        """
        Call ``timed.on_deadline`` within a second after ``deadline``.

        A later deadline only changes a number: the bucket is looked at when it
        fires, so traffic that pushes a deadline away costs no set operation.
        """
        earlier = deadline < timed.deadline
        timed.deadline = deadline
        if timed.bucket < 0 or earlier:
            self._place(timed)

    def watch_for(self, timed: Timed, seconds: float) -> None:
        """As :meth:`watch`, with a deadline that is so far away."""
        deadline = self._loop.time() + seconds
        if deadline >= timed.deadline and timed.bucket >= 0:
            timed.deadline = deadline  # as watch() does, without the call
        else:
            self.watch(timed, deadline)

    def forget(self, timed: Timed) -> None:
        """Stop watching; harmless when nothing was watched."""
        if timed.bucket >= 0:
            self._buckets[timed.bucket].discard(timed)
            self._count -= 1
        timed.bucket = OUTSIDE

    def connections(self) -> Iterator[Any]:
        """Iterate over a copy of everything that is watched."""
        return iter([timed for bucket in self._buckets for timed in bucket])

    def close(self) -> None:
        """Stop the timer; nothing fires after this."""
        self._is_closed = True
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def __len__(self) -> int:
        return self._count

    def _place(self, timed: Timed) -> None:
        if timed.bucket >= 0:
            self._buckets[timed.bucket].discard(timed)
            self._count -= 1
        if self._handle is None:
            self._turned = max(self._turned, math.floor(self._loop.time()))
        # Farther away than one round: looked at in between and placed again.
        last = self._turned + BUCKETS - 1
        second = last if timed.deadline >= last else math.floor(timed.deadline) + 1
        timed.bucket = max(second, self._turned + 1) % BUCKETS
        self._buckets[timed.bucket].add(timed)
        self._count += 1
        if self._handle is None:
            self._arm()

    def _arm(self) -> None:
        if not self._is_closed:
            self._handle = self._loop.call_at(self._turned + 1, self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        # A blocked loop may have missed seconds; every bucket still has its turn.
        while self._turned + 1 <= now:
            self._turned += 1
            self._fire(self._turned % BUCKETS, now)
        self._handle = None
        if self._count:
            self._arm()

    def _fire(self, index: int, now: float) -> None:
        due, self._buckets[index] = self._buckets[index], set()
        self._count -= len(due)
        for timed in due:
            timed.bucket = _FIRING
        for timed in due:
            if timed.bucket != _FIRING:
                continue  # forgotten or moved by one that fired before it
            if timed.deadline <= now:
                timed.deadline = math.inf
                try:
                    timed.on_deadline(now)
                except Exception:
                    logger.exception("a deadline could not be handled")
            if timed.bucket == _FIRING:
                self._place(timed)
