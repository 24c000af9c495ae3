"""How long a connection bears with a peer that has stopped reading."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from beamfast._outbound import Outbound

#: Seconds without reading after which a peer is given up.
STALL_TIMEOUT: Final = 30.0

logger: logging.Logger = logging.getLogger("beamfast.connection")


class Patient(Outbound):
    """
    The write side of a connection that knows since when its peer does not read.

    Args:
        loop: whose clock counts.
        stall_timeout: seconds; 0 to bear with it for ever.
    """

    __slots__ = ("_loop", "_paused_at", "_stall_timeout")

    path: str

    def __init__(
        self, loop: asyncio.AbstractEventLoop, stall_timeout: float = STALL_TIMEOUT
    ) -> None:
        # What is below makes itself, without a call.
        self._loop = loop
        self._stall_timeout = stall_timeout
        self._paused_at: float | None = None

    def waits_for_peer(self, now: float) -> bool:
        """Tell whether the peer reads nothing; give it up after too long."""
        if self._paused_at is None or not self._stall_timeout:
            return False
        left = self._paused_at + self._stall_timeout - now
        if left > 0:
            self._watch(left)
        else:
            logger.warning("the client of %s has stopped reading, cut", self.path)
            self.abort()
        return True

    def pause_writing(self) -> None:
        """The peer reads nothing for the moment (called by the transport)."""
        super().pause_writing()
        self._paused_at = now = self._loop.time()
        if 0 < self._stall_timeout < self.deadline - now:
            self._watch(self._stall_timeout)

    def resume_writing(self) -> None:
        """The peer has read what the transport held (called by the transport)."""
        self._paused_at = None
        super().resume_writing()

    def _watch(self, seconds: float) -> None:
        """Have ``on_deadline()`` called; what it does then, subclasses know."""
        raise NotImplementedError
