"""A lock file: one process of the machine does what only one may do."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """
    Hold a file with ``flock``; the system releases it when the process ends.

    Args:
        file: made when it is first asked for.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """
        Return True when this process has the lock; never waits.

        Raises:
            OSError: the file cannot be made, or its file system has no locks.
        """
        if self._descriptor is None:
            descriptor = os.open(
                self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
