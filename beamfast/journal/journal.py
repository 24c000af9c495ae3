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
    Where a document stands.

    Attributes:
        version: of the newest event.
        sha256: of the document's bytes at that version.
    """

    version: Version
    sha256: bytes


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
    async def load(self, document: str) -> Snapshot | None:
        """Return where ``document`` stands, or None when it has no event."""

    @abc.abstractmethod
    async def commit(
        self, document: str, base: Version, events: Sequence[bytes], body: bytes
    ) -> Version | Behind | Reset:
        """
        Append ``events`` in one step if ``document`` still stands at ``base``.

        Args:
            document: key of the document.
            base: version that the first event was made on.
            events: at least one.
            body: bytes of the document after the last event.

        Returns:
            the version of the last event; or what to do first.
        """

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
    def health(self) -> Health:
        """Return whether edits can be stored."""
