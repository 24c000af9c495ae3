"""
Replace every worker, and the supervisor, without refusing a connection.

A new generation of workers starts on the same sockets. When all of it is ready the
old one drains, and the supervisor executes itself again, so that its own code is new
as well. If one of the new workers fails, nothing has changed. Standard library only.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from beamfast.server.control import REPLACE, SHARE
from beamfast.server.reading import command
from beamfast.server.signals import Signals
from beamfast.server.slot import Slot

if TYPE_CHECKING:
    from beamfast.server.worker import Supervisor

logger: logging.Logger = logging.getLogger("beamfast.supervisor")

#: Seconds for a new generation to be ready.
PATIENCE: Final = 10.0
#: Seconds beyond the drain for an old worker to write its files and end.
GRACE: Final = 1.5


class Generation:
    """
    The generations beside the one that serves: the next one, or the last one.

    Args:
        supervisor: of the one that serves.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._is_wanted = False
        self._awaits_share = False
        self._deadline = 0.0
        self._next: list[Slot] = []
        self._old: list[Slot] = []

    @property
    def slots(self) -> list[Slot]:
        """The workers of the next or the last generation."""
        return [*self._next, *self._old]

    @property
    def is_starting(self) -> bool:
        """True while it is not decided which generation serves."""
        return bool(self._next) or self._awaits_share

    def ask(self) -> None:
        """Begin as soon as nothing stands in the way."""
        self._is_wanted = True

    def shared(self) -> None:
        """The only worker knows that others write its documents."""
        if self._awaits_share:
            self._awaits_share = False
            self._supervisor.shares = True
            self._is_wanted = True

    def look(self, now: float) -> None:
        """Go on with what is due."""
        supervisor = self._supervisor
        for slot in list(self._old):
            if supervisor.reap(slot, now) is not None or slot.process is None:
                self._old.remove(slot)
            elif now >= slot.due:
                slot.kill()
        if supervisor.kill_at is not None:
            for slot in list(self._next):
                slot.kill()
                if supervisor.reap(slot, now) is not None:
                    self._next.remove(slot)
        elif self._next:
            self._look_at_next(now)
        elif self._awaits_share and now >= self._deadline:
            self._awaits_share = False
            logger.error("the worker does not answer; nothing has changed")
        elif self._is_wanted and self._is_free():
            self._is_wanted = False
            self._begin(now)

    def _is_free(self) -> bool:
        # Two generations find room on the bus, not three.
        return (
            not self._old
            and not self._awaits_share
            and not self._supervisor.reloading.is_running
            and all(slot.is_ready for slot in self._supervisor.slots)
        )

    def _begin(self, now: float) -> None:
        supervisor = self._supervisor
        self._deadline = now + PATIENCE
        if not supervisor.shares:
            self._awaits_share = True
            for slot in supervisor.slots:
                slot.tell(SHARE)
            return
        logger.info("starting a new generation of workers")
        count = len(supervisor.slots)
        first = 0 if supervisor.slots[0].seat >= count else count
        self._next = [Slot(n, first + n) for n in range(count)]
        for slot in self._next:
            supervisor.start(slot, now)

    def _look_at_next(self, now: float) -> None:
        supervisor = self._supervisor
        ended = [slot for slot in self._next if supervisor.reap(slot, now) is not None]
        if ended or now >= self._deadline:
            why = "ended" if ended else "was not ready in time"
            logger.error("a worker of the new generation %s; nothing has changed", why)
            for slot in self._next:
                if slot.process is not None:
                    slot.kill()
                    slot.process.wait()
                    supervisor.reap(slot, now)
            self._next = []
        elif all(slot.is_ready for slot in self._next):
            self._take_over(now)

    def _take_over(self, now: float) -> None:
        supervisor = self._supervisor
        config = supervisor.config
        self._old, supervisor.slots, self._next = supervisor.slots, self._next, []
        for slot in self._old:
            slot.due = now + config.pre_stop + config.drain + GRACE
            slot.tell(REPLACE)
        logger.info("the new generation serves, the old one drains")
        execute(supervisor.to_state())

    def to_state(self) -> list[dict[str, Any]]:
        """Return the workers that drain."""
        now = time.monotonic()
        return [{**slot.to_state(), "left": slot.due - now} for slot in self._old]

    def from_state(self, state: Iterable[dict[str, Any]], now: float) -> None:
        """Take over the workers that drain."""
        for one in state:
            slot = Slot.from_state(one, now)
            slot.due = now + one["left"]
            self._old.append(slot)


def execute(state: dict[str, Any]) -> None:
    """
    Become a new interpreter with the same process id, which goes on from ``state``.

    Returns only when that cannot be done.
    """
    # Until the new one has its handlers, a signal would end it.
    signal.pthread_sigmask(signal.SIG_BLOCK, Signals.NUMBERS)
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(state).encode())
        file.seek(0)
        for descriptor in descriptors_in(state):
            os.set_inheritable(descriptor, True)
        os.set_inheritable(file.fileno(), True)
        arguments = command("supervise", str(file.fileno()))
        try:
            os.execv(arguments[0], arguments)  # noqa: S606 - our own code
        except OSError as error:
            logger.error("the supervisor stays what it was: %s", error)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, Signals.NUMBERS)


def descriptors_in(state: dict[str, Any]) -> list[int]:
    """Return the descriptors that a state speaks of."""
    found = [one for place in state["bound"] for one in place["sockets"]]
    found += state["roots"].values()
    found.append(state["folder"][1])
    slots = [*state["slots"], *state["old"]]
    return [*found, *(slot["control"] for slot in slots if "control" in slot)]
