"""
Say where a loop stands that does not turn.

The standard library has a thread in C for this, which speaks even while an extension
holds the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import faulthandler
from typing import Final, Self

#: Seconds between two signs of life.
INTERVAL: Final = 1.0
#: Seconds that one may be late.
LAG: Final = 1.0
#: Seconds without one until all stacks are printed: sooner than a supervisor
#: kills who is silent.
PATIENCE: Final = 5.0


class StuckAlarm:
    """
    Print the stacks of all threads to stderr when a loop is stuck.

    Once, until the loop has been in time again. Inside the ``with`` statement
    nobody else may use :func:`faulthandler.dump_traceback_later`, of which a process
    has one.

    Args:
        loop: of this thread.
        patience: seconds in which the loop is not in time once.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, patience: float = PATIENCE
    ) -> None:
        self._loop = loop
        self._patience = patience
        self._due = loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Begin to look."""
        self._due = self._loop.time()
        self._turn()
        return self

    def __exit__(self, *error: object) -> None:
        """Look no more."""
        assert self._timer is not None
        self._timer.cancel()
        faulthandler.cancel_dump_traceback_later()

    def _turn(self) -> None:
        now = self._loop.time()
        if now - self._due <= LAG:
            faulthandler.dump_traceback_later(self._patience)
        self._due = now + INTERVAL
        self._timer = self._loop.call_at(self._due, self._turn)
