"""
One document, one batch after the other: evaluate, commit, publish, answer.

The order is the contract. A batch is made on the newest version, stored in the
journal if that is still the newest, and published before anyone is answered.
What was done to the file by hand comes first, as a revision of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Final

from beamfast.commit.batch import Batch
from beamfast.commit.keeper import Keeper
from beamfast.commit.provenance import ChangedByHand, examine, record_of
from beamfast.commit.replica import Replica
from beamfast.commit.rewriter import Rewriter
from beamfast.documents.change import Outcome, Removal, Replacement
from beamfast.documents.document import Document
from beamfast.documents.store import DocumentStore, FileStamp
from beamfast.entry import Version
from beamfast.errors import (
    Busy,
    DocumentError,
    DocumentNotFound,
    OutcomeUnknown,
    StorageError,
)
from beamfast.journal.journal import Behind, FileRecord, Journal, Reset
from beamfast.pubsub.hub import Hub

logger: logging.Logger = logging.getLogger("beamfast.commit")

#: How often a batch is evaluated on a newer version before it is given up.
TRIES: Final = 20
#: Seconds of the first pause between two tries, and of the longest.
PAUSE: Final = 0.002
PAUSE_AT_MOST: Final = 0.050
#: Looks at a file that is another one each time, where others write it too.
LOOKS: Final = 8


class Sequencer:
    """
    Work off the queues of documents.

    Args:
        store: the files.
        journal: the log.
        hub: its bus rings when the log has grown.
        loop: of this process.
        replica: the documents.
        rewriter: the files behind them.
        shared: other processes write the same log.
    """

    def __init__(
        self,
        store: DocumentStore,
        journal: Journal,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        replica: Replica,
        rewriter: Rewriter,
        *,
        shared: bool,
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._loop = loop
        self._replica = replica
        self._rewriter = rewriter
        self._is_shared = shared
        #: Changes by hand that overtook an edit whose file was not written yet.
        self.conflicts: int = 0

    def share(self) -> None:
        """Ask for the document's turn: others write the same log now."""
        self._is_shared = True

    def start(self, keeper: Keeper) -> asyncio.Task[None]:
        """Begin to work for ``keeper``, unless somebody does already."""
        if keeper.task is None:
            keeper.task = self._loop.create_task(self._work(keeper))
            keeper.task.add_done_callback(_note_failure)
        return keeper.task

    async def _work(self, keeper: Keeper) -> None:
        """Take batch after batch until nobody waits."""
        try:
            while True:
                batch = Batch(keeper, self._store.edit_limit)
                try:
                    async with self._journal.turn(keeper.location.key):
                        await self._run(batch)
                except Exception as error:
                    # What fails before a change is taken fails for all of them.
                    refused = batch.members or keeper.take_all()
                    if not refused:
                        raise  # to whoever waits for the document
                    for waiting in refused:
                        waiting.fail(error)
                if not keeper.queue:
                    break
                if self._is_shared:
                    # Whoever waits for the turn gets it before we ask again.
                    await asyncio.sleep(0)
        finally:
            keeper.task = None
            keeper.candidates.clear()

    async def _run(self, batch: Batch) -> None:
        """Carry out one batch: evaluate, commit, publish, answer."""
        keeper = batch.keeper
        for attempt in range(TRIES):
            if self._is_shared:
                await self._replica.catch_up()
            if not keeper.is_loaded or keeper.is_stale:
                await self._replica.load(keeper)
            document, by_hand = await self._present(keeper)
            keeper.watched = self._replica.filters(keeper)
            await batch.evaluate(self._journal, document, keeper.version, by_hand)
            if not batch.outcomes:
                break
            answer = await self._commit(batch)
            if isinstance(answer, Version):
                await self._committed(batch, answer, is_by_hand=by_hand is not None)
                break
            keeper.candidates.clear()
            if isinstance(answer, Behind):
                await self._replica.catch_up()
                pause = min(PAUSE * 2**attempt, PAUSE_AT_MOST)
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter
            else:
                keeper.is_stale = True
        else:
            raise Busy("Other writers were always faster")
        batch.answer()

    async def _commit(self, batch: Batch) -> Version | Behind | Reset:
        """Hand a batch to the journal, and find out what came of it."""
        keeper, key = batch.keeper, batch.keeper.location.key
        outcomes = [outcome for _, outcome in batch.outcomes]
        keeper.candidates = {outcome.version: outcome for outcome in outcomes}
        latest = batch.latest
        original = None
        if not keeper.is_logged:
            with contextlib.suppress(ChangedByHand):
                original = self._replica.committed(keeper)
            # Until the first rewrite the file of revision 0 is ours as well.
            keeper.records = (self._record_here(keeper),)
            await self._journal.set_files(key, keeper.records)
        try:
            return await self._journal.commit(
                key,
                keeper.version,
                [outcome.event for outcome in outcomes],
                latest.document.source if latest.document else None,
                [_name_of(outcome) for outcome in outcomes],
                original.source if original else None,
            )
        except OutcomeUnknown as lost:
            found = await self._journal.replay(key, keeper.version, len(outcomes))
            if not isinstance(found, Reset):
                versions = [logged.version for logged in found]
                if versions == [outcome.version for outcome in outcomes]:
                    return latest.version
            raise StorageError("The edit could not be stored", code="journal") from lost

    async def _committed(
        self, batch: Batch, version: Version, *, is_by_hand: bool
    ) -> None:
        """Publish what the journal has; nothing can undo it any more."""
        keeper = batch.keeper
        if is_by_hand:
            first = batch.outcomes[0][1]
            if keeper.rewriting is not None:
                # It would still put its own records in the place of ours.
                await asyncio.wait([keeper.rewriting])
            self._rewriter.forget(keeper)
            keeper.records = (self._record_here(keeper, first),)
        try:
            await self._replica.catch_up()
            if is_by_hand:
                await self._journal.set_files(keeper.location.key, keeper.records)
        except Exception:
            # The timer catches up later; the edits stand.
            logger.exception("%s is at %s", keeper.location.key, version)
        self._hub.bus.ring()

    def _record_here(
        self, keeper: Keeper, outcome: Outcome | None = None
    ) -> FileRecord:
        """Return the record of the file as it is: ours, or adopted as ours."""
        version = outcome.version if outcome else keeper.version
        try:
            source, stamp = self._store.read(keeper.location)
        except DocumentNotFound:
            return record_of(version, None, None)
        if outcome is None:
            same = Version.of_file(source) == version
        else:
            same = outcome.document is not None and outcome.document.source == source
        if not same:
            # Changed again meanwhile: that is found out when it is compared.
            return record_of(version, None, None)
        return record_of(version, source, stamp)

    async def _present(
        self, keeper: Keeper
    ) -> tuple[Document | None, Replacement | Removal | None]:
        """Return the committed snapshot, and what was done to the file by hand."""
        try:
            return await self._compare(keeper)
        except DocumentError as error:
            # Not a file that could be read; what is committed stands.
            if not keeper.is_ahead:
                raise
            logger.warning("%s: %s", keeper.location.key, error)
            return keeper.document, None

    async def _compare(
        self, keeper: Keeper
    ) -> tuple[Document | None, Replacement | Removal | None]:
        try:
            return await self._own_file(keeper), None
        except ChangedByHand:
            pass
        if not keeper.is_logged:
            document = self._replica.adopt_file(keeper)
            self._replica.publish_reset(keeper)
            return document, None
        try:
            found = self._store.load(keeper.location)
        except DocumentNotFound:
            found = None
        if keeper.is_ahead:
            await self._keep_overtaken(keeper)
        if found is None and not keeper.exists:
            # Whoever removed the file was faster than we; what comes is new again.
            keeper.records = (record_of(keeper.version, None, None),)
            await self._journal.set_files(keeper.location.key, keeper.records)
            return None, None
        change = Removal() if found is None else Replacement(found.source, "import")
        return None, change

    async def _own_file(self, keeper: Keeper) -> Document | None:
        """
        Return the committed snapshot, once the file is seen to be ours.

        Another process records what it is about to put in the place of the file,
        then does: who looks in between, at one before and at the other after, sees
        neither. It was a hand only if file and records stand still.

        Raises:
            ChangedByHand: it was.
            DocumentError: the file cannot be read.
        """
        previous = None
        for _ in range(LOOKS):
            seen = keeper.records, self._stamp(keeper)
            try:
                if not keeper.is_ahead:
                    return self._replica.committed(keeper)
                if examine(self._store, keeper.location, keeper.records).record:
                    return keeper.document
            except ChangedByHand:
                pass
            if not self._is_shared or seen == previous:
                raise ChangedByHand
            previous = seen
            await self._replica.load(keeper)
        raise Busy("The file changes faster than it can be read")

    def _stamp(self, keeper: Keeper) -> FileStamp | None:
        try:
            return self._store.stamp(keeper.location)
        except DocumentNotFound:
            return None

    async def _keep_overtaken(self, keeper: Keeper) -> None:
        """Keep what only the journal had, before a change by hand goes over it."""
        written = [record.version for record in keeper.records] == [keeper.version]
        if written or keeper.document is None:
            return
        place = await asyncio.to_thread(
            self._store.keep_copy,
            keeper.location,
            keeper.version.revision,
            keeper.document.source,
        )
        self.conflicts += 1
        logger.warning(
            "%s was changed by hand before revision %d was written; that is kept in %s",
            keeper.location.key,
            keeper.version.revision,
            place,
        )


def _name_of(outcome: Outcome) -> str:
    """Return the name by which a change is found: it stands at its last entry."""
    return "" if outcome.entry.remaining else outcome.entry.operation_id


def _note_failure(task: asyncio.Task[None]) -> None:
    """Read the error, which nobody else may be there to do."""
    if not task.cancelled() and (error := task.exception()):
        logger.warning("%s", error)
