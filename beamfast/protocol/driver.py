"""
What all drivers share: sides, states, legal moves, and the two outboxes.

A driver is a state machine without I/O: bytes in through ``receive_data``, events
out through ``events_received``, bytes out through ``data_to_send``. It is not
thread-safe and keeps no reference to a buffer that it was given.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, Literal

from beamfast.errors import InvalidState
from beamfast.protocol.events import Closed, Event, Failed

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


class Driver:
    """
    State, events and output of one connection.

    Attributes:
        state: moved by the driver only.
        subprotocol: the negotiated one, or None.
        close_code: of the :class:`~beamfast.protocol.events.Closed` event, None
            until then.
        close_reason: of the same event.
    """

    __slots__ = (
        "_events",
        "_output",
        "close_code",
        "close_reason",
        "state",
        "subprotocol",
    )

    def __init__(self, state: State, subprotocol: str | None = None) -> None:
        self.state = state
        self.subprotocol = subprotocol
        self.close_code: int | None = None
        self.close_reason = ""
        # Created at need: most connections are idle, and there are many.
        self._events: list[Event] | None = None
        self._output: list[bytes] | None = None

    def events_received(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self._events = self._events, None
        return [] if events is None else events

    def data_to_send(self) -> list[bytes]:
        """Return the bytes to write since the last call, in order."""
        output, self._output = self._output, None
        return [] if output is None else output

    def close_expected(self) -> bool:
        """
        Tell whether the TCP connection has no further use.

        A server closes it at once, a client gives the server a moment to do so
        (RFC 6455, 7.1.1).
        """
        return self.state is State.CLOSED

    def _move(self, step: Step) -> None:
        try:
            self.state = MOVES[self.state, step]
        except KeyError:
            state = self.state.name.lower()
            raise InvalidState(f"{step.value} while {state}") from None

    def _event_list(self) -> list[Event]:
        if self._events is None:
            self._events = []
        return self._events

    def _emit(self, event: Event) -> None:
        self._event_list().append(event)

    def _put(self, data: bytes) -> None:
        if self._output is None:
            self._output = []
        self._output.append(data)

    def _initiator(self) -> Initiator:
        """Tell who began to close, when the peer does something final now."""
        return "remote" if self.state is State.OPEN else "local"

    def _report_failure(self, message: str, code: int) -> None:
        self._emit(Failed(message, code))

    def _report_end(
        self, code: int, reason: str, *, clean: bool, by: Initiator
    ) -> None:
        self.close_code = code
        self.close_reason = reason
        self._emit(Closed(code, reason, clean, by))
