import asyncio
import threading

import pytest

from beamfast.commit.plain import PlainWriter, Stored
from beamfast.documents.change import Appending, Removal, Replacement
from beamfast.errors import DocumentNotFound, PreconditionFailed, StorageError
from beamfast.http import Headers
from beamfast.protocol.conditional import Conditions

TEXT = "/notes.txt"


class Gate:
    """Writes wait for ``opened``; ``entered`` is set by the first that does."""

    def __init__(self, store):
        self.opened = threading.Event()
        self.entered = asyncio.Event()
        self.written = []
        self._loop = asyncio.get_running_loop()
        self._write = store.write

    def write(self, location, data):
        self._loop.call_soon_threadsafe(self.entered.set)
        assert self.opened.wait(10)
        self.written.append(data)
        return self._write(location, data)


@pytest.fixture
async def gate(site, monkeypatch):
    """A disk on which no write ends before the gate is open."""
    gate = Gate(site.store)
    monkeypatch.setattr(site.store, "write", gate.write)
    yield gate
    gate.opened.set()


@pytest.fixture
def write(site):
    """Write plain files of one site."""
    writer = PlainWriter(site.store)

    async def write(change, path=TEXT, **fields):
        named = [(name.replace("_", "-"), value) for name, value in fields.items()]
        conditions = Conditions.from_headers(Headers(named))
        return await writer.write(site.location(path), change, conditions)

    write.writer = writer
    return write


async def test_a_file_is_made_replaced_extended_and_removed(site, write):
    made = await write(Replacement(b"one"))
    assert made == Stored(site.store.stamp(site.location(TEXT)).etag, is_new=True)
    replaced = await write(Replacement(b"two"))
    assert not replaced.is_new
    assert replaced.etag != made.etag
    await write(Appending(b" three"))
    assert (await site.file(TEXT)) == b"two three"
    assert await write(Removal()) == Stored("", is_new=False)
    assert not (site.root / "notes.txt").exists()


async def test_appending_makes_a_file(site, write):
    assert (await write(Appending(b"one"))).is_new
    assert (await site.file(TEXT)) == b"one"


async def test_what_is_not_there_cannot_be_removed(write):
    with pytest.raises(DocumentNotFound):
        await write(Removal())


async def test_a_condition_is_checked_in_its_turn(site, write):
    made = await write(Replacement(b"one"))
    tag = f'"{made.etag}"'
    changes = [write(Appending(b"!"), if_match=tag) for _ in range(3)]
    first, *others = await asyncio.gather(*changes, return_exceptions=True)
    assert isinstance(first, Stored)
    assert {type(other) for other in others} == {PreconditionFailed}
    assert (await site.file(TEXT)) == b"one!"


async def test_only_one_of_several_can_make_a_file(site, write):
    changes = [
        write(Replacement(b"%d" % number), if_none_match="*") for number in range(3)
    ]
    first, *others = await asyncio.gather(*changes, return_exceptions=True)
    assert first.is_new
    assert {type(other) for other in others} == {PreconditionFailed}
    assert (await site.file(TEXT)) == b"0"


async def test_a_file_that_changed_since_a_date_is_not_written(site, write):
    await write(Replacement(b"one"))
    with pytest.raises(PreconditionFailed):
        await write(
            Replacement(b"two"), if_unmodified_since="Sun, 06 Nov 1994 08:49:37 GMT"
        )


async def test_writes_happen_in_the_order_in_which_they_were_asked_for(site, write):
    await asyncio.gather(*(write(Appending(b"%d " % number)) for number in range(50)))
    assert (await site.file(TEXT)).split() == [b"%d" % number for number in range(50)]


async def test_files_do_not_wait_for_each_other(site, write, gate):
    first = asyncio.ensure_future(write(Replacement(b"one")))
    await gate.entered.wait()
    await site.write_by_hand(b"x", "/other.txt")
    await write(Removal(), path="/other.txt")
    assert not first.done()
    gate.opened.set()
    await first


async def test_a_write_whose_writer_went_away_is_finished_before_the_next(write, gate):
    first = asyncio.ensure_future(write(Replacement(b"one")))
    await gate.entered.wait()
    second = asyncio.ensure_future(write(Appending(b" two")))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gate.written == []
    gate.opened.set()
    await second
    assert gate.written == [b"one", b"one two"]


async def test_a_failing_disk_is_told_and_the_next_write_works(
    site, write, monkeypatch
):
    def fail(location, data):
        raise StorageError("no space", status=507)

    with monkeypatch.context() as patch:
        patch.setattr(site.store, "write", fail)
        with pytest.raises(StorageError):
            await write(Replacement(b"one"))
    await write(Replacement(b"two"))
    assert (await site.file(TEXT)) == b"two"


async def test_a_writer_that_rests_holds_no_locks(write):
    await asyncio.gather(*(write(Appending(b"x")) for _ in range(3)))
    with pytest.raises(DocumentNotFound):
        await write(Removal(), path="/none.txt")
    assert write.writer._turns == {}
