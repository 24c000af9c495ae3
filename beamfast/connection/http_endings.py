"""
How an HTTP connection ends: at once, after its last byte, or hearing its client out.

Also what that needs: when to read, and what may still be on its way out.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from beamfast._wheel import Timed
from beamfast.connection.sender import Sender
from beamfast.connection.service import Service

#: Seconds to read on after an answer that the client may still be writing into.
LINGER: Final = 2.0


class HttpEndings(Timed, asyncio.Protocol):
    """The transport of an HTTP connection, and the ways to let go of it."""

    __slots__ = (
        "_closing",
        "_reading_paused",
        "_sender",
        "_transport",
        "service",
    )

    def __init__(self, service: Service) -> None:
        self.service: Service = service
        self._transport: Any = None
        # An idle connection has none.
        self._sender: Sender | None = None
        self._reading_paused = self._closing = False

    @property
    def _is_full(self) -> bool:
        """True while the client has to read before more may be written."""
        return self._sender is not None and self._sender.is_full

    def _sending(self) -> Sender:
        """Return what sends answers that do not leave in one write."""
        if self._sender is None:
            self._sender = Sender(self.service)
            self._sender.attach(self._transport)
        return self._sender

    def _stop_sending(self) -> None:
        if self._sender is not None:
            self._sender.stop()

    def _pause_reading(self, paused: bool) -> None:
        if paused and not self._reading_paused:
            self._transport.pause_reading()
        elif self._reading_paused and not paused:
            self._transport.resume_reading()
        self._reading_paused = paused

    def _close(self) -> None:
        self._closing = True
        self._transport.close()
        self._watch(self.service.body_timeout)

    def _linger(self) -> None:
        """Close the write side and hear the client out for a moment."""
        # To close at once while the client still writes makes its kernel drop
        # the answer (RFC 9112, 9.6).
        self._pause_reading(False)
        self._closing = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._watch(LINGER)
        else:
            self._close()

    def _cut(self) -> None:
        self._closing = True
        self._stop_sending()
        self._transport.abort()

    def on_deadline(self, now: float) -> None:
        """Act on the deadline that has passed; the class below knows how."""
        raise NotImplementedError

    def _watch(self, seconds: float) -> None:
        self.service.heartbeat.watch_for(self, seconds)
