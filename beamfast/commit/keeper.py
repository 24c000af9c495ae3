"""
The queue of one document: what waits, how much may wait, how much goes at once.

A batch is what is waiting when the keeper looks, so load makes its own batches
and a lone edit is never delayed by a timer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from beamfast.documents.change import Change, Origin, Outcome
from beamfast.documents.document import Document
from beamfast.documents.store import Location
from beamfast.protocol.conditional import Conditions

#: One batch: so many changes, so many bytes, or so much time to evaluate them.
BATCH_CHANGES: Final = 64
BATCH_BYTES: Final = 256 * 2**10
BATCH_SECONDS: Final = 0.010
#: After so long the loop gets a turn between two changes of a batch.
SLICE_SECONDS: Final = 0.005
#: What may wait for one document; more is refused with 503.
QUEUE_CHANGES: Final = 1024
QUEUE_BYTES: Final = 4 * 2**20


@dataclass(slots=True, eq=False)
class Waiting:
    """A change in the queue, and who is told the outcome."""

    change: Change
    origin: Origin
    conditions: Conditions
    answer: asyncio.Future[Outcome]

    def fail(self, error: BaseException) -> None:
        """Tell the waiter, unless it has gone away."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def succeed(self, outcome: Outcome) -> None:
        """Tell the waiter, unless it has gone away."""
        if not self.answer.done():
            self.answer.set_result(outcome)


@dataclass(slots=True, eq=False)
class Keeper:
    """The queue of one document, while it has one."""

    location: Location
    queue: deque[Waiting] = field(default_factory=deque)
    queued_bytes: int = 0
    task: asyncio.Task[None] | None = None
    #: The committed snapshot while the next one is being written.
    writing: Document | None = None
    is_writing: bool = False

    def is_full(self, change: Change) -> bool:
        """Return True when ``change`` has to be refused."""
        if not self.queue:
            return False
        size = self.queued_bytes + change.size
        return len(self.queue) >= QUEUE_CHANGES or size > QUEUE_BYTES

    def add(self, waiting: Waiting) -> None:
        """Put a change behind those that wait."""
        self.queue.append(waiting)
        self.queued_bytes += waiting.change.size

    def take(self) -> Waiting:
        """Take the change that has waited longest."""
        waiting = self.queue.popleft()
        self.queued_bytes -= waiting.change.size
        return waiting

    def take_all(self) -> list[Waiting]:
        """Take everything that waits."""
        waiting, self.queue = list(self.queue), deque()
        self.queued_bytes = 0
        return waiting
