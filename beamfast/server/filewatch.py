"""Notice that a configuration file was saved; standard library only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

#: Seconds between two looks.
INTERVAL: Final = 1.0


class FileWatch:
    """
    Compares a file with what it was at the last look.

    Args:
        file: need not exist; editors that replace a file remove it for a moment.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, ...] | None = None
        self.has_changed()

    def has_changed(self) -> bool:
        """Tell whether the file is another one than at the last look."""
        try:
            status = self._file.stat()
        except OSError:
            return False
        found = (status.st_ino, status.st_size, status.st_mtime_ns)
        before, self._seen = self._seen, found
        return found != before
