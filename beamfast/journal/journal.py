"""
The interface of a journal: the ordered log of every document.

A journal makes an edit durable, ordered and replayable. It stores opaque
events; what is in one is the business of :class:`beamfast.entry.Entry`. Third
parties register their own under the entry point group ``beamfast.journals``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from beamfast.entry import Version


class Logged(NamedTuple):
    """
    One event of the log.

    Attributes:
        sequence: position among all events of all documents, ascending.
        document: key of the document, such as ``/index.html``.
        version: that the event led to.
        event: the stored bytes.
    """

    sequence: int
    document: str
    version: Version
    event: bytes


class Snapshot(NamedTuple):
    """
    Where a document stands: a stored body, and what came after it.

    Attributes:
        version: of the newest event.
        body_version: that ``body`` has.
        body: bytes of the document then; None when it was gone.
        tail: the events after ``body_version``, oldest first.
    """

    version: Version
    body_version: Version
    body: bytes | None
    tail: Sequence[Logged] = ()


class FileRecord(NamedTuple):
    """
    A file that this journal's own writers have put, or are about to put, in place.

    Whoever finds a file with another identity and another digest knows that it
    was changed by hand.

    Attributes:
        version: of the document in the file.
        sha256: of its bytes; empty when there is no file.
        device: of the file, as the three that follow.
        inode: stays the same when the temporary file is renamed.
        size: in bytes.
        mtime_ns: time of the last change.
    """

    version: Version
    sha256: bytes = b""
    device: int = 0
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Behind:
    """The commit was made on an old version; ``logged`` is what came since."""

    logged: Sequence[Logged]


@dataclass(frozen=True, slots=True)
class Reset:
    """The asked version is not in the log; load the document anew."""


@dataclass(frozen=True, slots=True)
class Health:
    """State of a journal, and why it is not ``ok``."""

    state: Literal["ok", "degraded", "down"]
    reason: str = ""


class Journal(abc.ABC):
    """
    Append-only log per document, numbered in one sequence over all of them.

    Documents are named by their key. All methods are called on one event loop;
    an implementation that waits for a disk or a network does so elsewhere.
    """

    @abc.abstractmethod
    def turn(self, document: str) -> AbstractAsyncContextManager[None]:
        """Wait for this process's turn to write ``document``, and hold it."""

    @abc.abstractmethod
    def head(self) -> int:
        """Return the sequence number of the newest event, 0 without one."""

    @abc.abstractmethod
    async def load(self, document: str, at: Version | None = None) -> Snapshot | None:
        """
        Return where ``document`` stands, or None when it has no event.

        Args:
            document: key of the document.
            at: an earlier version, if that is wanted; None is returned when the
                journal cannot tell any more what it was.

        Raises:
            StorageError: what is stored cannot be read, or is damaged.
        """

    @abc.abstractmethod
    async def commit(
        self,
        document: str,
        base: Version,
        events: Sequence[bytes],
        body: bytes | None,
        operations: Sequence[str] = (),
        original: bytes | None = None,
    ) -> Version | Behind | Reset:
        """
        Append ``events`` in one step if ``document`` still stands at ``base``.

        Args:
            document: key of the document.
            base: version that the first event was made on.
            events: at least one.
            body: bytes of the document after the last event; None when it is
                gone then.
            operations: unique name of each event, or nothing at all; an empty
                name cannot be found again.
            original: bytes of the document before its first event, so that it can
                be restored.

        Returns:
            the version of the last event; or what to do first.

        Raises:
            StorageError: nothing was stored; 507 when there is no room.
            AccessDenied: nothing was stored; the file system refuses.
            OutcomeUnknown: the reply was lost; only the log knows.
        """

    @abc.abstractmethod
    async def find(self, document: str, operation: str) -> Logged | None:
        """Return the retained event of ``document`` with that unique name."""

    @abc.abstractmethod
    async def replay(
        self, document: str, after: Version, limit: int
    ) -> Sequence[Logged] | Reset:
        """Return at most ``limit`` events after ``after``, oldest first."""

    @abc.abstractmethod
    async def since(self, sequence: int) -> Sequence[Logged]:
        """Return the events of all documents after ``sequence``, in log order."""

    @abc.abstractmethod
    async def positions(self, documents: Sequence[str]) -> Mapping[str, Version]:
        """Return the newest version of each of ``documents`` that has one."""

    @abc.abstractmethod
    async def files(self, document: str) -> Sequence[FileRecord]:
        """Return the file records of ``document``, the newest last."""

    @abc.abstractmethod
    async def set_files(self, document: str, records: Sequence[FileRecord]) -> None:
        """
        Replace the file records of ``document``.

        Raises:
            StorageError: they stay as they were; 507 when there is no room.
            AccessDenied: they stay as they were; the file system refuses.
        """

    @abc.abstractmethod
    def health(self) -> Health:
        """Return whether edits can be stored."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Finish what was asked for and free what is held."""
