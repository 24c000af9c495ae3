"""
Look after the database of a file journal: is everything in it what was stored?

Chains are computed again from the events, bodies are compared with their digests,
and every page is rebuilt. Reading needs no lock; compacting waits for the writer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from beamfast.entry import Version
from beamfast.journal import database


@dataclass(slots=True)
class Report:
    """What was read, and what is wrong with it."""

    documents: int = 0
    entries: int = 0
    faults: list[str] = field(default_factory=list)


def check(file: Path) -> Report:
    """
    Read everything that a journal has.

    Raises:
        StorageError: it cannot be opened.
        AccessDenied: the file system refuses.
    """
    report = Report()
    with closing(database.connect(file)) as connection, database.as_storage_error():
        # One transaction is one moment, however much is written meanwhile.
        connection.execute("BEGIN")
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                report.faults.append(f"database: {line}")
        for number, path, *ends in connection.execute(
            "SELECT id, path, start_revision, start_chain, revision, chain"
            " FROM documents"
        ):
            name = os.fsdecode(path)
            report.documents += 1
            version = Version(*ends[:2])
            known = {version}
            for revision, chain, event in connection.execute(
                "SELECT revision, chain, event FROM log WHERE document = ?"
                " ORDER BY revision",
                (number,),
            ):
                report.entries += 1
                if version.next(event) != (revision, chain):
                    report.faults.append(f"{name}: {revision} does not continue")
                version = Version(revision, chain)
                known.add(version)
            if version != tuple(ends[2:]):
                report.faults.append(f"{name}: the log ends at {version}")
            bodies = connection.execute(
                "SELECT revision, chain, sha256, body FROM bodies WHERE document = ?",
                (number,),
            ).fetchall()
            if not bodies:
                report.faults.append(f"{name}: there is no body")
            for revision, chain, digest, body in bodies:
                if hashlib.sha256(body or b"").digest() != digest:
                    report.faults.append(f"{name}: the body of {revision} is damaged")
                if (revision, chain) not in known:
                    report.faults.append(
                        f"{name}: the body of {revision} is no version"
                    )
    return report


def compact(file: Path) -> tuple[int, int]:
    """
    Give unused room back; return the bytes before and after.

    Raises:
        StorageError: 507 when there is no room for a copy.
        AccessDenied: the file system refuses.
    """
    before = file.stat().st_size
    lock = os.open(
        file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with closing(database.connect(file)) as connection, database.as_storage_error():
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        os.close(lock)
    return before, file.stat().st_size
