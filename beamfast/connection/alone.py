"""
What a connection needs around it when it is not one of many.

A client, or a socket in somebody else's server, has an own timer instead of a
place in the heartbeat of a process.
"""

from __future__ import annotations

import asyncio
import math

from beamfast._wheel import Timed
from beamfast._wire import LoopState
from beamfast.connection.service import Handlers


class Alarm:
    """
    One connection's timer, with the face of the heartbeat.

    Args:
        loop: whose clock counts.
    """

    __slots__ = ("_handle", "_loop", "_timed")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timed: Timed | None = None
        self._handle: asyncio.TimerHandle | None = None

    def watch(self, timed: Timed, deadline: float = math.inf) -> None:
        """
        Call ``timed.on_deadline`` at ``deadline``.

        A later deadline only changes a number: the timer looks when it fires, so
        traffic that pushes a deadline away costs nothing.
        """
        timed.deadline = deadline
        self._timed = timed
        if self._handle is None or self._handle.when() > deadline:
            self._set(deadline)

    def watch_for(self, timed: Timed, seconds: float) -> None:
        """As :meth:`watch`, with a deadline that is so far away."""
        self.watch(timed, self._loop.time() + seconds)

    def forget(self, timed: Timed) -> None:
        """Stop watching; harmless when nothing was watched."""
        self._timed = None
        self._set(math.inf)

    def _set(self, deadline: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        if deadline != math.inf:
            self._handle = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._handle = None
        timed, now = self._timed, self._loop.time()
        if timed is None:
            return
        if timed.deadline > now:
            self._set(timed.deadline)
        else:
            timed.deadline = math.inf
            timed.on_deadline(now)


class Alone(Handlers):
    """
    Surroundings of one WebSocket.

    Args:
        loop: of its transport.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.heartbeat: Alarm = Alarm(loop)
        self.state: LoopState = LoopState(loop)
