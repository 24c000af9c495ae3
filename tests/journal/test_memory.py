import pytest

from beamfast.entry import Version
from beamfast.journal.contract import JournalContract
from beamfast.journal.journal import Behind, Reset
from beamfast.journal.memory import MemoryJournal

FILE = Version.of_file(b"")


async def fill(journal, *sizes, document="/a", base=FILE):
    """Commit one event of each size; return the version before and after each."""
    versions = [base]
    for size in sizes:
        event = bytes([len(versions)]) * size
        versions.append(await journal.commit(document, versions[-1], [event], b""))
    return versions


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self):
        return MemoryJournal()


async def test_the_oldest_events_over_the_number_limit_are_forgotten():
    journal = MemoryJournal(retain_entries=2)
    versions = await fill(journal, 1, 1, 1)
    assert isinstance(await journal.replay("/a", versions[0], 9), Reset)
    assert len(await journal.replay("/a", versions[1], 9)) == 2
    assert isinstance(await journal.commit("/a", versions[0], [b"x"], b""), Reset)
    assert isinstance(await journal.commit("/a", versions[1], [b"x"], b""), Behind)


async def test_the_oldest_events_over_the_byte_limit_are_forgotten():
    journal = MemoryJournal(retain_bytes=10)
    versions = await fill(journal, 4, 4, 4)
    assert isinstance(await journal.replay("/a", versions[0], 9), Reset)
    assert len(await journal.replay("/a", versions[1], 9)) == 2


async def test_an_event_over_the_byte_limit_still_moves_the_document():
    journal = MemoryJournal(retain_bytes=10)
    versions = await fill(journal, 4, 11)
    assert (await journal.load("/a")).version == versions[2]
    assert list(await journal.replay("/a", versions[2], 9)) == []
    assert isinstance(await journal.replay("/a", versions[1], 9), Reset)


@pytest.mark.parametrize("limits", [{"retain_entries": 2}, {"retain_bytes": 10}])
async def test_the_log_of_all_documents_is_bounded_too(limits):
    journal = MemoryJournal(**limits)
    for number in range(9):
        await fill(journal, 4, document=f"/{number}")
    kept = [logged.document for logged in await journal.since(0)]
    assert kept == ["/6", "/7", "/8"]


async def test_the_newest_commit_can_always_be_published():
    journal = MemoryJournal(retain_entries=2, retain_bytes=10)
    await fill(journal, 4, 4)
    seen = (await journal.since(0))[-1].sequence
    await journal.commit("/b", FILE, [b"x" * 11, b"y", b"z"], b"")
    assert [one.event[:1] for one in await journal.since(seen)] == [b"x", b"y", b"z"]


async def test_a_commit_needs_an_event():
    journal = MemoryJournal()
    with pytest.raises(ValueError, match="without events"):
        await journal.commit("/a", FILE, [], b"")
    assert await journal.load("/a") is None


async def test_operations_are_forgotten_with_their_events():
    journal = MemoryJournal(retain_entries=2)
    version = FILE
    for name in "abc":
        event = name.encode()
        version = await journal.commit("/a", version, [event], b"", [name])
    assert await journal.find("/a", "a") is None
    assert (await journal.find("/a", "b")).event == b"b"
    assert (await journal.find("/a", "c")).version == version
    await journal.close()
