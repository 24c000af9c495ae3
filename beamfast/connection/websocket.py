"""
WebSocket connections: the driver on a transport, and the subscriber of topics.

One object per connection: the write half is :class:`beamfast._outbound.Outbound`,
the protocol rules are :class:`beamfast.protocol.rfc6455.Rfc6455Driver`. Of the
request only path and user stay. Messages reach ``on_message``, set while the
connection opens, or are checked and dropped when nobody set it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Callable
from typing import Final, Self

from beamfast._frames import build_frame
from beamfast._outbound import Outbound
from beamfast.connection.heartbeat import OUTSIDE
from beamfast.connection.service import Service
from beamfast.errors import CloseCode
from beamfast.http import Request, Upgrade
from beamfast.protocol.events import Failed, Pong
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side, State

TEXT: Final = 1

#: Seconds for the closing handshake and the last bytes; then the socket is cut.
CLOSE_TIMEOUT: Final = 10.0
#: Seconds for a peer that is too slow to read its close frame.
OVERFLOW_TIMEOUT: Final = 1.0
#: Seconds for a peer that still writes to find its close frame.
LINGER: Final = 2.0

logger: logging.Logger = logging.getLogger("beamfast.websocket")


class WebSocket(Outbound):
    """
    One open WebSocket; also the asyncio protocol of its transport.

    Attributes:
        path: canonical path of the request.
        user: name of the authenticated user, or None.
        on_message: called with each message, ``str`` or ``bytes``; fixed when
            the connection has opened.
        on_close: called once with code and reason when the connection is gone.
    """

    __slots__ = (
        "_awaits_pong",
        "_driver",
        "_has_ended",
        "_is_plain",
        "_ping_interval",
        "_ping_timeout",
        "_service",
        "bucket",
        "deadline",
        "on_close",
        "on_message",
        "path",
        "user",
    )

    def __init__(
        self, driver: Rfc6455Driver, path: str, upgrade: Upgrade, service: Service
    ) -> None:
        super().__init__()
        # One object for all connections of a path.
        self.path: str = sys.intern(path)
        self.user: str | None = None
        self.on_message: Callable[[str | bytes], object] | None = None
        self.on_close: Callable[[WebSocket, int, str], None] | None = None
        self.deadline: float = math.inf
        self.bucket: int = OUTSIDE
        self._driver = driver
        self._is_plain = driver.is_plain
        # Of the rest a connection would keep alive what opened it.
        self._ping_interval = upgrade.ping_interval
        self._ping_timeout = upgrade.ping_timeout
        self._service = service
        self._awaits_pong = False
        self._has_ended = False

    @classmethod
    def of_request(cls, request: Request, upgrade: Upgrade, service: Service) -> Self:
        """Return the socket that follows the 101 for ``request``."""
        driver = Rfc6455Driver(
            Side.SERVER,
            max_size=upgrade.max_size,
            max_fragments=upgrade.max_fragments,
            subprotocol=upgrade.subprotocol,
        )
        websocket = cls(driver, request.path, upgrade, service)
        websocket.user = request.user
        return websocket

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        """Return a StreamItem as one text frame; a plain socket has no versions."""
        return build_frame(TEXT, text)

    @property
    def state(self) -> State:
        """Where the connection stands (RFC 6455, 4.1, 7.1)."""
        return self._driver.state

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol (RFC 6455, 1.9)."""
        return self._driver.subprotocol

    def open(self, on_open: Callable[[WebSocket], object]) -> None:
        """Let the plugin set its callbacks and subscribe."""
        self._watch_pings()
        try:
            on_open(self)
        except Exception:
            logger.exception("the WebSocket of %s could not be opened", self.path)
            self._driver.fail(CloseCode.INTERNAL_ERROR, "internal error")
            self._flush()
        self._driver.deliver = self.on_message

    def send(self, message: str | bytes) -> bool:
        """
        Queue one message for this peer alone.

        Args:
            message: a str goes out as text, bytes as binary.

        Returns:
            False when the connection is closing or closed.

        Raises:
            ValueError: a str that has no UTF-8 form.
        """
        if self._is_plain:
            if self._driver.has_news:
                # A Pong that was due before leaves before (RFC 6455, 5.5.3).
                self._flush()
            # The bytes that the driver would return, in a tenth of the time.
            return self.write_message(message)
        if isinstance(message, str):
            accepted = self._driver.send_text(message)
        else:
            accepted = self._driver.send_binary(message)
        self._flush()
        return accepted

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bool:
        """
        Start the closing handshake (RFC 6455, 7.1.2).

        Args:
            code: that an application may send.
            reason: at most 123 bytes of UTF-8.

        Returns:
            False when the connection is closing or closed already.

        Raises:
            ValueError: the code may not be sent, or the reason is too long.
        """
        sent = self._driver.send_close(code, reason)
        self._flush()
        if sent:
            self._watch(CLOSE_TIMEOUT)
        return sent

    def drain(self) -> None:
        """Say that the server stops (RFC 6455, 7.4.1, code 1001)."""
        self.close(CloseCode.GOING_AWAY, "server stops")

    def on_overflow(self) -> None:
        """The peer does not keep up: drop its queue and close with 1013."""
        logger.warning("the WebSocket of %s is too slow, closed", self.path)
        self.drop_queue()
        self._driver.fail(CloseCode.TRY_AGAIN_LATER, "too slow")
        self._flush()
        self._watch(OVERFLOW_TIMEOUT)

    def on_deadline(self, now: float) -> None:
        """Send a ping, miss a pong, or give up a close that takes too long."""
        if self._driver.state is not State.OPEN:
            self.abort()
        elif self._awaits_pong:
            self._driver.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._flush()
            self._watch(OVERFLOW_TIMEOUT)
        else:
            self._awaits_pong = True
            self._driver.send_ping()
            self._flush()
            self._watch(self._ping_timeout)

    # The transport's side; the write half is inherited.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport was open already when it was handed over."""

    def data_received(self, data: bytes) -> None:
        """Feed the driver; replies of one read leave in one send."""
        if self._has_ended:
            return
        self.cork()
        try:
            self._driver.receive_data(data)
        except Exception:
            # A callback of the application; the peer learns no more than that.
            logger.exception("a callback of the WebSocket of %s failed", self.path)
            self._driver.fail(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            if self._driver.has_news:
                self._flush()
            self.uncork()

    def eof_received(self) -> bool:
        """The peer will send nothing more: close our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave every topic, free what is held, tell the plugin."""
        super().connection_lost(exc)
        self._service.heartbeat.forget(self)
        self._driver.receive_eof()
        # What the plugin gave us may refer to us.
        self.on_message = self._driver.deliver = None
        callback, self.on_close = self.on_close, None
        if callback is None:
            return
        code = self._driver.close_code or CloseCode.ABNORMAL_CLOSURE
        try:
            callback(self, code, self._driver.close_reason)
        except Exception:
            logger.exception("on_close of the WebSocket of %s failed", self.path)

    # Between driver and socket.

    def _flush(self) -> None:
        """Write what the driver has to say, and close when it says so."""
        pieces = self._driver.data_to_send()
        if pieces and self._driver.state is not State.OPEN:
            # The last piece is the close frame, which nothing may follow, not
            # even what topics publish (RFC 6455, 5.5.1).
            close_frame = pieces.pop()
            for piece in pieces:
                self.write(piece)
            self.write_last(close_frame)
        else:
            for piece in pieces:
                self.write(piece)
        was_failed = False
        for event in self._driver.events_received():
            if isinstance(event, Failed):
                was_failed = True
            elif isinstance(event, Pong) and self._driver.state is State.OPEN:
                # Not while closing: that has a deadline of its own.
                self._awaits_pong = False
                self._watch_pings()
        if self._driver.close_expected() and not (self._has_ended or self.is_closing):
            self._has_ended = True
            self._hang_up(was_failed)

    def _hang_up(self, was_failed: bool) -> None:
        """Close TCP, without taking the close frame back (RFC 6455, 7.1.1)."""
        transport = self.transport
        if (
            was_failed
            and transport is not None
            and not self.is_paused
            and transport.can_write_eof()
        ):
            # To close while the peer still writes resets the connection, and the
            # reset may reach it before it has read why.
            transport.write_eof()
            self._watch(LINGER)
        else:
            self.close_transport()
            self._watch(CLOSE_TIMEOUT)

    def _watch_pings(self) -> None:
        if self._ping_interval:
            self._watch(self._ping_interval)
        else:
            self._service.heartbeat.watch(self)

    def _watch(self, seconds: float) -> None:
        self._service.heartbeat.watch_for(self, seconds)
