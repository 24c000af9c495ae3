"""What a driver has to say: events for its host, bytes for the peer."""

from __future__ import annotations

from beamfast.protocol.events import Event


class Outbox:
    """
    Events and bytes until someone takes them.

    The lists are created at need: most connections are idle, and there are many.
    """

    __slots__ = ("_events", "_output")

    def __init__(self) -> None:
        self._events: list[Event] | None = None
        self._output: list[bytes] | None = None

    @property
    def has_news(self) -> bool:
        """True when one of the two methods below would return something."""
        return self._events is not None or self._output is not None

    def events_received(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self._events = self._events, None
        return [] if events is None else events

    def data_to_send(self) -> list[bytes]:
        """Return the bytes to write since the last call, in order."""
        output, self._output = self._output, None
        return [] if output is None else output

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
