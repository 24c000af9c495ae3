"""The contract finds what is wrong with a journal: one planted fault per test."""

import inspect
from contextlib import asynccontextmanager

import pytest

from beamfast.entry import Version
from beamfast.journal.contract import JournalContract
from beamfast.journal.journal import Behind, Health, Reset
from beamfast.journal.memory import MemoryJournal

TESTS = [
    name
    for name, _ in inspect.getmembers(JournalContract, inspect.isfunction)
    if name.startswith("test_")
]


async def broken_rules(journal_type):
    """Return the tests of the contract that a journal fails."""
    failed = []
    for name in TESTS:
        try:
            await getattr(JournalContract(), name)(journal_type())
        except (AssertionError, ValueError, RuntimeError):
            failed.append(name)
    return failed


class Down(MemoryJournal):
    def health(self):
        return Health("down", "no disk")


class LastWriterWins(MemoryJournal):
    async def commit(self, document, base, *more):
        snapshot = await self.load(document)
        version = snapshot.version if snapshot else base
        return await super().commit(document, version, *more)


class ForgetsTheBody(MemoryJournal):
    async def load(self, document):
        snapshot = await super().load(document)
        return snapshot and snapshot._replace(body=b"")


class AlwaysBehind(MemoryJournal):
    async def commit(self, document, base, *more):
        answer = await super().commit(document, base, *more)
        return Behind([]) if isinstance(answer, Reset) else answer


class StoresBeforeItCompares(MemoryJournal):
    async def commit(self, document, base, *more):
        answer = await super().commit(document, base, *more)
        if not isinstance(answer, Version) and (now := await self.load(document)):
            await super().commit(document, now.version, *more)
        return answer


class RepeatsTheLast(MemoryJournal):
    async def since(self, sequence):
        return await super().since(sequence - 1)


class ReplaysTheNewest(MemoryJournal):
    async def replay(self, document, after, limit):
        logged = await super().replay(document, after, 10**9)
        return logged if isinstance(logged, Reset) else logged[-limit:]


class ReplaysEverything(MemoryJournal):
    async def replay(self, document, after, limit):
        logged = await super().replay(document, after, limit)
        return [] if isinstance(logged, Reset) else logged


class OneLogForAll(MemoryJournal):
    async def positions(self, documents):
        return {document: Version(1, "0" * 16) for document in documents}


class FindsByTheEmptyName(MemoryJournal):
    async def find(self, document, operation):
        logged = await self.replay(document, Version.of_file(b"<p>file</p>"), 9)
        found = await super().find(document, operation)
        return found or (None if isinstance(logged, Reset) else logged[-1])


class ForgetsThatItIsGone(MemoryJournal):
    async def load(self, document):
        snapshot = await super().load(document)
        return snapshot and snapshot._replace(body=snapshot.body or b"")


class AddsFileRecords(MemoryJournal):
    async def set_files(self, document, records):
        await super().set_files(document, [*await self.files(document), *records])


class HeadBehind(MemoryJournal):
    def head(self):
        return max(super().head() - 1, 0)


class StartsBeforeTheBody(MemoryJournal):
    async def load(self, document):
        snapshot = await super().load(document)
        start = Version.of_file(b"<p>file</p>")
        tail = await self.replay(document, start, 9)
        return snapshot and snapshot._replace(tail=tail)


class KeepsTheTurn(MemoryJournal):
    def __init__(self):
        super().__init__()
        self.held = set()

    @asynccontextmanager
    async def turn(self, document):
        if document in self.held:
            raise RuntimeError("nobody gave the turn back")
        self.held.add(document)
        yield
        self.held.remove(document)


class OneTurnForAll(KeepsTheTurn):
    @asynccontextmanager
    async def turn(self, document):
        async with super().turn("any"):
            yield


@pytest.mark.parametrize(
    "journal_type",
    [
        *(Down, LastWriterWins, ForgetsTheBody, AlwaysBehind, StoresBeforeItCompares),
        *(RepeatsTheLast, ReplaysTheNewest, ReplaysEverything, OneLogForAll),
        *(KeepsTheTurn, OneTurnForAll, FindsByTheEmptyName, ForgetsThatItIsGone),
        *(AddsFileRecords, HeadBehind, StartsBeforeTheBody),
    ],
    ids=lambda journal_type: journal_type.__name__,
)
async def test_a_planted_fault_is_found(journal_type):
    assert await broken_rules(journal_type)


async def test_a_correct_journal_passes():
    assert await broken_rules(MemoryJournal) == []
