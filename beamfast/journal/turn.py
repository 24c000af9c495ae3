"""
Turns between processes: who may write a document now.

Without turns two processes race for a hot document, and the slower one, whose
work is always outdated when it is done, starves. A turn is a lock file, held with
``flock``; the system gives it back when its holder dies.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from beamfast.journal.database import as_storage_error

#: So many documents may be waited for at once.
WAITERS: Final = 8


class Turns:
    """
    The lock files of one journal.

    Args:
        directory: where they are; made when the first is needed.
        root: document root, for journals that share the directory.
    """

    def __init__(self, directory: Path, root: Path) -> None:
        self._directory = directory
        self._root = bytes(root)
        # Its own threads: others may be busy with what the holder waits for.
        self._waiters = ThreadPoolExecutor(WAITERS, "beamfast-turn")

    @asynccontextmanager
    async def take(self, document: str) -> AsyncIterator[None]:
        """
        Hold the turn of ``document``.

        Raises:
            AccessDenied: the lock file cannot be made.
        """
        path = self._root + os.fsencode(document)
        name = f"turn-{hashlib.blake2b(path, digest_size=16).hexdigest()}"
        with as_storage_error():
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        try:
            await self._lock(descriptor)
            yield
        finally:
            # Closing the only descriptor gives the lock back.
            os.close(descriptor)

    def close(self) -> None:
        """End the threads; nobody waits any more."""
        self._waiters.shutdown()

    async def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A copy, because whoever asked may give up and close the original
            # while the thread still waits.
            copy = os.dup(descriptor)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._waiters, _wait_for, copy)


def _wait_for(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)
