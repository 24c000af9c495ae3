"""The contract finds what is wrong with a journal: one planted fault per test."""

import inspect
from contextlib import asynccontextmanager

import pytest

from beamfast.entry import Version
from beamfast.journal.contract import JournalContract
from beamfast.journal.journal import Behind, Health, Reset, Snapshot
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
    async def commit(self, document, base, events, body):
        snapshot = await self.load(document)
        return await super().commit(
            document, snapshot.version if snapshot else base, events, body
        )


class ForgetsTheBody(MemoryJournal):
    async def load(self, document):
        snapshot = await super().load(document)
        return snapshot and Snapshot(snapshot.version, b"")


class AlwaysBehind(MemoryJournal):
    async def commit(self, document, base, events, body):
        answer = await super().commit(document, base, events, body)
        return Behind([]) if isinstance(answer, Reset) else answer


class StoresBeforeItCompares(MemoryJournal):
    async def commit(self, document, base, events, body):
        answer = await super().commit(document, base, events, body)
        if not isinstance(answer, Version) and (now := await self.load(document)):
            await super().commit(document, now.version, events, body)
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
        *(KeepsTheTurn, OneTurnForAll),
    ],
    ids=lambda journal_type: journal_type.__name__,
)
async def test_a_planted_fault_is_found(journal_type):
    assert await broken_rules(journal_type)


async def test_a_correct_journal_passes():
    assert await broken_rules(MemoryJournal) == []
