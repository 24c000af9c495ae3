"""
EventSource streams: an endless response that Topic publications go out on.

Wire format: WHATWG HTML, section 9.2, by :mod:`beamfast.protocol.eventsource`.
The body has no framing of its own and ends with the connection, so the bytes of
a publication are the same for every stream of a lane.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

from beamfast.connection.patience import Patient
from beamfast.connection.service import Service
from beamfast.errors import CloseCode, ConnectionClosed
from beamfast.http import EventStream, Request
from beamfast.protocol.epochs import EMPTY_BLOCK, GZIP_HEAD
from beamfast.protocol.eventsource import comment, encode, encode_id, encode_retry
from beamfast.protocol.target import query_parameter

#: Seconds for the last bytes; then the socket is cut.
CLOSE_TIMEOUT: Final = 10.0
#: Seconds for a client that is too slow to read when it shall come back.
OVERFLOW_TIMEOUT: Final = 1.0

logger: logging.Logger = logging.getLogger("beamfast.eventsource")


class EventSource(Patient):
    """
    One open event stream; also the asyncio protocol of its transport.

    Attributes:
        path: canonical path of the request.
        user: name of the authenticated user, or None.
        opened: when, in seconds since the epoch.
        on_close: called once when the stream has ended.
        url: of the request while the program is told; later only the path.
        last_event_id: what the client has seen, empty for nothing; as long as a
            handler runs.
    """

    __slots__ = (
        "_ends",
        "_ping_interval",
        "_retry",
        "_service",
        "last_event_id",
        "on_close",
        "opened",
        "path",
        "url",
        "user",
    )

    def __init__(self, request: Request, stream: EventStream, service: Service) -> None:
        super().__init__(service.loop, stream.stall_timeout)
        self.path: str = sys.intern(request.path)
        self.user: str | None = request.user
        self.opened: int = 0
        self.on_close: Callable[[EventSource], None] | None = None
        # Of the rest a connection would keep alive what opened it.
        self._ping_interval = stream.ping_interval
        self._retry = stream.retry
        self._service = service
        self._ends: asyncio.Event | None = None
        scheme = "https" if request.is_secure else "http"
        host = request.headers.get("host") or ""
        self.url: str = f"{scheme}://{host}{request.target}"
        self.last_event_id: str = request.headers.get("last-event-id") or (
            query_parameter(request.query, "since") or ""
        )

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        """Return a StreamItem as one event whose id is the document's version."""
        return encode(text, event=event, id=version or None)

    @staticmethod
    def frame_message(message: str | bytes) -> bytes:
        """Return a message as one event; bytes as the text that they are."""
        if isinstance(message, bytes):
            message = message.decode("utf-8", "replace")
        return encode(message)

    def write(self, data: bytes) -> None:
        """Send bytes to this client alone; compressed streams take them as blocks."""
        if self.coding is not None:
            # They enter the window of the client, which it shares with others.
            self.leave_epochs()
            data = self.coding.outside().encode(data)
        super().write(data)

    def open(self, on_open: Callable[[EventSource], object]) -> None:
        """Send the reconnection time; let the program subscribe or send."""
        if self.coding is not None:
            super().write(GZIP_HEAD)
        self.write(encode_retry(self._retry))
        self._watch(self._ping_interval)
        try:
            started = on_open(self)
        except Exception:
            logger.exception("the event stream of %s could not be opened", self.path)
            self.close()
            started = None
        if inspect.iscoroutine(started):
            self._service.start_handler(self._handle(started))
        else:
            # A subscriber that only listens keeps nothing of the request.
            self.url, self.last_event_id = self.path, ""

    async def _handle(self, handler: Coroutine[Any, Any, Any]) -> None:
        """Run a handler; the stream ends when it does."""
        try:
            await handler
        except ConnectionClosed:
            pass
        except Exception:
            logger.exception("the handler of the stream of %s failed", self.path)
        finally:
            self.close()

    @property
    def closed(self) -> bool:
        """True when the stream is closing or closed."""
        return self.is_closing

    def send_nowait(
        self,
        data: str,
        *,
        event: str | None = None,
        id: str | None = None,
        retry: float | None = None,
    ) -> bool:
        """
        Send one event to this client alone.

        Args:
            data: any text; each line becomes a ``data`` field.
            event: its type, ``message`` for the client when None.
            id: what the client sends as ``Last-Event-ID`` when it reconnects.
            retry: seconds that it waits before, from now on.

        Returns:
            False when the stream is closing or closed.

        Raises:
            ValueError: ``event`` or ``id`` holds a line end, or ``id`` a NUL.
        """
        frame = encode(data, event=event, id=id, retry=retry)
        if self.is_closing:
            return False
        self.write(frame)
        return True

    async def send(
        self,
        data: str,
        event: str | None = None,
        id: str | None = None,
        retry: float | None = None,
    ) -> None:
        """
        Send one event as :meth:`send_nowait` does, and wait while the client is slow.

        Raises:
            ConnectionClosed: the stream is closing or closed.
            ValueError: as :meth:`send_nowait`.
        """
        if not self.send_nowait(data, event=event, id=id, retry=retry):
            raise ConnectionClosed(CloseCode.ABNORMAL_CLOSURE)
        if (waiter := self.wait_writable()) is not None:
            await waiter

    def ping(self) -> bool:
        """Send a comment, which keeps proxies awake; False when closed."""
        if self.is_closing:
            return False
        self.write(comment())
        return True

    async def wait_closed(self) -> None:
        """Wait until the stream has ended."""
        if self.transport is None:
            return
        if self._ends is None:
            self._ends = asyncio.Event()
        await self._ends.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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

    def on_drain(self, retry: float | None = None) -> None:
        """
        End the stream because the server stops; the client comes back.

        Args:
            retry: after so many seconds; as the stream began by default.
        """
        self.close(self._retry if retry is None else retry)

    def expire(self) -> None:
        """End because what named the user has ended; reconnecting says so."""
        self.close()

    def on_overflow(self) -> None:
        """The client does not keep up: end the stream, it reconnects and resumes."""
        logger.warning("the event stream of %s is too slow, closed", self.path)
        self.drop_queue()
        self.close(self._retry)
        self._watch(OVERFLOW_TIMEOUT)

    def on_deadline(self, now: float) -> None:
        """Keep proxies awake, or give up a client that does not read at all."""
        if self.is_closing:
            self.abort()
        elif not self.waits_for_peer(now):
            # What waits keeps proxies awake by itself, once it moves.
            if self.coding is None:
                self.write(comment())
            else:
                super().write(EMPTY_BLOCK)
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

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave every topic and tell the plugin."""
        super().connection_lost(exc)
        self._service.heartbeat.forget(self)
        if self._ends is not None:
            self._ends.set()
        callback, self.on_close = self.on_close, None
        if callback is None:
            return
        try:
            callback(self)
        except Exception:
            logger.exception("on_close of the event stream of %s failed", self.path)
