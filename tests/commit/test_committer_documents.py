"""Whole documents: made, removed, changed by hand, and followed."""

import asyncio

import pytest

from beamfast._outbound import Outbound
from beamfast.commit.plain import Stored
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import Appending, Removal, Replacement
from beamfast.documents.streamitem import SCHEMA_TYPE, render, render_reset
from beamfast.entry import Version
from beamfast.errors import DocumentNotFound, NoElementMatched, StorageError

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"
HAND = PAGE.replace(b"one", b"by hand")


def methods(site):
    return [entry.method for entry in site.entries]


# Whole files


async def test_a_document_is_replaced_whole(site):
    outcome = await site.put_file(HAND)
    assert (await site.file()) == HAND
    assert not outcome.is_new
    assert [one.source for _, one in site.published] == [HAND]


async def test_a_document_is_made_by_its_first_write(site):
    outcome = await site.put_file(b"<p>new", path="/new.html")
    assert outcome.is_new
    assert (await site.file("/new.html")) == b"<p>new"
    assert outcome.version.revision == 1


async def test_bytes_are_appended_to_a_document(site):
    await site.append_file(b"<p>end")
    assert (await site.file()) == PAGE + b"<p>end"
    assert methods(site) == ["append"]


async def test_versions_go_on_over_a_removal(site):
    await site.append(1)
    gone = await site.remove()
    await site.committer.flush()
    assert not (site.root / "page.html").exists()
    assert site.published[-1][1].source is None
    with pytest.raises(DocumentNotFound):
        site.committer.peek(site.location())
    assert site.versions[-1] == gone.version
    again = await site.put_file(PAGE)
    assert again.is_new
    assert again.version == gone.version.next(again.event)
    assert methods(site) == ["POST", "gone", "file"]


async def test_what_is_not_there_cannot_be_removed(site):
    with pytest.raises(DocumentNotFound):
        await site.remove(path="/none.html")
    await site.remove()
    with pytest.raises(DocumentNotFound):
        await site.remove()


async def test_a_document_made_and_removed_at_once_never_was(site):
    made, gone = await asyncio.gather(
        site.put_file(b"x", path="/new.html"), site.remove(path="/new.html")
    )
    assert made.is_new
    assert gone.version.revision == 2
    assert site.written == [None]
    await site.committer.flush()
    assert not (site.root / "new.html").exists()


async def test_a_removal_that_fails_changes_nothing(site, monkeypatch):
    async def fail(*_):
        raise StorageError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "commit", fail)
        with pytest.raises(StorageError):
            await site.remove()
    assert site.committer.peek(site.location()).version == Version.of_file(PAGE)
    assert site.published == []


@pytest.mark.parametrize(
    ("change", "stored"),
    [
        (Replacement(b"<p>new"), b"<p>new"),
        (Appending(b"<p>new"), PAGE + b"<p>new"),
        (Removal(), None),
    ],
)
async def test_a_stored_document_is_named_by_its_version(site, change, stored):
    location = site.location()
    answer = await site.committer.store_file(location, change, url="/page.html")
    version = "" if stored is None else str(site.versions[-1])
    assert answer == Stored(version, is_new=False)
    assert location.is_html


async def test_other_files_are_stored_without_a_log(site):
    location = site.location("/notes.txt")
    answer = await site.committer.store_file(
        location, Replacement(b"hi"), url="/notes.txt"
    )
    assert answer == Stored(site.store.stamp(location).etag, is_new=True)
    assert (await site.file("/notes.txt")) == b"hi"
    assert site.published == []


# Readers while something is written


async def test_a_reader_sees_the_old_version_while_the_new_one_is_written(site):
    with site.held():
        (edit,) = await site.begin(site.append(1))
        document = site.committer.peek(site.location())
        assert (document.source, document.version.revision) == (PAGE, 0)
        assert await site.committer.current(site.location()) is document
    await edit
    assert site.committer.peek(site.location()).version.revision == 1


async def test_a_document_is_there_from_its_commit_on(site):
    with site.held():
        (creation,) = await site.begin(site.put_file(PAGE, path="/new.html"))
        location = site.location("/new.html")
        with pytest.raises(DocumentNotFound):
            site.committer.peek(location)
    made = await creation
    assert site.committer.peek(location).version == made.version


async def test_a_reader_who_goes_away_does_not_stop_the_writer(site):
    await site.append(1)
    await site.write_by_hand(HAND)
    with site.held():
        (edit,) = await site.begin(site.append(2))
        reader = asyncio.ensure_future(site.committer.current(site.location()))
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.sleep(0)
    assert (await edit).version.revision == 3


# Changes made by hand


async def test_before_the_first_edit_a_change_by_hand_is_another_revision_0(site):
    await site.write_by_hand(HAND)
    document = site.committer.peek(site.location())
    assert document.version == Version.of_file(HAND)
    outcome = await site.append(1)
    assert outcome.version.revision == 1
    assert methods(site) == ["POST"]


