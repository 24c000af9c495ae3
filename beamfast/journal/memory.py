"""A journal in memory: for tests, demos, and servers that may forget."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from beamfast.entry import Version
from beamfast.journal.journal import (
    Behind,
    FileRecord,
    Health,
    Journal,
    Logged,
    Reset,
    Snapshot,
)


@dataclass(slots=True)
class _Log:
    """Events in order, and how many bytes they hold."""

    events: deque[Logged] = field(default_factory=deque)
    size: int = 0

    def append(self, logged: Logged) -> None:
        self.events.append(logged)
        self.size += len(logged.event)

    def trim(self, entries: int, size: int) -> Logged | None:
        """Drop the oldest events over a limit; return the newest of them."""
        dropped = None
        while len(self.events) > entries or self.size > size:
            dropped = self.events.popleft()
            self.size -= len(dropped.event)
        return dropped


@dataclass(slots=True)
class _History:
    """The retained events of one document; ``start`` is the version before them."""

    start: Version
    snapshot: Snapshot
    log: _Log = field(default_factory=_Log)
    operations: dict[str, Version] = field(default_factory=dict)


class MemoryJournal(Journal):
    """
    Keep the newest events of each document in RAM.

    Args:
        retain_entries: at most so many events per document; and before each
            commit in the log of all documents, which :meth:`since` reads.
        retain_bytes: at most so many bytes of them.
    """

    def __init__(
        self, *, retain_entries: int = 1024, retain_bytes: int = 8 * 2**20
    ) -> None:
        self._retain_entries = retain_entries
        self._retain_bytes = retain_bytes
        self._histories: dict[str, _History] = {}
        self._files: dict[str, tuple[FileRecord, ...]] = {}
        self._log = _Log()
        self._sequence = 0

    def turn(self, document: str) -> AbstractAsyncContextManager[None]:
        """Return at once: no other process shares this memory."""
        return nullcontext()

    def head(self) -> int:
        """Return the sequence number of the newest event."""
        return self._sequence

    async def load(self, document: str, at: Version | None = None) -> Snapshot | None:
        """Return where ``document`` stands; only the newest body is kept."""
        history = self._histories.get(document)
        if history is None or at not in (None, history.snapshot.version):
            return None
        return history.snapshot

    async def commit(
        self,
        document: str,
        base: Version,
        events: Sequence[bytes],
        body: bytes | None,
        operations: Sequence[str] = (),
        original: bytes | None = None,
    ) -> Version | Behind | Reset:
        """Append ``events`` if ``document`` still stands at ``base``."""
        if not events:
            raise ValueError("a commit without events")
        history = self._histories.get(document)
        if history is None:
            # Revision 0 belongs to the file, whose hash the first event continues.
            if base.revision != 0:
                return Reset()
            history = _History(base, Snapshot(base, base, None))
            self._histories[document] = history
        elif history.snapshot.version != base:
            missing = self._after(history, base)
            return Reset() if missing is None else Behind(missing)
        # Before and not after: the new events have to be published first.
        self._log.trim(self._retain_entries, self._retain_bytes)
        version = base
        for event, operation in zip(
            events, operations or [""] * len(events), strict=True
        ):
            version = version.next(event)
            self._sequence += 1
            logged = Logged(self._sequence, document, version, event)
            history.log.append(logged)
            self._log.append(logged)
            if operation:
                history.operations[operation] = version
        history.snapshot = Snapshot(version, version, body)
        dropped = history.log.trim(self._retain_entries, self._retain_bytes)
        if dropped is not None:
            history.start = dropped.version
            self._forget_operations(history)
        return version

    async def find(self, document: str, operation: str) -> Logged | None:
        """Return the retained event with that unique name."""
        history = self._histories.get(document)
        version = history.operations.get(operation) if history else None
        if history is None or version is None:
            return None
        return next(one for one in history.log.events if one.version == version)

    async def replay(
        self, document: str, after: Version, limit: int
    ) -> Sequence[Logged] | Reset:
        """Return what came after ``after``."""
        history = self._histories.get(document)
        missing = None if history is None else self._after(history, after)
        return Reset() if missing is None else missing[:limit]

    async def since(self, sequence: int) -> Sequence[Logged]:
        """Return the events of all documents after ``sequence``."""
        fresh: list[Logged] = []
        for logged in reversed(self._log.events):
            if logged.sequence <= sequence:
                break
            fresh.append(logged)
        fresh.reverse()
        return fresh

    async def positions(self, documents: Sequence[str]) -> Mapping[str, Version]:
        """Return the newest version of each document that has one."""
        histories = self._histories
        return {
            document: histories[document].snapshot.version
            for document in documents
            if document in histories
        }

    async def files(self, document: str) -> Sequence[FileRecord]:
        """Return the file records of ``document``."""
        return self._files.get(document, ())

    async def set_files(self, document: str, records: Sequence[FileRecord]) -> None:
        """Replace the file records of ``document``."""
        self._files[document] = tuple(records)

    def health(self) -> Health:
        """Memory is always there."""
        return Health("ok")

    async def close(self) -> None:
        """Nothing is held that others could need."""

    def _after(self, history: _History, version: Version) -> list[Logged] | None:
        events = list(history.log.events)
        if version == history.start:
            return events
        for index, logged in enumerate(events):
            if logged.version == version:
                return events[index + 1 :]
        return None

    def _forget_operations(self, history: _History) -> None:
        """Names are in the order of their events, so the forgotten come first."""
        oldest = history.start.revision
        for operation, version in list(history.operations.items()):
            if version.revision > oldest:
                break
            del history.operations[operation]
