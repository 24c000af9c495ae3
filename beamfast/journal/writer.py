"""
The one thread that writes a file journal.

Whatever is asked for while a transaction is on its way to the disk goes into
the next one, all documents together: load makes its own groups, and a lone
commit waits for no timer. Other processes take turns through a lock file that is
waited for here, never on the loop.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from beamfast.errors import DocumentError, OutcomeUnknown
from beamfast.journal import database
from beamfast.journal.database import Durability

logger: logging.Logger = logging.getLogger("beamfast.journal")

#: At most so many pieces of work share one transaction.
GROUP: Final = 256

Work = Callable[[sqlite3.Connection], Any]


@dataclass(slots=True, eq=False)
class _Job:
    """What to do in a transaction, and who waits for it."""

    work: Work
    answer: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """
    Carry out work on the database, in the order in which it was asked for.

    Args:
        file: the database; made when there is the first work.
        durability: when a transaction is done.
    """

    def __init__(self, file: Path, durability: Durability) -> None:
        self._file = file
        self._durability: Durability = durability
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        #: Why the last transaction failed; empty when it did not.
        self.failure: str = ""

    async def run(self, work: Work) -> Any:
        """
        Return what ``work`` returns, once its transaction is done.

        Raises:
            StorageError: it was not done; 507 when there is no room.
            AccessDenied: it was not done; the file system refuses.
            OutcomeUnknown: nobody knows whether it was done.
        """
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._write, args=(loop,), name="beamfast-journal", daemon=True
            )
            self._thread.start()
        job = _Job(work, loop.create_future())
        self._queue.put(job)
        return await job.answer

    async def close(self) -> None:
        """Finish what was asked for and close the database."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    # In the thread.

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        is_open = True
        while is_open:
            jobs: list[_Job] = []
            job = self._queue.get()
            while True:
                if job is None:
                    is_open = False
                    break
                jobs.append(job)
                if len(jobs) == GROUP:
                    break
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
            if jobs:
                self._transact(jobs)
                try:
                    loop.call_soon_threadsafe(_answer, jobs)
                except RuntimeError:  # the loop was closed without waiting for us
                    break
        if self._connection is not None:
            self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
        self._connection = self._lock = None

    def _transact(self, jobs: list[_Job]) -> None:
        """Do all jobs in one transaction; each knows how it went."""
        try:
            with database.as_storage_error():
                if self._lock is None:
                    self._lock = self._open_lock()
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                self._transact_locked(jobs)
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
        except Exception as error:
            self._fail(jobs, error)
        else:
            self.failure = ""

    def _transact_locked(self, jobs: list[_Job]) -> None:
        if self._connection is None:
            if not self._file.exists():
                database.create(self._file)
            self._connection = database.connect(self._file, self._durability)
        connection = self._connection
        try:
            with database.as_storage_error():
                connection.execute("BEGIN IMMEDIATE")
                for job in jobs:
                    _do(job, connection)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            # Frames may have reached the disk before the call failed.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if database.is_no_room(error):
                raise database.refusal(error) from error
            raise OutcomeUnknown(f"the journal failed to commit: {error}") from error

    def _open_lock(self) -> int:
        directory = self._file.parent
        directory.mkdir(exist_ok=True)
        lock = directory / f"{self._file.stem}.lock"
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        self.failure = str(error)
        logger.warning("%s", error)
        for job in jobs:
            job.error = error
        # Whatever is wrong with the connection, the next transaction has its own.
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _do(job: _Job, connection: sqlite3.Connection) -> None:
    """Do one job; when it alone is refused, the others of the group stay."""
    connection.execute("SAVEPOINT job")
    try:
        job.result = job.work(connection)
    except (DocumentError, ValueError) as error:
        connection.execute("ROLLBACK TO job")
        job.error = error
    connection.execute("RELEASE job")


def _answer(jobs: list[_Job]) -> None:
    """Tell who waits; on the loop."""
    for job in jobs:
        if job.answer.done():
            continue
        if job.error is None:
            job.answer.set_result(job.result)
        else:
            job.answer.set_exception(job.error)
