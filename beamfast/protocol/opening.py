"""
Before a connection is open: sends wait, and the end can come early.

:class:`~beamfast.protocol.server.ServerDriver` and
:class:`~beamfast.protocol.client.ClientDriver` are this and a handshake; once it
is done they hand everything to the driver of the version that was agreed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from beamfast._frames import utf8_valid
from beamfast._intake import Outbox
from beamfast.errors import CloseCode, InvalidState
from beamfast.protocol.closing import check_close
from beamfast.protocol.driver import Deliver, Driver, Initiator, State
from beamfast.protocol.events import Closed, Event, Failed, Opened
from beamfast.protocol.rfc6455 import DriverOptions
from beamfast.protocol.stream import MessageStream

if TYPE_CHECKING:
    from typing_extensions import Buffer

# What a frame costs beside its payload, so that empty ones are bounded too.
_FRAME_HEAD: Final = 14


class OpeningDriver(Outbox):
    """
    The face of a driver, from before its opening handshake.

    Args:
        max_queued_bytes: of what is sent before the connection is open; what
            exceeds it is not accepted.
        options: for the driver that takes over.

    Attributes:
        holds_failures: as :attr:`Driver.holds_failures`, from the first frame on.
    """

    __slots__ = (
        "_deliver",
        "_delivers",
        "_ended",
        "_inner",
        "_options",
        "_queue",
        "_queue_room",
        "holds_failures",
    )

    def __init__(self, max_queued_bytes: int, options: DriverOptions) -> None:
        super().__init__()
        unknown = options.keys() - DriverOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"unknown options: {sorted(unknown)}")
        self._options = options
        self.holds_failures: bool = False
        self._inner: Driver | None = None
        self._ended: Closed | None = None
        self._queue: list[Callable[[Driver], object]] = []
        self._queue_room = max_queued_bytes
        self._deliver: Deliver | None = None
        self._delivers = False

    @property
    def state(self) -> State:
        """Where the connection stands."""
        if self._inner is not None:
            return self._inner.state
        return State.CONNECTING if self._ended is None else State.CLOSED

    @property
    def version(self) -> str | None:
        """Name of the agreed version, None until then."""
        return None if self._inner is None else self._inner.version

    @property
    def subprotocol(self) -> str | None:
        """The agreed subprotocol, or None."""
        return None if self._inner is None else self._inner.subprotocol

    @property
    def close_code(self) -> int | None:
        """Code of the ``Closed`` event, None until then."""
        if self._inner is not None:
            return self._inner.close_code
        return None if self._ended is None else self._ended.code

    @property
    def close_reason(self) -> str:
        """Reason of the ``Closed`` event."""
        return "" if self._inner is None else self._inner.close_reason

    @property
    def deliver(self) -> Deliver | None:
        """What gets each complete message; see :attr:`Driver.deliver`."""
        return self._deliver

    @deliver.setter
    def deliver(self, deliver: Deliver | None) -> None:
        self._deliver = deliver
        self._delivers = True
        if self._inner is not None:
            self._inner.deliver = deliver

    def stream_message(
        self, on_arrival: Callable[[], object] | None = None, *, as_text: bool = True
    ) -> MessageStream:
        """
        Return one message that can be read while it arrives.

        Args and errors: as :meth:`Driver.stream_message`.

        Raises:
            InvalidState: the connection has not opened.
        """
        if self._inner is None:
            raise InvalidState("the connection has not opened")
        return self._inner.stream_message(on_arrival, as_text=as_text)

    def hand_over(self) -> Driver | None:
        """
        Give away the driver of the open connection, which goes on without this.

        Returns:
            None when the connection did not open. Bytes written and messages
            received so far, which nobody took, are the driver's.
        """
        return self._inner

    def events_received(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events = super().events_received()
        return events if self._inner is None else events + self._inner.events_received()

    def data_to_send(self) -> list[bytes]:
        """Return the bytes to write since the last call, in order."""
        data = super().data_to_send()
        return data if self._inner is None else data + self._inner.data_to_send()

    def close_expected(self) -> bool:
        """Tell whether the TCP connection has no further use."""
        return self.state is State.CLOSED

    def receive_eof(self) -> None:
        """Note that TCP ended."""
        if self._inner is not None:
            self._inner.receive_eof()
        else:
            self._end("remote")

    # Sends: at once when open, queued before.

    def send_text(self, text: str | Buffer) -> bool:
        """Send a text message, or queue it; see :meth:`Driver.send_text`."""
        if self._inner is not None:
            return self._inner.send_text(text)
        if not isinstance(text, str) and not utf8_valid(text):
            raise ValueError("the text is not UTF-8")
        data = text.encode() if isinstance(text, str) else bytes(text)
        return self._enqueue(data, lambda driver: driver.send_text(data))

    def send_binary(self, data: Buffer) -> bool:
        """Send a binary message, or queue it; see :meth:`Driver.send_binary`."""
        if self._inner is not None:
            return self._inner.send_binary(data)
        copy = bytes(memoryview(data))
        return self._enqueue(copy, lambda driver: driver.send_binary(copy))

    def send_fragment(self, data: str | Buffer, *, fin: bool) -> bool:
        """Send a fragment, or queue it; see :meth:`Driver.send_fragment`."""
        if self._inner is not None:
            return self._inner.send_fragment(data, fin=fin)
        copy = data if isinstance(data, str) else bytes(memoryview(data))
        size = copy.encode() if isinstance(copy, str) else copy
        return self._enqueue(size, lambda driver: driver.send_fragment(copy, fin=fin))

    def send_ping(self, payload: Buffer | None = None) -> bytes | None:
        """Send a ping, or queue it; see :meth:`Driver.send_ping`."""
        if self._inner is not None:
            return self._inner.send_ping(payload)
        data = secrets.token_bytes(4) if payload is None else _control(payload)
        queued = self._enqueue(data, lambda driver: driver.send_ping(data))
        return data if queued else None

    def send_pong(self, payload: Buffer = b"") -> bool:
        """Send a pong, or queue it; see :meth:`Driver.send_pong`."""
        if self._inner is not None:
            return self._inner.send_pong(payload)
        data = _control(payload)
        return self._enqueue(data, lambda driver: driver.send_pong(data))

    def send_close(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> bool:
        """
        Start the closing handshake; before the opening one nothing is written.

        Raises:
            ValueError: as :meth:`Driver.send_close`.
        """
        if self._inner is not None:
            return self._inner.send_close(code, reason)
        check_close(code, reason, is_client=True)
        return self._end("local")

    def fail(self, code: int, reason: str = "") -> None:
        """Fail the connection; before it is open nothing is written."""
        if self._inner is not None:
            self._inner.fail(code, reason)
        elif self._ended is None:
            self._emit(Failed(reason, code))
            self._end("local")

    # For the two handshakes.

    def _enqueue(self, data: bytes, send: Callable[[Driver], object]) -> bool:
        self._queue_room -= len(data) + _FRAME_HEAD
        if self._ended is not None or self._queue_room < 0:
            self._queue_room += len(data) + _FRAME_HEAD
            return False
        self._queue.append(send)
        return True

    def _open(
        self, driver: Driver, rest: bytes, extensions: tuple[str, ...] = ()
    ) -> None:
        """Hand over to ``driver``; what was queued goes out before ``Opened``."""
        self._inner = driver
        driver.holds_failures = self.holds_failures
        if self._delivers:
            driver.deliver = self._deliver
        for send in self._queue:
            send(driver)
        self._queue.clear()
        self._emit(Opened(driver.version, driver.subprotocol, extensions))
        driver.receive_data(rest)

    def _end(self, by: Initiator) -> bool:
        if self._ended is not None:
            return False
        self._queue.clear()
        # No close frame was exchanged, whatever was asked for (RFC 6455, 7.1.5).
        self._ended = Closed(CloseCode.ABNORMAL_CLOSURE, "", False, by)
        self._emit(self._ended)
        return True


def _control(payload: Buffer) -> bytes:
    data = bytes(memoryview(payload))
    if len(data) > 125:
        raise ValueError("a control frame holds at most 125 bytes")
    return data
