"""
The journal of one machine: a SQLite database beside the documents.

``.beam/journal.db`` under the document root appears with the first edit, never
before. Several processes may share it: a commit is conditional, in one
transaction, and a turn per document keeps them fair. Reading what is new is a
query on the loop, which costs microseconds; everything that may be larger is read
in a thread. No query stays open across a turn of the loop, because a reader that
stands still lets the write-ahead log grow without limit.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from beamfast.documents.location import STATE_DIRECTORY
from beamfast.entry import Version
from beamfast.errors import AccessDenied
from beamfast.journal import database, log
from beamfast.journal.database import Durability
from beamfast.journal.journal import (
    Behind,
    FileRecord,
    Health,
    Journal,
    Logged,
    Reset,
    Snapshot,
)
from beamfast.journal.log import Commit, Retention
from beamfast.journal.turn import Turns
from beamfast.journal.writer import Writer

T = TypeVar("T")


def journal_file(root: Path) -> Path:
    """Return where the journal of a document root is."""
    return root / STATE_DIRECTORY / "journal.db"


class FileJournal(Journal):
    """
    Keep the log in one database under the document root.

    Args:
        root: the document root, links resolved.
        durability: ``full`` survives a power failure, ``relaxed`` the end of the
            process.
        turns: directory for the lock files of turns, when other processes write
            the same documents; None when this is the only one.
        retain_entries: at most so many events per document.
        retain_bytes: at most so many bytes of them.
    """

    def __init__(
        self,
        root: Path,
        *,
        durability: Durability = "full",
        turns: Path | None = None,
        retain_entries: int = 1024,
        retain_bytes: int = 8 * 2**20,
    ) -> None:
        self._root = root
        self._file = journal_file(root)
        self._retention = Retention(retain_entries, retain_bytes)
        self._writer = Writer(self._file, durability)
        self._turns = None if turns is None else Turns(turns, root)
        self._near: sqlite3.Connection | None = None
        self._far: sqlite3.Connection | None = None
        self._reader = ThreadPoolExecutor(1, "beamfast-journal-reader")

    def share(self, turns: Path) -> None:
        """Take turns with other processes, which write the same documents now."""
        if self._turns is None:
            self._turns = Turns(turns, self._root)

    def turn(self, document: str) -> AbstractAsyncContextManager[None]:
        """Wait until no other process writes ``document``."""
        return nullcontext() if self._turns is None else self._turns.take(document)

    def head(self) -> int:
        """Return the number of the newest event; other processes count too."""
        connection = self._near_connection()
        if connection is None:
            return 0
        with database.as_storage_error():
            return log.head(connection)

    async def load(self, document: str, at: Version | None = None) -> Snapshot | None:
        """Return where ``document`` stands, or stood."""
        return await self._read(lambda far: log.load(far, document, at), None)

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
        commit = Commit(document, base, events, body, operations, original)
        answer: Version | Behind | Reset = await self._writer.run(
            lambda connection: log.append(connection, commit, self._retention)
        )
        return answer

    async def start(self, document: str) -> Version | None:
        """Return the version before the oldest retained event, None without one."""
        return await self._read(lambda far: log.start(far, document), None)

    async def find(self, document: str, operation: str) -> Logged | None:
        """Return the retained event with that unique name."""
        return await self._read(lambda far: log.find(far, document, operation), None)

    async def replay(
        self, document: str, after: Version, limit: int
    ) -> Sequence[Logged] | Reset:
        """Return what came after ``after``."""
        missing = await self._read(
            lambda far: log.after(far, document, after, limit), None
        )
        return Reset() if missing is None else missing

    async def since(self, sequence: int) -> Sequence[Logged]:
        """Return the events of all documents after ``sequence``."""
        connection = self._near_connection()
        if connection is None:
            return []
        with database.as_storage_error():
            return log.since(connection, sequence)

    async def positions(self, documents: Sequence[str]) -> Mapping[str, Version]:
        """Return the newest version of each document that has one."""
        return await self._read(lambda far: log.positions(far, documents), {})

    async def files(self, document: str) -> Sequence[FileRecord]:
        """Return the file records of ``document``."""
        return await self._read(lambda far: log.files(far, document), [])

    async def set_files(self, document: str, records: Sequence[FileRecord]) -> None:
        """Replace the file records of ``document``."""
        await self._writer.run(
            lambda connection: log.set_files(connection, document, records)
        )

    def health(self) -> Health:
        """Return why the last transaction failed, if it did."""
        failure = self._writer.failure
        return Health("down", failure) if failure else Health("ok")

    async def close(self) -> None:
        """Finish what was asked for and close the database."""
        await self._writer.close()
        if self._far is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._reader, self._close_far)
        self._reader.shutdown()
        if self._turns is not None:
            self._turns.close()
        if self._near is not None:
            self._near.close()
            self._near = None

    def _near_connection(self) -> sqlite3.Connection | None:
        """Return the connection of the loop, or None while there is no database."""
        # Asked for each GET until the first edit, and Path.exists() costs thrice that.
        if self._near is None and os.path.exists(self._file):  # noqa: PTH110 - see above
            try:
                self._near = database.connect(self._file)
            except AccessDenied:
                # A root on a read-only medium is served as its files are.
                return None
        return self._near

    async def _read(self, query: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        if self._far is None and not self._file.exists():
            return nothing
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._reader, functools.partial(self._query, query, nothing)
        )

    # In the reader's thread.

    def _query(self, query: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        if self._far is None:
            try:
                self._far = database.connect(self._file)
            except AccessDenied:
                return nothing
        with database.as_storage_error():
            return query(self._far)

    def _close_far(self) -> None:
        if self._far is not None:
            self._far.close()
            self._far = None
