"""
What the committer holds of one document: its state, and the queue of changes.

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
from beamfast.documents.selector import Selector
from beamfast.documents.store import Location
from beamfast.entry import Version
from beamfast.journal.journal import FileRecord
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
    #: The writer chose the name of the operation, so it may come a second time.
    may_repeat: bool = False

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
    """
    One document as this process knows it.

    Attributes:
        location: of the document.
        version: the newest that was published here; revision 0 while the journal
            has no entry.
        is_loaded: ``version`` and what follows are known.
        is_stale: the log went on in a way that does not continue ``version``.
        is_blind: ``is_stale`` only because the bytes at ``version`` are not at hand.
        exists: the document is there at ``version``.
        is_ahead: the file does not have ``version`` yet, or was changed by hand.
        document: the committed snapshot while ``is_ahead``.
        records: the files that this journal's writers have put in place.
        candidates: outcomes that wait to be met in the log.
        watched: filters that these were compared with.
        dirty_since: when the file fell behind, by the clock of the loop.
        edited_at: when ``version`` last moved.
    """

    location: Location
    version: Version
    is_loaded: bool = False
    is_stale: bool = False
    is_blind: bool = False
    exists: bool = False
    is_ahead: bool = False
    document: Document | None = None
    records: tuple[FileRecord, ...] = ()
    candidates: dict[Version, Outcome] = field(default_factory=dict)
    watched: frozenset[Selector] = frozenset()
    queue: deque[Waiting] = field(default_factory=deque)
    queued_bytes: int = 0
    task: asyncio.Task[None] | None = None
    rewriting: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    dirty_since: float = 0.0
    edited_at: float = 0.0
    failures: int = 0
    #: Connections that are about to follow.
    joining: int = 0

    @property
    def is_logged(self) -> bool:
        """True when the journal has entries of the document."""
        return self.version.revision > 0

    @property
    def is_idle(self) -> bool:
        """True when nothing would be lost by forgetting the keeper."""
        busy = self.task or self.queue or self.rewriting or self.joining
        return not (busy or self.is_ahead)

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

    def put_back(self, waiting: Waiting) -> None:
        """Undo :meth:`take`."""
        self.queue.appendleft(waiting)
        self.queued_bytes += waiting.change.size

    def take_all(self) -> list[Waiting]:
        """Take everything that waits."""
        waiting, self.queue = list(self.queue), deque()
        self.queued_bytes = 0
        return waiting
