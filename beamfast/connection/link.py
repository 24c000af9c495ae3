"""
A WebSocket driver on a transport: bytes both ways, deadlines, the end.

What is common to both ends and to every receive mode;
:mod:`beamfast.connection.websocket` is what programs see. The write half is
:class:`beamfast._outbound.Outbound`, the rules are those of the driver.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final

from beamfast._intake import data_received
from beamfast.connection.conversation import CLOSE_TIMEOUT, Conversation
from beamfast.connection.patience import Patient
from beamfast.connection.service import Surroundings
from beamfast.connection.terms import Terms
from beamfast.errors import CloseCode
from beamfast.protocol.delivery import CommonHandler
from beamfast.protocol.driver import Deliver, Driver, State
from beamfast.protocol.events import Closed, Failed, Pong
from beamfast.protocol.rfc6455 import Rfc6455Driver, ping_frame

#: Seconds for a peer that is too slow to read its close frame.
OVERFLOW_TIMEOUT: Final = 1.0
#: Seconds for a peer that still writes to find its close frame, and for a server
#: to close TCP before its client does.
LINGER: Final = 2.0

logger: logging.Logger = logging.getLogger("beamfast.websocket")


class Link(Patient):
    """
    A driver on a transport; also the asyncio protocol of the latter.

    Args:
        driver: open, of any version; None to make one at need.
        path: what was asked for.
        surroundings: loop, clock and tasks.
        terms: what was agreed.

    Attributes:
        path: canonical path of the request.
        user: name of the authenticated user, or None.
        opened: when, in seconds since the epoch; 0 where nobody noted it.
        on_message: called with each message, ``str`` or ``bytes``, or what many
            sockets share; fixed when the connection has opened.
        on_close: called once with code and reason when the connection is gone.
    """

    __slots__ = (
        "_awaits_pong",
        "_conversation",
        "_has_ended",
        "_own_driver",
        "_receive",
        "_surroundings",
        "_terms",
        "on_close",
        "on_message",
        "opened",
        "path",
        "user",
    )

    def __init__(
        self,
        driver: Driver | None,
        path: str,
        surroundings: Surroundings,
        terms: Terms,
    ) -> None:
        # By name, here and below: super() is an object of its own each time.
        Patient.__init__(self, surroundings.loop, terms.stall_timeout)
        # One object for all connections of a path.
        self.path: str = sys.intern(path)
        self.user: str | None = None
        self.opened: int = 0
        self.on_message: Deliver | CommonHandler | None = None
        self.on_close: Callable[[Any, int, str], None] | None = None
        self._own_driver = driver
        if driver is not None:
            self.is_plain: bool = driver.is_plain
        self._terms = terms
        self._surroundings = surroundings
        # What gets messages, as it was when the connection opened.
        self._receive: Deliver | CommonHandler | None = None
        self._awaits_pong = False
        self._has_ended = False
        # A subscriber has none: it would cost more than all the rest.
        self._conversation: Conversation | None = None

    # The driver, which an idle subscriber has not.

    @property
    def _driver(self) -> Driver:
        driver = self._own_driver
        return self._make_driver() if driver is None else driver

    def _make_driver(self) -> Driver:
        driver = self._own_driver = self._new_driver(self._terms)
        driver.deliver = self._receiving()
        driver.output_blocked = self._paused_at is not None
        if self.transport is None:
            driver.receive_eof()
        return driver

    def _new_driver(self, terms: Terms) -> Driver:
        """Return one as if the connection had just opened; who has one keeps it."""
        raise NotImplementedError

    def _receiving(self) -> Deliver | None:
        """Return what a new driver gives messages to."""
        raise NotImplementedError

    def _let_go_of_driver(self) -> None:
        """Be idle again, if another driver could take over from here."""
        driver = self._own_driver
        if (
            isinstance(driver, Rfc6455Driver)
            and driver.is_at_rest
            and self._conversation is None
            and self._terms.is_renewable
        ):
            self._own_driver = driver.deliver = None

    @property
    def _state(self) -> State:
        driver = self._own_driver
        if driver is None and self.transport is not None:
            return State.OPEN
        return self._driver.state

    # What is decided elsewhere.

    def on_drain(
        self, code: int = CloseCode.GOING_AWAY, retry: float | None = None
    ) -> None:
        """
        Say that the server stops, or restarts (RFC 6455, 7.4.1).

        Args:
            code: 1001, or 1012 for a restart.
            retry: seconds after which the client may come back; told as the reason.
        """
        restarts = code == CloseCode.SERVICE_RESTART
        reason = "server restarts" if restarts else "server stops"
        if retry is not None:
            reason = f"retry-after={round(retry * 1000)}"
        self._start_closing(code, reason)

    def expire(self) -> None:
        """Close because what named the user has ended; the client logs in again."""
        self._start_closing(CloseCode.AUTHENTICATION_EXPIRED, "authentication expired")

    def on_overflow(self) -> None:
        """The peer does not keep up: drop its queue and close with 1013."""
        logger.warning("the WebSocket of %s is too slow, closed", self.path)
        self.drop_queue()
        self._driver.fail(CloseCode.TRY_AGAIN_LATER, "too slow")
        self._flush()
        self._watch(OVERFLOW_TIMEOUT)

    def on_deadline(self, now: float) -> None:
        """Send a ping, miss a pong, or give up a close that takes too long."""
        conversation, driver = self._conversation, self._own_driver
        if self._state is not State.OPEN:
            self.abort()
        elif driver is not None and driver.has_held_failure:
            self._fail_at_last()
        elif self.waits_for_peer(now):
            pass  # a ping would wait behind all the rest
        elif conversation is not None and conversation.is_paused:
            # No pong is read while nothing is; a write tells whether the peer lives.
            self._send_ping(self._terms.ping_interval)
        elif self._awaits_pong:
            self._driver.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._flush()
            self._watch(OVERFLOW_TIMEOUT)
        else:
            self._awaits_pong = True
            self._send_ping(self._terms.ping_timeout)

    def _send_ping(self, seconds: float) -> None:
        if self._own_driver is None:
            # Any pong will do, so there is nothing to remember.
            self.write(ping_frame())
        else:
            self._own_driver.send_ping()
            self._flush()
        self._watch(seconds)

    # The transport's side; the write half is inherited.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport was open already when it was handed over."""

    # Compiled, as most reads are messages and nothing else.
    data_received: ClassVar[Callable[[Any, bytes], None]] = data_received

    def pause_writing(self) -> None:
        """The peer does not read: pings are answered when it does again."""
        super().pause_writing()
        if self._own_driver is not None:
            self._own_driver.output_blocked = True

    def resume_writing(self) -> None:
        """The peer reads; only its latest ping still needs an answer."""
        if self._own_driver is not None:
            self._own_driver.output_blocked = False
        super().resume_writing()
        self._flush()

    def eof_received(self) -> bool:
        """The peer will send nothing more: close our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave every topic, free what is held, tell whoever waits."""
        Patient.connection_lost(self, exc)
        self._surroundings.heartbeat.forget(self)
        code: int = CloseCode.ABNORMAL_CLOSURE
        reason = ""
        driver = self._own_driver
        # What the program gave us may refer to us.
        self.on_message = self._receive = None
        if (
            exc is not None
            and self._conversation is not None
            and (driver is None or driver.state is State.OPEN)
        ):
            self._tell_failure(f"Network error: {self.path}: {exc}")
        if driver is not None:
            driver.receive_eof()
            driver.deliver = None
            code = driver.close_code or code
            reason = driver.close_reason
        if self._conversation is not None:
            self._conversation.end(code, reason)
        callback, self.on_close = self.on_close, None
        if callback is None:
            return
        try:
            callback(self, code, reason)
        except Exception:
            logger.exception("on_close of the WebSocket of %s failed", self.path)

    def _call_with_messages(self, on_message: Callable[[str | bytes], object]) -> None:
        self.on_message = on_message
        if self.transport is not None:
            self._driver.deliver = on_message

    # Between driver and socket.

    def _start_closing(self, code: int, reason: str = "") -> bool:
        sent = self._driver.send_close(code, reason)
        self._flush()
        if sent and self._conversation is None:
            self._watch(CLOSE_TIMEOUT)
        elif sent and self._conversation is not None:
            self._watch(self._conversation.close_timeout)
            self._conversation.read_to_the_end()
        return sent

    def _hold_failure(self) -> None:
        """Let the handler answer what came before the peer's mistake."""
        conversation = self._conversation
        if conversation is None or conversation.is_read:
            self._fail_at_last()
        else:
            self._watch(OVERFLOW_TIMEOUT)

    def _fail_at_last(self) -> None:
        if self._driver.has_held_failure:
            self._driver.let_fail()
            self._flush()
            self._watch(LINGER)

    def _fail(self, why: str, error: Exception) -> None:
        """Report an error of the program; the peer learns no more than that."""
        logger.error(why, self.path, exc_info=error)
        self._driver.fail(CloseCode.INTERNAL_ERROR, "internal error")
        self._flush()

    def _flush(self) -> None:
        """Write what the driver has to say, and close when it says so."""
        driver = self._own_driver
        if driver is None:
            return
        pieces = driver.data_to_send()
        if pieces and driver.state is not State.OPEN:
            # The last piece is the close frame, which nothing may follow, not
            # even what topics publish (RFC 6455, 5.5.1).
            close_frame = pieces.pop()
            for piece in pieces:
                self.write(piece)
            self.write_last(close_frame)
        else:
            for piece in pieces:
                self.write(piece)
        was_failed = was_answered = False
        for event in driver.events_received():
            if isinstance(event, Failed):
                was_failed = True
                self._tell_failure(event.message)
            elif isinstance(event, Pong):
                self._receive_pong(event)
                was_answered = True
            elif isinstance(event, Closed) and self._conversation is not None:
                # What was received before can still be read.
                self._conversation.wake()
            elif isinstance(event, str | bytes) and driver.deliver is not None:
                # Parsed while the connection was being opened.
                driver.deliver(event)
        if driver.close_expected() and not (self._has_ended or self.is_closing):
            self._has_ended = True
            self._hang_up(was_failed)
        elif was_answered:
            # Once in a ping interval: whoever talks needs it all the time.
            self._let_go_of_driver()

    def _tell_failure(self, reason: str) -> None:
        conversation = self._conversation
        if conversation is not None and conversation.listeners is not None:
            conversation.listeners.emit("error", reason)

    def _receive_pong(self, pong: Pong) -> None:
        if self._conversation is not None:
            self._conversation.complete(pong.pings)
        if self._driver.state is State.OPEN:
            # Not while closing: that has a deadline of its own.
            self._awaits_pong = False
            self._watch_pings()

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
        elif self._driver.is_client and not was_failed:
            # The side that closes first keeps the port busy: the server's duty.
            self._watch(LINGER)
        else:
            self.close_transport()
            self._watch(CLOSE_TIMEOUT)

    def _watch_pings(self) -> None:
        interval, heartbeat = self._terms.ping_interval, self._surroundings.heartbeat
        if interval:
            heartbeat.watch_for(self, interval)
        else:
            heartbeat.watch(self)

    def _watch(self, seconds: float) -> None:
        self._surroundings.heartbeat.watch_for(self, seconds)
