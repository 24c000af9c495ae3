"""
Whose bytes are in a file: those that a committer put there, or somebody else's.

A file is ours when it has the identity or the digest of one of the records that
were made before it was put in place. Anything else was changed by hand, also when
its bytes are those of an older version: an undo in an editor is a change.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from beamfast.documents.document import Document
from beamfast.documents.store import DocumentStore, FileStamp, Location
from beamfast.entry import Version
from beamfast.errors import DocumentNotFound
from beamfast.journal.journal import FileRecord


class ChangedByHand(Exception):
    """The file is not the one that belongs to the committed version."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What was found in the place of a file.

    Attributes:
        record: of ours that it is, or None when it was changed by hand.
        document: the file, if it had to be read; None when there is none.
    """

    record: FileRecord | None
    document: Document | None = None


def record_of(
    version: Version, source: bytes | None, stamp: FileStamp | None
) -> FileRecord:
    """Return the record of a file, or of its absence."""
    if source is None or stamp is None:
        return FileRecord(version)
    return FileRecord(
        version,
        hashlib.sha256(source).digest(),
        stamp.device,
        stamp.inode,
        stamp.size,
        stamp.mtime_ns,
    )


def examine(
    store: DocumentStore, location: Location, records: Sequence[FileRecord]
) -> Finding:
    """
    Look at a file; it is read only when its identity does not tell enough.

    Raises:
        AccessDenied: the file system refuses, or it is no regular file.
    """
    newest_first = records[::-1]
    # No stamp: whether the file is missing or out of reach is told by reading it.
    with contextlib.suppress(DocumentNotFound):
        stamp = store.stamp(location)
        # A write within the last tick of the clock can have left the same stamp.
        if not stamp.is_racy:
            for record in newest_first:
                if record.sha256 and _is_identical(record, stamp):
                    return Finding(record)
    try:
        document = store.load(location)
    except DocumentNotFound:
        for record in newest_first:
            if not record.sha256:
                return Finding(record)
        return Finding(None)
    digest = hashlib.sha256(document.source).digest()
    for record in newest_first:
        if record.sha256 == digest:
            return Finding(record, document)
    return Finding(None, document)


def _is_identical(record: FileRecord, stamp: FileStamp) -> bool:
    return (record.device, record.inode, record.size, record.mtime_ns) == (
        stamp.device,
        stamp.inode,
        stamp.size,
        stamp.mtime_ns,
    )
