"""
Files that are not HTML: replaced whole, one writer at a time, no journal.

Their validator is the identity of the file; nobody follows them live.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from beamfast.documents.change import Appending, Change, Removal, Replacement
from beamfast.documents.store import DocumentStore, FileStamp, Location
from beamfast.errors import DocumentNotFound
from beamfast.protocol.conditional import Conditions


@dataclass(frozen=True, slots=True)
class Stored:
    """
    A file as it was stored.

    Attributes:
        etag: its validator, without quotes; empty when it was removed.
        is_new: there was no such file before.
    """

    etag: str
    is_new: bool


@dataclass(slots=True, eq=False)
class _Turn:
    """The lock of one file, while somebody needs it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class PlainWriter:
    """
    Write files that are not HTML, in the order in which they were asked for.

    Args:
        store: where they are.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._turns: dict[str, _Turn] = {}

    async def write(
        self, location: Location, change: Change, conditions: Conditions
    ) -> Stored:
        """
        Carry out ``change`` in its turn; returns when it is durable.

        Raises:
            DocumentError: the change was refused; nothing was stored.
        """
        # Whoever asked may go away; the write and its turn are finished together.
        return await asyncio.shield(self._take_turn(location, change, conditions))

    async def _take_turn(
        self, location: Location, change: Change, conditions: Conditions
    ) -> Stored:
        turn = self._turns.setdefault(location.key, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                return await self._write(location, change, conditions)
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[location.key]

    async def _write(
        self, location: Location, change: Change, conditions: Conditions
    ) -> Stored:
        before: FileStamp | None = None
        data = b""
        try:
            data, before = self._store.read(location)
        except DocumentNotFound:
            if isinstance(change, Removal):
                raise
        conditions.require(
            before.etag if before else None,
            modified=before.modified if before else None,
        )
        if isinstance(change, Removal):
            await asyncio.to_thread(self._store.remove, location)
            self._store.forget(location)
            return Stored("", is_new=False)
        assert isinstance(change, Replacement | Appending)
        if isinstance(change, Appending):
            data += change.data
        else:
            data = change.data
        stamp = await asyncio.to_thread(self._store.write, location, data)
        self._store.forget(location)
        return Stored(stamp.etag, is_new=before is None)
