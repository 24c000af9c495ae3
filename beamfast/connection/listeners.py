"""
Event-style callbacks: ``websocket.on("message", listener)``.

For programs that were written against event emitters. An event that comes before
its first listener waits for it; messages wait in the bounded buffer of the socket.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

#: What a listener is called with: nothing, the message, the reason of a failure,
#: code and reason of the close.
EVENTS: Final = ("open", "message", "error", "close")

Listener = Callable[..., object]


class Listeners:
    """
    Who is called for what on one socket.

    Args:
        start: runs a coroutine as a task.
        on_failure: told about an exception of a coroutine listener.
    """

    __slots__ = ("_by_event", "_calls", "_on_failure", "_start", "_waiting")

    def __init__(
        self,
        start: Callable[[Coroutine[Any, Any, None]], object],
        on_failure: Callable[[Exception], object],
    ) -> None:
        self._start = start
        self._on_failure = on_failure
        self._by_event: dict[str, list[Listener]] = {name: [] for name in EVENTS}
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}
        self._calls: deque[tuple[Listener, tuple[Any, ...]]] | None = None

    def has(self, event: str) -> bool:
        """
        Tell whether anybody listens.

        Raises:
            ValueError: there is no such event.
        """
        try:
            return bool(self._by_event[event])
        except KeyError:
            known = ", ".join(EVENTS)
            raise ValueError(f"no event {event!r}, only {known}") from None

    def add(self, event: str, listener: Listener) -> None:
        """Call ``listener`` from now on, first of all with what has waited for it."""
        is_first = not self.has(event)
        self._by_event[event].append(listener)
        if is_first:
            for arguments in self._waiting.pop(event, ()):
                self.emit(event, *arguments)

    def remove(self, event: str, listener: Listener) -> None:
        """Call ``listener`` no more; one that is not there is fine."""
        if self.has(event) and listener in self._by_event[event]:
            self._by_event[event].remove(listener)

    def emit(self, event: str, *arguments: object) -> None:
        """Call everybody who listens, or keep the event for the first who will."""
        # A copy: a listener may remove itself.
        listeners = list(self._by_event[event])
        if not listeners:
            self._waiting.setdefault(event, []).append(arguments)
        for listener in listeners:
            self._call(listener, arguments)

    def _call(self, listener: Listener, arguments: tuple[Any, ...]) -> None:
        if self._calls is not None:
            # Behind a coroutine that still runs: events keep their order.
            self._calls.append((listener, arguments))
            return
        result = listener(*arguments)
        if inspect.iscoroutine(result):
            self._calls = deque()
            self._start(self._run(result))

    async def _run(self, first: Coroutine[Any, Any, object]) -> None:
        waiting: Coroutine[Any, Any, object] | None = first
        try:
            while True:
                if waiting is not None:
                    await waiting
                if not self._calls:
                    return
                listener, arguments = self._calls.popleft()
                result = listener(*arguments)
                waiting = result if inspect.iscoroutine(result) else None
        except Exception as error:
            self._on_failure(error)
        finally:
            self._calls = None
