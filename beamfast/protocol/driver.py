"""
What all drivers share: sides, states, legal moves.

A driver is a state machine without I/O: bytes in through ``receive_data``, events
out through ``events_received``, bytes out through ``data_to_send``. It is not
thread-safe and keeps no reference to a buffer that it was given.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal

from beamfast._intake import Intake
from beamfast.errors import CloseCode, InvalidState
from beamfast.protocol.closing import is_close_code
from beamfast.protocol.events import Closed, Failed
from beamfast.protocol.stream import MessageStream

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Gets each complete message: text as ``str``, binary as ``bytes``.
Deliver = Callable[[str | bytes], object]

#: Who began to close.
Initiator = Literal["local", "remote"]


class Side(enum.Enum):
    """Which end of the connection a driver speaks for."""

    SERVER = "server"
    CLIENT = "client"


class State(enum.Enum):
    """Where a connection stands (RFC 6455, 4.1 and 7.1)."""

    CONNECTING = enum.auto()
    OPEN = enum.auto()
    #: We sent the first close frame and wait for the other one.
    LOCAL_CLOSING = enum.auto()
    #: The peer sent the first close frame.
    REMOTE_CLOSING = enum.auto()
    CLOSED = enum.auto()

    @property
    def ready_state(self) -> int:
        """The number that browsers use: 0 connecting, 1 open, 2 closing, 3 closed."""
        return _READY_STATES[self]


_READY_STATES: Final = dict(zip(State, (0, 1, 2, 2, 3), strict=True))


class Step(enum.Enum):
    """What moves a connection from one state to the next."""

    OPENED = "opening handshake"
    CLOSE_SENT = "close frame sent"
    CLOSE_RECEIVED = "close frame received"
    ENDED = "end"


MOVES: Final = {
    (State.CONNECTING, Step.OPENED): State.OPEN,
    (State.CONNECTING, Step.ENDED): State.CLOSED,
    (State.OPEN, Step.CLOSE_SENT): State.LOCAL_CLOSING,
    (State.OPEN, Step.CLOSE_RECEIVED): State.REMOTE_CLOSING,
    (State.OPEN, Step.ENDED): State.CLOSED,
    (State.LOCAL_CLOSING, Step.CLOSE_RECEIVED): State.CLOSED,
    (State.LOCAL_CLOSING, Step.ENDED): State.CLOSED,
    (State.REMOTE_CLOSING, Step.CLOSE_SENT): State.CLOSED,
}


class Driver(Intake, ABC):
    """
    One connection after its opening handshake, of any version.

    Attributes:
        version: name of the protocol version, such as ``hybi-13``.
        subprotocol: the negotiated one, or None.
        state: moved by the driver only.
        close_code: of the :class:`~beamfast.protocol.events.Closed` event, None
            until then.
        close_reason: of the same event.
        holds_failures: set by whoever answers messages later: what the peer does
            wrong is kept until :meth:`let_fail`, so that the messages before it
            can still be answered.
        output_blocked: set by whoever writes, while the peer does not read: only
            the latest ping is answered when it is reset.
    """

    __slots__ = (
        "_stream",
        "close_code",
        "close_reason",
        "holds_failures",
        "output_blocked",
        "state",
        "subprotocol",
        "version",
    )

    def __init__(self, version: str, subprotocol: str | None) -> None:
        super().__init__()
        self.version: str = version
        self.subprotocol: str | None = subprotocol
        self.state: State = State.OPEN
        self.close_code: int | None = None
        self.close_reason: str = ""
        self.holds_failures: bool = False
        self.output_blocked: bool = False
        self._stream: MessageStream | None = None

    @property
    def deliver(self) -> Deliver | None:
        """
        What gets each complete message, right when it is parsed.

        Until it is set, messages stand among the events. None means that they
        are checked and dropped without being built.
        """
        return self._deliver

    @deliver.setter
    def deliver(self, deliver: Deliver | None) -> None:
        self._deliver = deliver
        self._alone = False

    def stream_message(
        self, on_arrival: Callable[[], object] | None = None, *, as_text: bool = True
    ) -> MessageStream:
        """
        Return one message that can be read while it arrives.

        It is the one that is on its way, from its start, or else the next one; it
        is not delivered otherwise. Those after it come as ever. All limits hold.

        Args:
            on_arrival: called whenever there is more to take.
            as_text: text comes as ``str`` and not as UTF-8.

        Raises:
            InvalidState: the last one was not taken to its end.
        """
        if self.is_streaming:
            raise InvalidState("a message is being received in pieces")
        self._stream = self._new_stream(on_arrival, as_text)
        return self._stream

    @property
    def is_streaming(self) -> bool:
        """True while a message of :meth:`stream_message` is not taken completely."""
        return self._stream is not None and not self._stream.is_complete

    def cancel_stream(self) -> bool:
        """Undo :meth:`stream_message`; False when the message has begun."""
        if self._stream is not None and self._stream.has_begun:
            return self._stream.is_complete
        self._stream = None
        return True

    def _new_stream(
        self, on_arrival: Callable[[], object] | None, as_text: bool
    ) -> MessageStream:
        return MessageStream(
            (), 0, as_text=as_text, fail=self.fail, on_arrival=on_arrival
        )

    @property
    def is_client(self) -> bool:
        """True when this end opened the connection."""
        return False

    @property
    def is_plain(self) -> bool:
        """True when a message leaves as one frame, neither masked nor coded."""
        return False

    # Bytes in.

    @abstractmethod
    def receive_data(self, data: Buffer) -> None:
        """
        Read the next bytes of the peer; after the end they are dropped.

        Raises nothing by itself: what the peer does wrong fails the connection.
        An exception of ``deliver`` passes through.
        """

    def receive_eof(self) -> None:
        """Note that TCP ended; without a closing handshake that is 1006."""
        if self.state is not State.CLOSED:
            by = self._initiator()
            self._move(Step.ENDED)
            self._end(CloseCode.ABNORMAL_CLOSURE, by=by)

    def close_expected(self) -> bool:
        """
        Tell whether the TCP connection has no further use.

        A server closes it at once, a client gives the server a moment to do so
        (RFC 6455, 7.1.1).
        """
        return self.state is State.CLOSED

    # Bytes out. A version that lacks a kind of frame keeps what stands here.

    @abstractmethod
    def send_text(self, text: str | Buffer) -> bool:
        """
        Send a text message; False when the connection is closing or closed.

        Raises:
            InvalidState: a fragmented message is not finished.
            ValueError: a lone surrogate, or bytes that are not UTF-8.
        """

    def send_binary(self, data: Buffer) -> bool:
        """
        Send a binary message; False when the connection is closing or closed.

        Raises:
            InvalidState: a fragmented message is not finished.
            TypeError: ``data`` is not bytes-like.
        """
        return False

    def send_fragment(self, data: str | Buffer, *, fin: bool) -> bool:
        """
        Send the next piece of a fragmented message (RFC 6455, 5.4).

        The first piece says by its type whether the message is text or binary.
        Fragments are not compressed.

        Returns:
            False when the connection is closing or closed.
        """
        return False

    def send_fragments(self, pieces: Iterable[str | Buffer]) -> bool:
        """
        Send one message while it is produced: a frame for each piece.

        Args:
            pieces: of one type; the first decides between text and binary, and
                none at all are an empty binary message (RFC 6455, 5.4).

        Returns:
            False as soon as the connection takes no more; the rest of
            ``pieces`` is not asked for.
        """
        waiting: str | Buffer | None = None
        for piece in pieces:
            if waiting is not None and not self.send_fragment(waiting, fin=False):
                return False
            waiting = piece
        return self.send_fragment(b"" if waiting is None else waiting, fin=True)

    def send_ping(self, payload: Buffer | None = None) -> bytes | None:
        """
        Send a ping and return its payload, by which a Pong names it.

        Args:
            payload: at most 125 bytes; random ones if None.

        Returns:
            None when the connection is closing or closed.

        Raises:
            ValueError: the payload is too long.
        """
        return None

    def send_pong(self, payload: Buffer = b"") -> bool:
        """
        Send a pong that nobody asked for (RFC 6455, 5.5.3).

        Returns:
            False when the connection is closing or closed.

        Raises:
            ValueError: the payload is longer than 125 bytes.
        """
        return False

    @abstractmethod
    def send_close(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> bool:
        """
        Start the closing handshake (RFC 6455, 7.1.2).

        Args:
            code: one that an application may send.
            reason: at most 123 bytes of UTF-8.

        Returns:
            False when the connection is closing or closed already.

        Raises:
            ValueError: a wrong code or a reason that is too long.
        """

    def fail(self, code: int, reason: str = "") -> None:
        """
        Fail the connection (RFC 6455, 7.1.7): at most one close frame, the end.

        Args:
            code: what the peer is told.
            reason: cut to 123 bytes.

        Raises:
            ValueError: the code cannot stand in a close frame.
        """
        if not is_close_code(code):
            raise ValueError(f"close code {code} cannot be sent")
        if self.state is State.CLOSED:
            return
        if self.state is State.OPEN:
            self._tell_failure(code, reason)
        self._move(Step.ENDED)
        self._emit(Failed(reason, code))
        self._end(CloseCode.ABNORMAL_CLOSURE, by="local")

    @property
    def has_held_failure(self) -> bool:
        """True when the connection is about to fail; what follows is not read."""
        return self._held is not None

    def let_fail(self) -> None:
        """Fail for the reason that was held, if there is one."""
        held, self._held = self._held, None
        if held is not None:
            self.fail(*held)

    # For the versions.

    def _fail_in_turn(self, code: int, reason: str) -> None:
        """Fail because of the peer: now, or when messages have been answered."""
        if self.holds_failures and self.state is State.OPEN:
            self._held = code, reason
        else:
            self.fail(code, reason)

    def _tell_failure(self, code: int, reason: str) -> None:
        """Say goodbye to a peer that broke the protocol, if there is a way."""

    def _free(self) -> None:
        """Let go what an open connection needs."""

    def _end(
        self, code: int, reason: str = "", *, clean: bool = False, by: Initiator
    ) -> None:
        """Report the end, to which the state has moved already."""
        self._free()
        self.close_code = code
        self.close_reason = reason
        self._emit(Closed(code, reason, clean, by))

    def _initiator(self) -> Initiator:
        """Tell who began to close, when the peer does something final now."""
        return "remote" if self.state is State.OPEN else "local"

    def _move(self, step: Step) -> None:
        try:
            self.state = MOVES[self.state, step]
        except KeyError:
            state = self.state.name.lower()
            raise InvalidState(f"{step.value} while {state}") from None

    def _pass_on(self, message: str | bytes) -> None:
        """Deliver one message."""
        if self._stream is not None and not self._stream.has_begun:
            self._stream.feed_whole(message)
        elif self._alone:
            self._emit(message)
        elif self._deliver is not None:
            self._deliver(message)
