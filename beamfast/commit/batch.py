"""
One batch of changes, carried out in memory: each on what the one before it left.

Nothing is stored here and nobody is answered but those whose change cannot be
done. A batch may be evaluated again on another version, when another process was
first; what a selector matches may have changed by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import cast

from beamfast.commit.keeper import (
    BATCH_BYTES,
    BATCH_CHANGES,
    BATCH_SECONDS,
    SLICE_SECONDS,
    Keeper,
    Waiting,
)
from beamfast.documents.change import (
    Change,
    ElementEdit,
    Origin,
    Outcome,
    Patch,
    Removal,
    Replacement,
    carry_out,
    in_steps,
    validators,
)
from beamfast.documents.document import Document
from beamfast.entry import Entry, Version
from beamfast.errors import EditRefused
from beamfast.journal.journal import Journal, Logged


@dataclass(slots=True)
class Batch:
    """
    What is carried out at once.

    Attributes:
        keeper: of the document.
        edit_limit: bytes; a larger document takes no element edit.
        members: changes taken from the queue.
        outcomes: what became of them, in order; without a member, a change that
            somebody made by hand, or a step of the change that comes next.
        settled: changes that the log has already, and what it has; and such that
            matched nothing.
        slice_started: when the loop had its last turn.
    """

    keeper: Keeper
    edit_limit: int
    members: list[Waiting] = field(default_factory=list)
    outcomes: list[tuple[Waiting | None, Outcome]] = field(default_factory=list)
    settled: list[tuple[Waiting, Outcome]] = field(default_factory=list)
    slice_started: float = 0.0

    @property
    def latest(self) -> Outcome:
        """The outcome that all others lead to."""
        return self.outcomes[-1][1]

    def answer(self) -> None:
        """Tell everybody what was done."""
        for waiting, outcome in (*self.settled, *self.outcomes):
            if waiting is not None:
                waiting.succeed(outcome)

    async def evaluate(
        self,
        journal: Journal,
        document: Document | None,
        base: Version,
        by_hand: Replacement | Removal | None,
    ) -> None:
        """
        Carry out the members, and what else waits if there are none yet.

        Args:
            journal: knows the operations that were done before.
            document: the committed snapshot.
            base: its version, also when it is gone.
            by_hand: a change of the file that comes first.
        """
        self.outcomes.clear()
        self.settled.clear()
        if by_hand is not None:
            origin = Origin(self.keeper.location.key, time=now())
            # What was there before is not needed: the whole file is in the entry.
            outcome = carry_out(
                by_hand, Document(b""), base, origin, edit_limit=self.edit_limit
            )
            self.outcomes.append((None, outcome))
            document, base = outcome.document, outcome.version
        members = iter([one for one in self.members if not one.answer.done()])
        fresh = not self.members
        started = self.slice_started = time.monotonic()
        size = 0
        names: set[str] = set()
        while True:
            waiting = next(members, None)
            if waiting is None:
                if not (fresh and self.keeper.queue) or size >= BATCH_BYTES:
                    break
                if len(self.members) >= BATCH_CHANGES:
                    break
                waiting = self.keeper.take()
                if waiting.may_repeat and waiting.origin.operation_id in names:
                    # Its first copy has to be in the log before it is looked for.
                    self.keeper.put_back(waiting)
                    break
                self.members.append(waiting)
            size += waiting.change.size
            names.add(waiting.origin.operation_id)
            try:
                if waiting.may_repeat and (done := await self._done(journal, waiting)):
                    self.settled.append((waiting, done))
                    continue
                if not waiting.conditions.is_empty:
                    tags = validators(
                        *(waiting.change, document, base), edit_limit=self.edit_limit
                    )
                    waiting.conditions.require(*tags)
                steps = in_steps(
                    waiting.change,
                    document,
                    base,
                    waiting.origin,
                    edit_limit=self.edit_limit,
                    filters=self.keeper.watched,
                )
                outcome = await self._finished(steps)
            except Exception as error:
                waiting.fail(error)
                continue
            if outcome.is_logged:
                self.outcomes += [(None, step) for step in outcome.earlier]
                self.outcomes.append((waiting, outcome))
                document, base = outcome.document, outcome.version
            else:
                self.settled.append((waiting, outcome))
            spent = time.monotonic()
            if fresh and spent - started > BATCH_SECONDS:
                break
            await self._rest(spent)

    async def _finished(self, steps: Generator[None, None, Outcome]) -> Outcome:
        """Carry out a change, with a rest between its steps when they take long."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return cast("Outcome", end.value)
            await self._rest(time.monotonic())

    async def _rest(self, now: float) -> None:
        """Let the loop turn, if it has not done so for long."""
        if now - self.slice_started > SLICE_SECONDS:
            await asyncio.sleep(0)
            self.slice_started = time.monotonic()

    async def _done(self, journal: Journal, waiting: Waiting) -> Outcome | None:
        """Return what an earlier copy of the change has led to, if there was one."""
        origin = waiting.origin
        logged = await journal.find(self.keeper.location.key, origin.operation_id)
        if logged is None:
            return None
        outcome = outcome_of(logged)
        entry = outcome.entry
        method, selector = _signature(waiting.change)
        if (entry.method, entry.user) != (method, origin.user) or (
            selector is not None and entry.selector != selector
        ):
            raise EditRefused(
                "Another change had this Idempotency-Key", code="idempotency-key"
            )
        return outcome


def outcome_of(logged: Logged) -> Outcome:
    """Return a change that was made before, as far as the log knows it."""
    entry = Entry.from_event(logged.event)
    return Outcome(None, logged.version, entry, logged.event)


def now() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _signature(change: Change) -> tuple[str, str | None]:
    """Return method and selector as the last entry of ``change`` has them."""
    if isinstance(change, ElementEdit):
        operation = change.operation
        # Of other matches the entry has a path, which may lead elsewhere by now.
        is_as_sent = operation.selector.is_standard and operation.match == "first"
        return change.method, operation.selector.text if is_as_sent else None
    if isinstance(change, Patch):
        return change.told_as(change.items[-1]), None
    if isinstance(change, Removal):
        return "gone", ""
    if isinstance(change, Replacement):
        return change.method, ""
    return "append", ""
