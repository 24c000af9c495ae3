"""
What other programs append to a file, line by line, as it comes.

A file is followed through truncation, through rotation by renaming, and while it
is not there yet. Only whole lines are reported. No line is lost that was written
after a truncation or a renaming; what nobody had read of a file when it was cut is
gone with it, and so is a file that came and went between two looks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

#: Bytes before the own place that tell whether the file is still the same one.
FINGERPRINT: Final = 64
#: A line that has no end after so many bytes is reported in pieces.
LINE_LIMIT: Final = 2**16
#: Looks without a new byte after which a renamed file counts as finished: programs
#: write on into the old one until they are told to open the new one.
PATIENCE: Final = 10


class Lines(NamedTuple):
    """
    Whole lines of one file.

    Attributes:
        text: the lines, without the last line end.
        position: ``inode:offset`` behind them, to resume from.
    """

    text: str
    position: str


class OpenFile:
    """One file that is read from an offset on, whatever its name is by now."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self.identity: tuple[int, int] = status.st_dev, status.st_ino
        self.quiet: int = 0
        self._offset = 0
        self._partial = b""
        self._fingerprint = b""

    @property
    def end(self) -> int:
        """Offset behind the last whole line that was read."""
        return self._offset - len(self._partial)

    def position(self, offset: int) -> str:
        """Return the name of a place in this file."""
        return f"{self.identity[1]}:{offset}"

    def skip_to_end(self) -> None:
        """Leave out what is there, but not the beginning of an unfinished line."""
        size = os.fstat(self._descriptor).st_size
        start = max(size - LINE_LIMIT, 0)
        data = os.pread(self._descriptor, size - start, start)
        self._offset = start + data.rfind(b"\n") + 1
        start = max(self._offset - FINGERPRINT, 0)
        self._fingerprint = os.pread(self._descriptor, self._offset - start, start)

    def read(self, limit: int) -> Iterator[Lines]:
        """Yield what is new, in pieces of about ``limit`` bytes."""
        self.quiet += 1
        while data := self._read_on(limit):
            self.quiet = 0
            self._offset += len(data)
            self._fingerprint = (self._fingerprint + data)[-FINGERPRINT:]
            head, newline, rest = data.rpartition(b"\n")
            if newline:
                whole, self._partial = self._partial + head, rest
            elif len(self._partial) + len(rest) < LINE_LIMIT:
                self._partial += rest
                continue
            else:
                whole, self._partial = self._partial + rest, b""
            yield Lines(_text(whole), self.position(self.end))

    def _read_on(self, limit: int) -> bytes:
        # The bytes before ours in the same call: the file may have been cut and have
        # grown past our place again, also since the last line of this function.
        known = self._fingerprint
        data = os.pread(self._descriptor, len(known) + limit, self._offset - len(known))
        if data.startswith(known):
            return data[len(known) :]
        # The line that was begun is gone with the rest.
        self._offset, self._partial, self._fingerprint = 0, b"", b""
        return os.pread(self._descriptor, limit, 0)

    def finish(self) -> Iterator[Lines]:
        """Yield a last line that never got its end, and let the file go."""
        if self._partial:
            whole, self._partial = self._partial, b""
            yield Lines(_text(whole), self.position(self.end))
        self.close()

    def last_lines(self, count: int, limit: int) -> Lines:
        """Return the ``count`` whole lines before the end, within ``limit`` bytes."""
        start = max(self.end - limit, 0)
        data = os.pread(self._descriptor, self.end - start, start)
        lines = data.removesuffix(b"\n").split(b"\n")
        if start:
            # It begins somewhere within a line.
            del lines[0]
        kept = lines[-count:] if count else []
        return Lines(_text(b"\n".join(kept)), self.position(self.end))

    def lines_from(self, offset: int, limit: int) -> Lines | None:
        """Return the whole lines from ``offset`` on; None for too many of them."""
        if not 0 <= offset <= self.end <= offset + limit:
            return None
        data = os.pread(self._descriptor, self.end - offset, offset)
        return Lines(_text(data.removesuffix(b"\n")), self.position(self.end))

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)


class Tail:
    """
    Follow the file behind a name.

    Args:
        path: of the file, which need not exist yet.
        batch: bytes that are reported together at most.
    """

    def __init__(self, path: Path, *, batch: int = 2**16) -> None:
        self.path = path
        self._batch = batch
        self._current: OpenFile | None = None
        self._older: list[OpenFile] = []

    def open(self) -> None:
        """Begin at the end of the file; one that comes later begins at its start."""
        self._current = self._open()
        if self._current is not None:
            self._current.skip_to_end()

    def _open(self) -> OpenFile | None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            # Not there yet, or not for us; the next look may find otherwise.
            return None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return OpenFile(descriptor)
        os.close(descriptor)
        return None

    def read(self) -> Iterator[Lines]:
        """Yield what came since the last look, of the oldest file first."""
        self._follow_name()
        for file in list(self._older):
            yield from file.read(self._batch)
            if file.quiet >= PATIENCE:
                self._older.remove(file)
                yield from file.finish()
        if self._current is not None:
            yield from self._current.read(self._batch)

    def _follow_name(self) -> None:
        current = self._current
        try:
            status = self.path.stat()
        except OSError:
            identity = None
        else:
            identity = status.st_dev, status.st_ino
        if current is not None:
            if current.identity == identity:
                return
            self._older.append(current)
            self._current = None
        if identity is None or (file := self._open()) is None:
            return
        for known in self._older:
            if known.identity == file.identity:
                # It has its name back.
                self._older.remove(known)
                file.close()
                file = known
                break
        self._current = file

    def last_lines(self, count: int) -> Lines | None:
        """Return the last lines that :meth:`read` has passed; None for no file."""
        if self._current is None:
            return None
        return self._current.last_lines(count, self._batch)

    def lines_since(self, position: str) -> Lines | None:
        """Return what came after ``position``; None when it cannot be told."""
        inode, _, offset = position.partition(":")
        for file in (self._current, *self._older):
            if (
                file is not None
                and str(file.identity[1]) == inode
                and offset.isdecimal()
            ):
                return file.lines_from(int(offset), self._batch)
        return None

    def close(self) -> None:
        """Let every file go."""
        for file in (self._current, *self._older):
            if file is not None:
                file.close()
        self._current, self._older = None, []


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
