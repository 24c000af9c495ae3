"""
A file that lines are added to, and that makes place for a new one in time.

Several processes may write the same file: lines are added in one write each time,
one process renames the file, and the others notice.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path


class LogFile:
    """
    One log file, open for adding to it.

    Args:
        path: of the file; folders are made.
        max_bytes: beyond which a new file is begun; 0 for never.
        is_daily: begin a new file each day (UTC).
        clock: the time of day in seconds.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 0,
        is_daily: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path: Path = path
        self._max_bytes = max_bytes
        self._is_daily = is_daily
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write(self, text: str) -> None:
        """
        Add ``text``, in a new file if the old one is done.

        Raises:
            OSError: it cannot be written.
        """
        if not self._is_current():
            self._reopen()
        if self._is_done():
            self._rotate()
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o640)
        status = os.fstat(self._descriptor)
        # What is in it already was written until then; it decides the day.
        self._day = int((status.st_mtime if status.st_size else self._clock()) // 86400)

    def _reopen(self) -> None:
        old = self._descriptor
        self._open()
        os.close(old)

    def _is_current(self) -> bool:
        """Tell whether the file under the name is still the one that is open."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _is_done(self) -> bool:
        size = os.fstat(self._descriptor).st_size
        if self._max_bytes and size >= self._max_bytes:
            return True
        return self._is_daily and size > 0 and int(self._clock() // 86400) > self._day

    def _rotate(self) -> None:
        """Rename the file, unless another process just did, and begin a new one."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if self._is_current():
            stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(self._clock()))
            target = self.path.with_name(f"{self.path.name}.{stamp}")
            number = 0
            while target.exists():
                number += 1
                target = self.path.with_name(f"{self.path.name}.{stamp}.{number}")
            self.path.rename(target)
        # Closing the old file gives up the lock.
        self._reopen()
