"""
The tables of a file journal, as functions on an open database.

Each is one step: the caller gives the transaction where several belong together.
A stored body and the events after it always lead to the newest version, so the
log is never trimmed past the body.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from beamfast.entry import Version
from beamfast.errors import StorageError
from beamfast.journal.journal import Behind, FileRecord, Logged, Reset, Snapshot

#: A body up to this size is stored with every commit.
SMALL_BODY: Final = 64 * 2**10
#: A larger one after so many revisions or bytes of log.
BODY_REVISIONS: Final = 32
BODY_LOG_BYTES: Final = 256 * 2**10

_COLUMNS: Final = "seq, path, log.revision, log.chain, event"
_JOINED: Final = "log JOIN documents ON documents.id = log.document"


@dataclass(frozen=True, slots=True)
class Retention:
    """What a journal keeps of each document: so many entries, so many bytes."""

    entries: int = 1024
    size: int = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Commit:
    """One conditional append, as :meth:`Journal.commit` was asked for it."""

    document: str
    base: Version
    events: Sequence[bytes]
    body: bytes | None
    operations: Sequence[str]
    original: bytes | None = None


def path_of(document: str) -> bytes:
    """Return the stored form of a key; a file name need not be UTF-8."""
    return os.fsencode(document)


def append(
    connection: sqlite3.Connection, commit: Commit, retention: Retention
) -> Version | Behind | Reset:
    """Append the events if the document stands at their base."""
    found = connection.execute(
        "SELECT id, revision, chain, retained FROM documents WHERE path = ?",
        (path_of(commit.document),),
    ).fetchone()
    if found is None:
        if commit.base.revision != 0:
            return Reset()
        number, retained = _add_document(connection, commit), 0
    else:
        number, revision, chain, retained = found
        if commit.base != (revision, chain):
            missing = after(connection, commit.document, commit.base)
            return Reset() if missing is None else Behind(missing)
    version = commit.base
    rows = []
    names = commit.operations or [""] * len(commit.events)
    for event, name in zip(commit.events, names, strict=True):
        version = version.next(event)
        retained += len(event)
        rows.append((number, version.revision, version.chain, name, event))
    connection.executemany(
        "INSERT INTO log (document, revision, chain, operation, event)"
        " VALUES (?, ?, ?, ?, ?)",
        rows,
    )
    kept = _store_body(connection, number, version, commit)
    _trim_bodies(connection, number, retention.size)
    connection.execute(
        "UPDATE documents SET revision = ?, chain = ?, retained = ? WHERE id = ?",
        (version.revision, version.chain, retained, number),
    )
    # What comes in one step is read in one step, however much it is.
    trim(connection, number, retention, min(kept, commit.base.revision))
    return version


def _add_document(connection: sqlite3.Connection, commit: Commit) -> int:
    revision, chain = commit.base
    cursor = connection.execute(
        "INSERT INTO documents (path, start_revision, start_chain, revision, chain,"
        " retained) VALUES (?, ?, ?, ?, ?, 0)",
        (path_of(commit.document), revision, chain, revision, chain),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _store_body(
    connection: sqlite3.Connection, number: int, version: Version, commit: Commit
) -> int:
    """Store the body if it is time to; return the revision of the stored one."""
    body = commit.body
    newest = connection.execute(
        "SELECT revision FROM bodies WHERE document = ? ORDER BY revision DESC LIMIT 2",
        (number,),
    ).fetchall()
    if not newest and commit.original is not None:
        _add_body(connection, number, commit.base, commit.original)
    if newest and body is not None and len(body) > SMALL_BODY:
        (stored,) = newest[0]
        if not _is_far(connection, number, stored, version.revision):
            return int(stored)
    _add_body(connection, number, version, body)
    if len(newest) == 2:
        # The one before stays only if it is far enough from the one before that.
        (last,), (before,) = newest
        if not _is_far(connection, number, before, last):
            connection.execute(
                "DELETE FROM bodies WHERE document = ? AND revision = ?", (number, last)
            )
    return version.revision


def _add_body(
    connection: sqlite3.Connection, number: int, version: Version, body: bytes | None
) -> None:
    digest = hashlib.sha256(body or b"").digest()
    connection.execute(
        "INSERT INTO bodies VALUES (?, ?, ?, ?, ?)", (number, *version, digest, body)
    )


def _is_far(connection: sqlite3.Connection, number: int, first: int, last: int) -> bool:
    """Return True when so much lies between two revisions that both have a body."""
    (size,) = connection.execute(
        "SELECT total(length(event)) FROM log"
        " WHERE document = ? AND revision > ? AND revision <= ?",
        (number, first, last),
    ).fetchone()
    return bool(last - first >= BODY_REVISIONS or size >= BODY_LOG_BYTES)


def _trim_bodies(connection: sqlite3.Connection, number: int, size: int) -> None:
    """Remove the oldest bodies over a limit, but never the newest."""
    kept = 0
    rows = connection.execute(
        "SELECT revision, length(body) FROM bodies WHERE document = ?"
        " ORDER BY revision DESC",
        (number,),
    ).fetchall()
    for index, (revision, length) in enumerate(rows):
        kept += length or 0
        if index and kept > size:
            connection.execute(
                "DELETE FROM bodies WHERE document = ? AND revision <= ?",
                (number, revision),
            )
            return


def trim(
    connection: sqlite3.Connection, number: int, retention: Retention, upmost: int
) -> None:
    """Remove the oldest events over a limit, but none after revision ``upmost``."""
    start, newest, retained = connection.execute(
        "SELECT start_revision, revision, retained FROM documents WHERE id = ?",
        (number,),
    ).fetchone()
    # The newest stays, so that other processes can see that there is one.
    last = min(upmost, newest - 1)
    upto = min(newest - retention.entries, last)
    if upto <= start and retained <= retention.size:
        return
    dropped = None
    for revision, chain, size in connection.execute(
        "SELECT revision, chain, length(event) FROM log"
        " WHERE document = ? AND revision <= ? ORDER BY revision",
        (number, last),
    ):
        if revision > upto and retained <= retention.size:
            break
        dropped = (revision, chain)
        retained -= size
    if dropped is None:
        return
    connection.execute(
        "DELETE FROM log WHERE document = ? AND revision <= ?", (number, dropped[0])
    )
    # What no retained event continues leads nowhere.
    connection.execute(
        "DELETE FROM bodies WHERE document = ? AND revision < ?", (number, dropped[0])
    )
    connection.execute(
        "UPDATE documents SET start_revision = ?, start_chain = ?, retained = ?"
        " WHERE id = ?",
        (*dropped, retained, number),
    )


def load(
    connection: sqlite3.Connection, document: str, at: Version | None = None
) -> Snapshot | None:
    """
    Return where a document stands, or stood at an earlier version.

    Raises:
        StorageError: the stored body is not the one that was stored.
    """
    last = 2**62 if at is None else at.revision
    # One statement is one moment: a commit cannot come between its rows.
    rows = connection.execute(
        "SELECT documents.revision, documents.chain, bodies.revision, bodies.chain,"
        " sha256, body, seq, log.revision, log.chain, event"
        " FROM documents JOIN bodies ON bodies.document = documents.id"
        " LEFT JOIN log ON log.document = documents.id"
        " AND log.revision > bodies.revision AND log.revision <= ?1"
        " WHERE path = ?2 AND bodies.revision = (SELECT max(revision) FROM bodies"
        " WHERE document = documents.id AND revision <= ?1) ORDER BY log.revision",
        (last, path_of(document)),
    ).fetchall()
    if not rows:
        return None
    revision, chain, body_revision, body_chain, sha256, body = rows[0][:6]
    if hashlib.sha256(body or b"").digest() != sha256:
        raise StorageError(
            f"the stored body of {document} is damaged", code="journal-damaged"
        )
    tail = [
        Logged(seq, document, Version(number, link), event)
        for *_, seq, number, link, event in rows
        if seq is not None
    ]
    stored = Version(body_revision, body_chain)
    if at is None:
        return Snapshot(Version(revision, chain), stored, body, tail)
    version = tail[-1].version if tail else stored
    return Snapshot(version, stored, body, tail) if version == at else None


def after(
    connection: sqlite3.Connection, document: str, version: Version, limit: int = -1
) -> list[Logged] | None:
    """Return what came after a version that the log knows, else None."""
    rows = connection.execute(
        "SELECT start_revision, start_chain, seq, log.revision, log.chain, event"
        " FROM documents LEFT JOIN log ON log.document = documents.id"
        " AND log.revision >= ? WHERE path = ? ORDER BY log.revision LIMIT ?",
        (version.revision, path_of(document), limit + 1 if limit >= 0 else -1),
    ).fetchall()
    if not rows:
        return None
    logged = [
        Logged(seq, document, Version(revision, chain), event)
        for _, _, seq, revision, chain, event in rows
        if seq is not None
    ]
    if version == rows[0][:2]:
        return logged if limit < 0 else logged[:limit]
    return logged[1:] if logged and logged[0].version == version else None


def start(connection: sqlite3.Connection, document: str) -> Version | None:
    """Return the version before the oldest event."""
    row = connection.execute(
        "SELECT start_revision, start_chain FROM documents WHERE path = ?",
        (path_of(document),),
    ).fetchone()
    return None if row is None else Version(*row)


def since(connection: sqlite3.Connection, sequence: int) -> list[Logged]:
    """Return the events of all documents after ``sequence``."""
    return _logged(
        connection.execute(
            f"SELECT {_COLUMNS} FROM {_JOINED} WHERE seq > ? ORDER BY seq",  # noqa: S608 - constants
            (sequence,),
        )
    )


def head(connection: sqlite3.Connection) -> int:
    """Return the number of the newest event."""
    (newest,) = connection.execute("SELECT max(seq) FROM log").fetchone()
    return newest or 0


def find(
    connection: sqlite3.Connection, document: str, operation: str
) -> Logged | None:
    """Return the event with a unique name."""
    if not operation:
        return None
    found = _logged(
        connection.execute(
            f"SELECT {_COLUMNS} FROM {_JOINED} WHERE path = ? AND operation = ?"  # noqa: S608 - constants
            " AND operation <> '' LIMIT 1",
            (path_of(document), operation),
        )
    )
    return found[0] if found else None


def positions(
    connection: sqlite3.Connection, documents: Iterable[str]
) -> dict[str, Version]:
    """Return the newest version of each document that has one."""
    found = {}
    for document in documents:
        row = connection.execute(
            "SELECT revision, chain FROM documents WHERE path = ?",
            (path_of(document),),
        ).fetchone()
        if row is not None:
            found[document] = Version(*row)
    return found


def files(connection: sqlite3.Connection, document: str) -> list[FileRecord]:
    """Return the file records of a document, the newest last."""
    rows = connection.execute(
        "SELECT revision, chain, sha256, device, inode, size, mtime_ns"
        " FROM files WHERE path = ? ORDER BY place",
        (path_of(document),),
    )
    return [
        FileRecord(
            Version(revision, chain), sha256, int(device), int(inode), size, mtime
        )
        for revision, chain, sha256, device, inode, size, mtime in rows.fetchall()
    ]


def set_files(
    connection: sqlite3.Connection, document: str, records: Iterable[FileRecord]
) -> None:
    """Replace the file records of a document."""
    path = path_of(document)
    connection.execute("DELETE FROM files WHERE path = ?", (path,))
    # Device and inode are unsigned: as text they fit.
    rows: list[tuple[Any, ...]] = [
        (
            *(path, place, record.version.revision, record.version.chain),
            *(record.sha256, str(record.device), str(record.inode)),
            *(record.size, record.mtime_ns),
        )
        for place, record in enumerate(records)
    ]
    connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _logged(cursor: sqlite3.Cursor) -> list[Logged]:
    return [
        Logged(seq, os.fsdecode(path), Version(revision, chain), event)
        for seq, path, revision, chain, event in cursor.fetchall()
    ]
