"""
The SQLite database of a file journal: its schema, its connections, its errors.

Write-ahead log, so that readers never wait for the writer. The time at which a
commit is on the disk is that of SQLite's ``synchronous`` setting: FULL survives
a power failure, NORMAL the end of the process.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Literal

from beamfast.errors import AccessDenied, DocumentError, StorageError

Durability = Literal["full", "relaxed"]

#: Version of the tables below; a database of another one is not touched.
SCHEMA_VERSION: Final = 1

#: Milliseconds. Writers queue for a lock file, so this is only the second line.
_BUSY_TIMEOUT: Final = 10_000

# ``seq`` is never used twice, also after the newest events were removed: readers
# ask for what is after the number that they have seen. ``path`` is bytes because
# a file name need not be UTF-8.
_TABLES: Final = """
CREATE TABLE beamfast (schema INTEGER NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    start_revision INTEGER NOT NULL,
    start_chain TEXT NOT NULL,
    revision INTEGER NOT NULL,
    chain TEXT NOT NULL,
    retained INTEGER NOT NULL
);
CREATE TABLE bodies (
    document INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    chain TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    body BLOB,
    UNIQUE (document, revision)
);
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    chain TEXT NOT NULL,
    operation TEXT NOT NULL,
    event BLOB NOT NULL,
    UNIQUE (document, revision)
);
CREATE INDEX operations ON log (document, operation) WHERE operation <> '';
CREATE TABLE files (
    path BLOB NOT NULL,
    place INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    chain TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    device TEXT NOT NULL,
    inode TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY (path, place)
) WITHOUT ROWID;
"""


def connect(file: Path, durability: Durability = "full") -> sqlite3.Connection:
    """
    Open an existing database, for the thread that calls.

    Raises:
        StorageError: it is damaged, or of another version of beamfast.
        AccessDenied: the file system refuses.
    """
    with as_storage_error():
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None
        )
    try:
        with as_storage_error():
            level = "FULL" if durability == "full" else "NORMAL"
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
            connection.execute(f"PRAGMA synchronous = {level}")
            (version,) = connection.execute("SELECT schema FROM beamfast").fetchone()
        if version != SCHEMA_VERSION:
            raise StorageError(
                f"{file} has schema {version}, this is beamfast for {SCHEMA_VERSION}",
                code="journal-version",
            )
    except BaseException:
        connection.close()
        raise
    return connection


def create(file: Path) -> None:
    """
    Make the database and its directory, in one step for other processes.

    The caller makes sure that nobody else creates it.

    Raises:
        StorageError: 507 when there is no room.
        AccessDenied: the file system refuses.
    """
    fresh = file.with_name(f"{file.name}.new")
    with as_storage_error():
        for leftover in (fresh, fresh.with_name(f"{fresh.name}-journal")):
            leftover.unlink(missing_ok=True)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN; {_TABLES} COMMIT;")
            connection.execute("INSERT INTO beamfast VALUES (?)", (SCHEMA_VERSION,))
            connection.execute("PRAGMA journal_mode = WAL")
        fresh.replace(file)
        for directory in (file.parent, file.parent.parent):
            sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Return when the names in ``directory`` are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def as_storage_error() -> Iterator[None]:
    """Turn what SQLite and the file system raise into the answer it asks for."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise refusal(error) from error


def refusal(error: sqlite3.Error | OSError) -> DocumentError:
    """Return the answer that a failure of the database asks for."""
    reason = f"The journal cannot be used: {error}"
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return StorageError(reason, status=507, code="storage-full")
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return AccessDenied(reason, code="journal-read-only")
        return StorageError(reason, code="journal")
    if is_no_room(error):
        return StorageError(reason, status=507, code="storage-full")
    # The lower byte is the kind of error, what is above it the detail.
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return AccessDenied(reason, code="journal-read-only")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StorageError(reason, code="journal-damaged")
    return StorageError(reason, code="journal")


def is_no_room(error: sqlite3.Error) -> bool:
    """Return True when SQLite could not write, and so has not written, something."""
    # SQLite calls only ENOSPC "full"; a quota or a size limit is a failed write.
    code = getattr(error, "sqlite_errorcode", 0)
    return code == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE
