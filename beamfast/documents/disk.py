"""
Files on disk: read whole, replaced in one step, never half written.

Safe in a worker thread: nothing here knows the cache. A temporary file is locked
while its writer lives, so that any other process can tell a stale one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from beamfast.documents.location import TEMPORARY_PREFIX
from beamfast.errors import (
    AccessDenied,
    DocumentError,
    DocumentNotFound,
    EditConflict,
    StorageError,
)

# Two writes within one tick of the file system's clock can leave the same stamp.
# A file as young as this is compared by content (git calls such files racy).
_TICK_NS: Final = 20_000_000

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


#: How often a file that changes while it is read is read again.
_READ_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Identity of a file's content: it changes whenever somebody writes the file."""

    inode: int
    size: int
    mtime_ns: int
    device: int = 0

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """Take the stamp from what the system says about a file."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_dev)

    def is_of(self, status: os.stat_result) -> bool:
        """Tell whether this is the stamp of the file that ``status`` describes."""
        return (
            self.mtime_ns == status.st_mtime_ns
            and self.size == status.st_size
            and self.inode == status.st_ino
            and self.device == status.st_dev
        )

    @property
    def etag(self) -> str:
        """Validator for files that are not HTML, without quotes."""
        return f"{self.mtime_ns:x}-{self.size:x}-{self.inode:x}"

    @property
    def modified(self) -> int:
        """Seconds since the epoch."""
        return self.mtime_ns // 1_000_000_000

    @property
    def is_racy(self) -> bool:
        """True while another write could leave the same stamp."""
        return time.time_ns() - self.mtime_ns < _TICK_NS


def read_file(file: str) -> tuple[bytes, FileStamp]:
    """
    Return the content of a regular file, all of it of one moment.

    Raises:
        DocumentNotFound: there is no such file.
        AccessDenied: the file system refuses.
    """
    with _as_document_error("read"), open(file, "rb", 0, opener=_open) as stream:
        stamp = _stamp_of(stream)
        for _ in range(_READ_TRIES):
            before = stamp
            stream.seek(0)
            data = stream.read() or b""
            stamp = _stamp_of(stream)
            # An editor that writes in place may be at it right now.
            if stamp == before and len(data) == stamp.size:
                break
        # A file that is written all the time has no moment of rest: the bytes
        # go with the stamp of before them, so that the next look reads again.
        return data, before


def open_file(file: str) -> tuple[BinaryIO, FileStamp]:
    """
    Open a regular file for reading piece by piece; the caller closes it.

    Raises:
        DocumentNotFound: there is no such file.
        AccessDenied: the file system refuses.
    """
    with _as_document_error("read"):
        stream = open(file, "rb", opener=_open)  # noqa: SIM115 - handed to the caller
        try:
            return stream, _stamp_of(stream)
        except BaseException:
            stream.close()
            raise


def _stamp_of(stream: BinaryIO) -> FileStamp:
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise AccessDenied("Access denied")
    return FileStamp.of(status)


@dataclass(slots=True, eq=False)
class StagedFile:
    """
    New content of a file, complete under a temporary name beside it.

    Attributes:
        stamp: that the file will have; renaming does not change it.
    """

    stamp: FileStamp
    _file: str
    _temporary: Path
    _descriptor: int
    _durable: bool
    _made: list[Path]

    def put(self) -> None:
        """
        Make it the file, in one step.

        Raises:
            DocumentError: as for :func:`replace_file`; the old file is intact.
        """
        with _as_document_error("write"):
            try:
                self._temporary.replace(self._file)
            except OSError:
                self.discard()
                raise
            self._close()
            if self._durable:
                directory = Path(self._file).parent
                for changed in {directory, *(new.parent for new in self._made)}:
                    _sync_directory(changed)

    def discard(self) -> None:
        """Leave everything as it was."""
        self._temporary.unlink(missing_ok=True)
        self._close()
        _remove_directories(self._made)

    def _close(self) -> None:
        os.close(self._descriptor)


def stage_file(file: str, data: bytes, *, durable: bool) -> StagedFile:
    """
    Write new content beside ``file``; missing directories are made.

    Raises:
        DocumentError: as for :func:`replace_file`.
    """
    directory = Path(file).parent
    made: list[Path] = []
    with _as_document_error("write"):
        try:
            _make_directories(directory, made)
            return _stage(file, directory, data, durable, made)
        except OSError:
            _remove_directories(made)
            raise


def replace_file(file: str, data: bytes, *, durable: bool) -> FileStamp:
    """
    Give ``file`` new content in one step; missing directories are made.

    Raises:
        StorageError: nothing has changed; 507 when there is no room.
        AccessDenied: the file system refuses.
        EditConflict: a part of the path is a file, or the file a directory.
    """
    staged = stage_file(file, data, durable=durable)
    staged.put()
    return staged.stamp


def remove_file(file: str) -> None:
    """
    Remove a file, durably.

    Raises:
        DocumentNotFound: there is none.
        AccessDenied: the file system refuses.
        StorageError: the disk fails.
    """
    with _as_document_error("delete"):
        Path(file).unlink()
        _sync_directory(Path(file).parent)


def remove_directory(directory: str) -> None:
    """
    Remove an empty directory, durably.

    Raises:
        DocumentNotFound: there is none.
        EditConflict: it is not empty.
        AccessDenied: the file system refuses.
        StorageError: the disk fails.
    """
    with _as_document_error("delete"):
        Path(directory).rmdir()
        _sync_directory(Path(directory).parent)


def remove_stale_files(root: str, is_stopped: Callable[[], bool]) -> int:
    """Remove the temporary files of killed writers; return how many there were."""
    removed = 0
    for directory, _, names in os.walk(root):
        if is_stopped():
            break
        for name in names:
            if name.startswith(TEMPORARY_PREFIX):
                removed += _remove_if_stale(Path(directory, name))
    return removed


@contextmanager
def _as_document_error(verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(error, verb) from error


def _refusal(error: OSError, verb: str) -> DocumentError:
    reason = f"Failed to {verb} file: {error.strerror}"
    match error.errno:
        case errno.ENOENT if verb != "write":
            return DocumentNotFound("File not found")
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return StorageError(reason, status=507, code="storage-full")
        case errno.EACCES | errno.EPERM | errno.EROFS | errno.ELOOP:
            return AccessDenied("Access denied")
        case errno.ENOTEMPTY:
            return EditConflict("Directory not empty", code="directory-not-empty")
        case errno.ENOTDIR | errno.EISDIR | errno.EEXIST:
            return EditConflict(reason, code="not-a-file")
    return StorageError(reason)


def _open(file: str, flags: int) -> int:
    # Without O_NONBLOCK a pipe would block here until somebody writes to it.
    return os.open(file, flags | _READ)


def _make_directories(directory: Path, made: list[Path]) -> None:
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for new in reversed(missing):
        new.mkdir()
        made.append(new)


def _remove_directories(made: list[Path]) -> None:
    for new in reversed(made):
        with suppress(OSError):  # somebody else has put something there
            new.rmdir()


def _stage(
    file: str, directory: Path, data: bytes, durable: bool, made: list[Path]
) -> StagedFile:
    temporary, descriptor = _create_temporary(directory)
    try:
        _copy_rights(file, descriptor)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if durable:
            os.fsync(descriptor)
        stamp = FileStamp.of(os.fstat(descriptor))
    except BaseException:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    return StagedFile(stamp, file, temporary, descriptor, durable, made)


def _create_temporary(directory: Path) -> tuple[Path, int]:
    while True:
        temporary = directory / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        descriptor = os.open(temporary, _CREATE, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue  # somebody clears up, and takes it for a stale one
        except OSError:
            return temporary, descriptor  # some network file systems have no locks
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)


def _copy_rights(file: str, descriptor: int) -> None:
    try:
        old = Path(file).stat()
    except FileNotFoundError:
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        # Only root may give a file away; the content matters more than the owner.
        with suppress(PermissionError):
            os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_stale(temporary: Path) -> bool:
    try:
        descriptor = os.open(temporary, _READ)
    except OSError:
        return False  # its writer has just finished
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        temporary.unlink()
    except OSError:
        return False  # its writer lives
    finally:
        os.close(descriptor)
    return True
