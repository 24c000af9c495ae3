"""
The HTML files, which follow the log: people read, copy and version them.

A file is rewritten at once when its document was idle, else a moment after the
last edit and at the latest after two seconds, and always when the server stops.
What is about to be put in place is recorded first, so that nobody takes it for a
change by hand, whenever the process dies.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from beamfast.commit.keeper import Keeper
from beamfast.commit.lock import FileLock
from beamfast.commit.provenance import Finding, examine, record_of
from beamfast.documents.document import Document
from beamfast.documents.store import DocumentStore, FileStamp
from beamfast.errors import BeamfastError, DocumentNotFound
from beamfast.journal.journal import FileRecord, Health, Journal

logger: logging.Logger = logging.getLogger("beamfast.files")

#: Seconds without an edit before a document that was just edited is written.
QUIET: Final = 0.25
#: Seconds after which it is written even though the edits go on.
LATEST: Final = 2.0
#: Seconds before another try, doubled with each failure up to the second.
RETRY: Final = 1.0
RETRY_AT_MOST: Final = 30.0

#: Tries of a flush: edits can come while the file before them is written.
_FLUSHES: Final = 4


class Rewriter:
    """
    Bring files up to the committed version of their documents.

    Args:
        store: the files.
        journal: keeps the records.
        loop: of this process.
        by_hand: called with the keeper of a file that somebody else has changed.
        lock: held by the one process that writes files; None when there is only
            one.
        durable: sync what is written.
    """

    def __init__(
        self,
        store: DocumentStore,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        by_hand: Callable[[Keeper], None],
        *,
        lock: FileLock | None = None,
        durable: bool = True,
    ) -> None:
        self._store = store
        self._journal = journal
        self._loop = loop
        self._by_hand = by_hand
        self._lock = lock
        self._durable = durable
        self._behind: dict[Keeper, str] = {}
        self._writing = 0
        #: Files that could not be written, since the start.
        self.failures: int = 0

    def share(self, lock: FileLock) -> None:
        """Write files only while holding ``lock``: others write them, too."""
        self._lock = lock

    def schedule(self, keeper: Keeper) -> None:
        """Write the file of ``keeper`` when it is time to."""
        now = self._loop.time()
        idle = now - keeper.edited_at >= QUIET and keeper not in self._behind
        keeper.edited_at = now
        if keeper not in self._behind:
            self._behind[keeper] = ""
            keeper.dirty_since = now
        if keeper.rewriting is None and not keeper.failures:
            due = min(now + QUIET, keeper.dirty_since + LATEST)
            self._arm(keeper, 0.0 if idle else max(due - now, 0.0))

    async def write(self, keeper: Keeper) -> None:
        """Write the file of ``keeper`` now; a failure is tried again later."""
        if keeper.rewriting is not None:
            # It may have begun with an older version.
            await asyncio.wait([keeper.rewriting])
        self._start(keeper)
        if keeper.rewriting is not None:
            await asyncio.wait([keeper.rewriting])

    async def flush(self) -> None:
        """Write everything that is behind, and wait for it."""
        # What fails, and what another process has to write, is not waited for.
        for _ in range(_FLUSHES):
            tasks = []
            for keeper in list(self._behind):
                self._start(keeper)
                if keeper.rewriting is not None:
                    tasks.append(keeper.rewriting)
            if not tasks:
                return
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Write what can be written, and stop trying."""
        await self.flush()
        for keeper, reason in self._behind.items():
            self._disarm(keeper)
            # Nothing is lost: the next start finds the journal ahead of the file.
            logger.warning(
                "%s is not written yet: %s", keeper.location.key, reason or "busy"
            )
        self._behind.clear()
        if self._lock is not None:
            self._lock.release()

    def forget(self, keeper: Keeper) -> None:
        """The file needs no writing any more."""
        self._disarm(keeper)
        self._behind.pop(keeper, None)
        keeper.failures = 0

    def health(self) -> Health:
        """Return which file could not be written, if there is one."""
        for keeper in self._behind:
            if keeper.failures:
                reason = self._behind[keeper]
                return Health("degraded", f"{keeper.location.key}: {reason}")
        return Health("ok")

    def _arm(self, keeper: Keeper, seconds: float) -> None:
        self._disarm(keeper)
        if seconds:
            keeper.timer = self._loop.call_later(seconds, self._start, keeper)
        else:
            self._start(keeper)

    def _disarm(self, keeper: Keeper) -> None:
        if keeper.timer is not None:
            keeper.timer.cancel()
            keeper.timer = None

    def _start(self, keeper: Keeper) -> None:
        self._disarm(keeper)
        if keeper.rewriting is None and keeper.is_ahead:
            keeper.rewriting = self._loop.create_task(self._rewrite(keeper))
        elif not keeper.is_ahead:
            self.forget(keeper)

    async def _rewrite(self, keeper: Keeper) -> None:
        seconds = QUIET
        try:
            keeper.dirty_since = self._loop.time()
            if await self._bring_up(keeper):
                keeper.failures = 0
        except (BeamfastError, OSError) as error:
            self.failures += 1
            keeper.failures += 1
            seconds = min(RETRY * 2 ** (keeper.failures - 1), RETRY_AT_MOST)
            self._behind[keeper] = str(error)
            logger.warning("%s could not be written: %s", keeper.location.key, error)
        finally:
            keeper.rewriting = None
        if keeper.is_ahead and keeper in self._behind:
            self._arm(keeper, seconds)
        else:
            self._behind.pop(keeper, None)

    async def _bring_up(self, keeper: Keeper) -> bool:
        """Put the committed snapshot in the place of the file."""
        if self._lock is None:
            return await self._put_in_place(keeper)
        if not self._lock.acquire():
            return False
        self._writing += 1
        try:
            # Another process may have written the file meanwhile.
            keeper.records = tuple(await self._journal.files(keeper.location.key))
            written = [record.version.revision for record in keeper.records]
            newest = max(written, default=0)
            # Then this one will hear of it, and must not go back.
            return newest <= keeper.version.revision and await self._put_in_place(
                keeper
            )
        finally:
            self._writing -= 1
            if not self._writing:
                # Others may be behind with documents that this one does not know.
                self._lock.release()

    async def _put_in_place(self, keeper: Keeper) -> bool:
        location, version, document = keeper.location, keeper.version, keeper.document
        finding = examine(self._store, location, keeper.records)
        if _is_by_hand(finding, document):
            self._by_hand(keeper)
            return False
        kept = () if finding.record is None else (finding.record,)
        if [record.version for record in kept] != [version]:
            if document is None:
                record = record_of(version, None, None)
                await self._record(keeper, (*kept, record))
                if self._is_overtaken(keeper, kept, document):
                    return False
                await asyncio.to_thread(self._remove, keeper)
            else:
                staged = await asyncio.to_thread(
                    self._store.stage, location, document.source, durable=self._durable
                )
                try:
                    record = record_of(version, document.source, staged.stamp)
                    await self._record(keeper, (*kept, record))
                    overtaken = self._is_overtaken(keeper, kept, document)
                except BaseException:
                    await asyncio.to_thread(staged.discard)
                    raise
                if overtaken:
                    await asyncio.to_thread(staged.discard)
                    return False
                await asyncio.to_thread(staged.put)
            await self._record(keeper, (record,))
        if keeper.version == version:
            self._settle(keeper)
        return True

    def _is_overtaken(
        self, keeper: Keeper, kept: tuple[FileRecord, ...], document: Document | None
    ) -> bool:
        """Look once more, because an editor may have been at it meanwhile."""
        if not _is_by_hand(examine(self._store, keeper.location, kept), document):
            return False
        self._by_hand(keeper)
        return True

    def _settle(self, keeper: Keeper) -> None:
        """The file has the committed version."""
        document, keeper.document, keeper.is_ahead = keeper.document, None, False
        if document is None:
            self._store.forget(keeper.location)
            return
        # The stamp that was recorded, not the one of now, which may be an editor's.
        record = keeper.records[-1]
        stamp = FileStamp(record.inode, record.size, record.mtime_ns, record.device)
        self._store.put(keeper.location, document, stamp)

    async def _record(self, keeper: Keeper, records: tuple[FileRecord, ...]) -> None:
        await self._journal.set_files(keeper.location.key, records)
        keeper.records = records

    def _remove(self, keeper: Keeper) -> None:
        try:
            self._store.remove(keeper.location)
        except DocumentNotFound:
            logger.info("%s was removed already", keeper.location.key)


def _is_by_hand(finding: Finding, document: Document | None) -> bool:
    """Tell whether somebody else did what was found, and it is not what we want."""
    if document is None and finding.document is None:
        # Whoever removed the file was faster, no more.
        return False
    return finding.record is None
