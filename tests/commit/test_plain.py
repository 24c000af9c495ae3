import asyncio

import pytest

from beamfast.commit.plain import PlainWriter, Stored
from beamfast.documents.change import Appending, Removal, Replacement
from beamfast.errors import DocumentNotFound, PreconditionFailed, StorageError
from beamfast.http import Headers
from beamfast.protocol.conditional import Conditions

TEXT = "/notes.txt"


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
    assert site.read(TEXT) == b"two three"
    assert await write(Removal()) == Stored("", is_new=False)
    assert not (site.root / "notes.txt").exists()


async def test_appending_makes_a_file(site, write):
    assert (await write(Appending(b"one"))).is_new
    assert site.read(TEXT) == b"one"


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
    assert site.read(TEXT) == b"one!"


async def test_only_one_of_several_can_make_a_file(site, write):
    changes = [
        write(Replacement(b"%d" % number), if_none_match="*") for number in range(3)
    ]
    first, *others = await asyncio.gather(*changes, return_exceptions=True)
    assert first.is_new
    assert {type(other) for other in others} == {PreconditionFailed}
    assert site.read(TEXT) == b"0"


async def test_a_file_that_changed_since_a_date_is_not_written(site, write):
    await write(Replacement(b"one"))
    with pytest.raises(PreconditionFailed):
        await write(
            Replacement(b"two"), if_unmodified_since="Sun, 06 Nov 1994 08:49:37 GMT"
        )


async def test_writes_happen_in_the_order_in_which_they_were_asked_for(site, write):
    await asyncio.gather(*(write(Appending(b"%d " % number)) for number in range(50)))
    assert site.read(TEXT).split() == [b"%d" % number for number in range(50)]


async def test_files_do_not_wait_for_each_other(site, write):
    with site.held():
        (first,) = await site.begin(write(Replacement(b"one")))
        site.write_by_hand(b"x", "/other.txt")
        await write(Removal(), path="/other.txt")
        assert not first.done()
    await first


async def test_a_write_whose_writer_went_away_is_finished_before_the_next(site, write):
    with site.held():
        (first,) = await site.begin(write(Replacement(b"one")))
        second = asyncio.ensure_future(write(Appending(b" two")))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert site.written == []
    await second
    assert site.written == [b"one", b"one two"]


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
    assert site.read(TEXT) == b"two"


async def test_a_writer_that_rests_holds_no_locks(write):
    await asyncio.gather(*(write(Appending(b"x")) for _ in range(3)))
    with pytest.raises(DocumentNotFound):
        await write(Removal(), path="/none.txt")
    assert write.writer._turns == {}
