"""Two committers on one log and one folder: who hears of what, and when."""

import asyncio

import pytest

from beamfast.commit.committer import Committer
from beamfast.commit.lock import FileLock
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import (
    ElementEdit,
    Removal,
    Replacement,
    operation_for,
)
from beamfast.documents.edit import Operation
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore
from beamfast.entry import Entry
from beamfast.errors import EditRefused, StorageError
from beamfast.journal.memory import MemoryJournal
from beamfast.pubsub.hub import Hub

from .viewer import Viewer

PAGE = b"<ul id=l></ul>"
HAND = b"<ul id=l><li>by hand</ul>"


class Process:
    def __init__(self, root, journal, lock):
        loop = asyncio.get_running_loop()
        self.root = root
        self.hub = Hub(loop)
        self.store = DocumentStore(root)
        self.committer = Committer(
            *(self.store, journal, self.hub, loop),
            files_lock=FileLock(lock),
            durable=False,
        )

    def location(self, path="/page.html"):
        return self.store.resolve(path)

    async def commit(self, change, key=None, path="/page.html"):
        outcome = await self.committer.commit(
            self.location(path), change, url=path, idempotency_key=key
        )
        return outcome.version

    async def append(self, number, key=None):
        operation = Operation(
            operation_for("POST"), Selector.parse("#l"), b"<li>%d</li>" % number
        )
        return await self.commit(ElementEdit(operation, "POST"), key)

    async def current(self):
        return await self.committer.current(self.location())

    def follow(self):
        viewer = Viewer(self.hub.registry.state)
        self.committer.subscribe(viewer, self.location(), ItemForm())
        return viewer


@pytest.fixture
def journal():
    return MemoryJournal()


@pytest.fixture
async def pair(tmp_path, journal):
    root = tmp_path / "root"
    root.mkdir()
    (root / "page.html").write_bytes(PAGE)
    pair = [Process(root, journal, tmp_path / "lock") for _ in range(2)]
    yield pair
    for process in pair:
        await process.committer.close()


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def fall_behind(one, other):
    """Let ``one`` edit and write the file, and ``other`` have lost its bytes."""
    await one.append(0)
    await one.committer.flush()
    await other.current()
    viewer = other.follow()
    other.store.forget(other.location())
    return viewer


async def test_edits_are_published_though_the_file_is_ahead_of_them(pair):
    one, other = pair
    viewer = await fall_behind(one, other)
    versions = [await one.append(number) for number in (1, 2)]
    await one.committer.flush()
    await other.committer.catch_up()
    await settle()
    assert list(viewer.take()) == [("item", str(version)) for version in versions]
    document = await other.current()
    assert document.version == versions[-1]
    assert document.source.count(b"<li>") == 3


async def test_a_whole_document_that_came_before_its_entry_is_one_reset(pair):
    one, other = pair
    viewer = await fall_behind(one, other)
    await one.append(1)
    version = await one.commit(Replacement(HAND))
    await one.committer.flush()
    await other.committer.catch_up()
    await settle()
    await other.current()
    await settle()
    assert list(viewer.take())[-1] == ("reset", str(version))


async def test_a_record_that_cannot_be_read_is_loaded_over(pair, journal):
    one, other = pair
    viewer = await fall_behind(one, other)
    base = (await one.current()).version
    version = await journal.commit("/page.html", base, [b"no record"], HAND)
    await other.committer.catch_up()
    await settle()
    assert list(viewer.take()) == [("reset", str(version))]
    assert (await other.current()).source == HAND
    entry = Entry(method="PUT", url="/page.html", length_before=1, length_after=1)
    later = await journal.commit("/page.html", version, [entry.event()], PAGE)
    assert (await other.current()).version == later


async def test_an_entry_of_another_history_is_a_reset(pair, journal):
    one, other = pair
    viewer = await fall_behind(one, other)
    (keeper,) = other.committer._replica.keepers
    keeper.version = keeper.version._replace(chain="0" * 16)
    version = await one.append(1)
    assert (await other.current()).version == version
    await settle()
    assert list(viewer.take()) == [("reset", str(version))]


async def test_a_ring_makes_the_other_catch_up(pair):
    one, other = pair
    await other.current()
    viewer = other.follow()
    other.committer.start()
    version = await one.append(1)
    other.hub._rung()
    await settle()
    assert list(viewer.take()) == [("item", str(version))]


async def test_who_is_behind_has_to_catch_up_before_it_answers(pair):
    one, other = pair
    await other.current()
    version = await one.append(1)
    assert other.committer.peek(other.location()) is None
    assert (await other.current()).version == version
    assert other.committer.peek(other.location()).version == version


async def test_edits_of_a_document_that_nobody_asked_for_are_passed_over(pair):
    one, other = pair
    version = await one.append(1)
    await other.committer.catch_up()
    assert other.committer._replica.keepers == []
    assert (await other.current()).version == version


async def test_a_document_may_be_there_before_its_file(pair):
    one, other = pair
    assert not other.committer.may_exist(other.location("/new.html"))
    await one.append(0)
    await one.commit(Replacement(HAND), path="/new.html")
    await one.commit(Removal())
    assert one.committer.may_exist(one.location("/new.html"))
    assert not one.committer.may_exist(one.location())
    assert not other.committer.may_exist(other.location("/note.txt"))
    assert other.committer.may_exist(other.location("/other.html"))
    assert other.committer.peek(other.location()) is None


async def test_a_change_that_both_get_is_done_once(pair):
    one, other = pair
    first = await one.append(1, "key")
    assert await other.append(1, "key") == first
    with pytest.raises(EditRefused):
        await other.commit(Removal(), "key")
    assert (await other.current()).source.count(b"<li>") == 1


async def test_many_writers_take_turns(pair):
    edits = [process.append(number) for number in range(100) for process in pair]
    versions = await asyncio.gather(*edits)
    assert sorted(version.revision for version in versions) == list(range(1, 201))
    one, other = pair
    assert (await one.current()).source == (await other.current()).source


async def test_a_change_by_hand_is_one_revision_for_both(pair):
    one, other = pair
    await fall_behind(one, other)
    (one.root / "page.html").write_bytes(HAND)
    documents = await asyncio.gather(one.current(), other.current())
    assert [document.version.revision for document in documents] == [2, 2]
    assert {document.source for document in documents} == {HAND}


async def test_a_file_that_cannot_be_read_leaves_the_document_as_it_is(
    pair, monkeypatch
):
    one, other = pair

    def refuse(location):
        raise StorageError("input/output error")

    await one.append(0)
    await one.committer.flush()
    with monkeypatch.context() as patch:
        patch.setattr(one.store, "load", refuse)
        with pytest.raises(StorageError):
            await one.append(1)
    assert (await one.append(2)).revision == 2
    assert (await other.current()).version.revision == 2
