"""
EventSource streams: an endless response that Topic publications go out on.

Wire format: WHATWG HTML, section 9.2, by :mod:`beamfast.protocol.eventsource`.
The body has no framing of its own and ends with the connection, so the bytes of
a publication are the same for every stream of a lane.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Callable
from typing import Final

from beamfast._outbound import Outbound
from beamfast.connection.heartbeat import OUTSIDE
from beamfast.connection.service import Service
from beamfast.http import EventStream, Request
from beamfast.protocol.eventsource import comment, encode, encode_id, encode_retry

#: Seconds for the last bytes; then the socket is cut.
CLOSE_TIMEOUT: Final = 10.0

logger: logging.Logger = logging.getLogger("beamfast.eventsource")


class EventSource(Outbound):
    """
    One open event stream; also the asyncio protocol of its transport.

    Attributes:
        path: canonical path of the request.
        user: name of the authenticated user, or None.
        on_close: called once when the stream has ended.
    """

    __slots__ = (
        "_is_stalled",
        "_ping_interval",
        "_retry",
        "_service",
        "bucket",
        "deadline",
        "on_close",
        "path",
        "user",
    )

    def __init__(self, request: Request, stream: EventStream, service: Service) -> None:
        super().__init__()
        self.path: str = sys.intern(request.path)
        self.user: str | None = request.user
        self.on_close: Callable[[EventSource], None] | None = None
        self.deadline: float = math.inf
        self.bucket: int = OUTSIDE
        # Of the rest a connection would keep alive what opened it.
        self._ping_interval = stream.ping_interval
        self._retry = stream.retry
        self._service = service
        self._is_stalled = False

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        """Return a StreamItem as one event whose id is the document's version."""
        return encode(text, event=event, id=version)

    def open(self, on_open: Callable[[EventSource], None]) -> None:
        """Send the reconnection time and let the plugin subscribe."""
        self.write(encode_retry(self._retry))
        self._watch(self._ping_interval)
        try:
            on_open(self)
        except Exception:
            logger.exception("the event stream of %s could not be opened", self.path)
            self.close()

    def send(
        self,
        data: str,
        *,
        event: str | None = None,
        id: str | None = None,
    ) -> bool:
        """
        Send one event to this client alone.

        Args:
            data: any text; each line becomes a ``data`` field.
            event: its type, ``message`` for the client when None.
            id: what the client sends as ``Last-Event-ID`` when it reconnects.

        Returns:
            False when the stream is closing or closed.

        Raises:
            ValueError: ``event`` or ``id`` holds a line end, or ``id`` a NUL.
        """
        frame = encode(data, event=event, id=id)
        if self.is_closing:
            return False
        self.write(frame)
        return True

    def send_id(self, version: str) -> None:
        """Tell the client what to resume from, without an event."""
        self.write(encode_id(version))

    def close(self, retry: float | None = None) -> None:
        """
        End the stream once everything queued is out.

        Args:
            retry: seconds after which the client shall reconnect.
        """
        if self.is_closing:
            return
        if retry is not None:
            self.write(encode_retry(retry))
        self.close_transport()
        self._watch(CLOSE_TIMEOUT)

    def on_drain(self) -> None:
        """End the stream because the server stops; the client comes back."""
        self.close(self._retry)

    def expire(self) -> None:
        """End because what named the user has ended; reconnecting says so."""
        self.close()

    def on_overflow(self) -> None:
        """The client does not keep up: end the stream, it reconnects and resumes."""
        logger.warning("the event stream of %s is too slow, closed", self.path)
        self.abort()

    def on_deadline(self, now: float) -> None:
        """Keep proxies awake, or give up a client that does not read at all."""
        if self.is_closing or self._is_stalled:
            self.abort()
            return
        # What waits keeps proxies awake by itself, once it moves.
        self._is_stalled = self.is_paused
        if not self._is_stalled:
            self.write(comment())
        self._watch(self._ping_interval)

    def _watch(self, seconds: float) -> None:
        self._service.heartbeat.watch_for(self, seconds)

    # The transport's side; the write half is inherited.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport was open already when it was handed over."""

    def data_received(self, data: bytes) -> None:
        """Ignore it: the request is complete and no other one can be answered."""

    def eof_received(self) -> bool:
        """The client is gone: close."""
        return False

    def resume_writing(self) -> None:
        """The client reads."""
        self._is_stalled = False
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave every topic and tell the plugin."""
        super().connection_lost(exc)
        self._service.heartbeat.forget(self)
        callback, self.on_close = self.on_close, None
        if callback is None:
            return
        try:
            callback(self)
        except Exception:
            logger.exception("on_close of the event stream of %s failed", self.path)
