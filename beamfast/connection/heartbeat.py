"""
One timer for all connections of a loop: pings, stalls, idle and close deadlines.

A handle of the loop costs 0.6 KiB and every connection would hold one. Here a
connection holds two numbers, and the wheel looks at the connections of one
bucket a second. Deadlines are met with a resolution of one second, late rather
than early. Every open connection is in the wheel, so it is also the list of
connections to close when the server stops.
"""

from __future__ import annotations

import logging
import math
from typing import Protocol

from beamfast._wheel import Timed, Wheel

logger: logging.Logger = logging.getLogger("beamfast.connection")


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


class Heartbeat(Wheel):
    """
    The wheel of a process, which an error of one connection does not stop.

    Args:
        loop: whose clock counts.
    """

    def fire(self, timed: Timed, now: float) -> None:
        """Call ``timed.on_deadline``."""
        try:
            timed.on_deadline(now)
        except Exception:
            logger.exception("a deadline could not be handled")