async def test_a_change_by_hand_is_a_revision_before_the_next_edit(site):
    first = await site.append(1)
    await site.write_by_hand(HAND)
    second = await site.append(2)
    assert methods(site) == ["POST", "import", "POST"]
    _, imported, last = (publication for _, publication in site.published)
    assert imported.source == HAND
    assert imported.version == first.version.next(site.entries[1].event())
    assert last.version == second.version == imported.version.next(second.event)
    assert (await site.file()) == HAND.replace(b"<ul id=l>", b"<ul id=l><li>2</li>")


async def test_a_change_by_hand_becomes_a_revision_when_it_is_read(site):
    await site.append(1)
    await site.write_by_hand(HAND)
    assert site.committer.peek(site.location()) is None
    document = await site.committer.current(site.location())
    assert (document.source, document.version.revision) == (HAND, 2)
    assert methods(site) == ["POST", "import"]
    assert site.committer.peek(site.location()) is document
    assert len(site.written) == 2


async def test_a_change_by_hand_is_kept_when_the_edit_fails(site):
    await site.append(1)
    await site.write_by_hand(HAND)
    with pytest.raises(NoElementMatched):
        await site.edit("PUT", "#none")
    assert methods(site) == ["POST", "import"]
    assert (await site.file()) == HAND


async def test_a_change_by_hand_is_not_served_before_it_has_its_revision(site):
    await site.append(1)
    await site.write_by_hand(HAND)
    with site.held():
        (edit,) = await site.begin(site.append(2))
        assert site.committer.peek(site.location()) is None
        reader = asyncio.ensure_future(site.committer.current(site.location()))
        await asyncio.sleep(0)
    assert (await reader).version == (await edit).version


async def test_a_file_that_was_touched_only_keeps_its_version(site):
    outcome = await site.append(1)
    await site.write_by_hand(await site.file())
    document = await site.committer.current(site.location())
    assert document.version == outcome.version
    assert methods(site) == ["POST"]
    assert (await site.append(2)).version.revision == 2


async def test_a_file_that_was_removed_by_hand_is_gone(site):
    await site.append(1)
    await site.committer.flush()
    (site.root / "page.html").unlink()
    with pytest.raises(DocumentNotFound):
        await site.committer.current(site.location())
    with pytest.raises(DocumentNotFound):
        await site.append(2)
    assert (await site.put_file(PAGE)).version.revision == 3
    assert methods(site) == ["POST", "gone", "file"]


async def test_an_import_that_fails_is_told_to_its_reader(site, monkeypatch):
    await site.append(1)
    await site.write_by_hand(HAND)

    async def fail(*_):
        raise StorageError("no space", status=507)

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "commit", fail)
        with pytest.raises(StorageError):
            await site.committer.current(site.location())
    assert (await site.committer.current(site.location())).source == HAND


# Viewers


class Viewer(Outbound):
    """A subscriber that keeps what it is sent."""

    def __init__(self):
        super().__init__()
        self.on_close = None
        self.received = b""

    @staticmethod
    def frame_item(text, version, event):
        return f"{version} {event}\n{text}\n".encode()


class Pipe(asyncio.Transport):
    def __init__(self, viewer):
        super().__init__()
        self.viewer = viewer

    def write(self, data):
        self.viewer.received += data

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        """Nothing is ever held."""

    def is_closing(self):
        return False


@pytest.fixture
async def viewer(site):
    viewer = Viewer()
    viewer.attach(Pipe(viewer), site.hub.registry.state)
    return viewer


async def settle():
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_viewer_gets_each_item_with_its_version(site, viewer):
    site.committer.subscribe(viewer, site.location(), ItemForm())
    assert site.committer.subscribers(site.location()) == 1
    await asyncio.gather(site.append(1), site.append(2))
    await site.put_file(HAND)
    await settle()
    first, second, third = (publication for _, publication in site.published)
    expected = [
        f"{first.version} None\n{render(first.entry, SCHEMA_TYPE)}\n",
        f"{second.version} None\n{render(second.entry, SCHEMA_TYPE)}\n",
        f"{third.version} reset\n"
        + render_reset("/page.html", HAND.decode(), SCHEMA_TYPE)
        + "\n",
    ]
    assert viewer.received.decode() == "".join(expected)


async def test_who_unsubscribes_gets_nothing_more(site, viewer):
    site.committer.subscribe(viewer, site.location(), ItemForm())
    site.committer.unsubscribe(viewer, site.location())
    site.committer.unsubscribe(viewer, site.location())
    await site.append(1)
    await settle()
    assert viewer.received == b""
    assert site.committer.subscribers(site.location()) == 0


async def test_all_paths_of_a_document_are_one_topic(site, viewer):
    (site.root / "index.html").write_bytes(PAGE)
    site.committer.subscribe(viewer, site.location("/"), ItemForm())
    assert site.committer.subscribers(site.location("/index.html")) == 1
    assert site.committer.subscribers(site.location("/page.html")) == 0
