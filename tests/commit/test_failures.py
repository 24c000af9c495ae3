"""What fails while a document is written: nothing is lost, and nobody hangs."""

import asyncio
import errno
import os

import pytest

from beamfast.commit import lock as lock_module, provenance
from beamfast.commit.lock import FileLock
from beamfast.commit.provenance import examine
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import Appending, Removal, Replacement
from beamfast.documents.store import DocumentStore
from beamfast.entry import Entry, Version
from beamfast.errors import AccessDenied, DocumentNotFound, StorageError

from .viewer import Viewer

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"
HAND = b"<ul id=l><li>by hand</ul>"


def methods(site):
    return [entry.method for entry in site.entries]


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


def out_of_reach(patch, store):
    """Let a directory above the file refuse to be searched."""
    patch.setattr(store, "stamp", raising(DocumentNotFound("File not found")))
    patch.setattr(store, "load", raising(AccessDenied("Access denied")))


class Guest(Viewer):
    """A viewer that notes when it is sent away."""

    def __init__(self, site):
        super().__init__(site.hub.registry.state)
        self.was_aborted = False

    def abort(self):
        self.was_aborted = True


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


# The lock of the files


def test_a_file_system_without_locks_is_an_error_and_no_leak(tmp_path, monkeypatch):
    closed, close = [], os.close
    no_locks = raising(OSError(errno.ENOLCK, "No locks available"))
    with monkeypatch.context() as patch:
        patch.setattr(lock_module.fcntl, "flock", no_locks)
        patch.setattr(lock_module.os, "close", closed.append)
        with pytest.raises(OSError, match="No locks"):
            FileLock(tmp_path / "lock").acquire()
    (descriptor,) = closed
    close(descriptor)
    assert FileLock(tmp_path / "lock").acquire()


def test_a_lock_in_a_missing_directory_cannot_be_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "none" / "lock").acquire()


# Files out of reach


def test_a_file_out_of_reach_is_not_a_missing_one(root, monkeypatch):
    store = DocumentStore(root)
    location = store.resolve("/page.html")
    out_of_reach(monkeypatch, store)
    absence = provenance.record_of(Version.of_file(b""), None, None)
    with pytest.raises(AccessDenied):
        examine(store, location, [absence])


async def test_a_file_out_of_reach_does_not_remove_its_document(site, monkeypatch):
    await site.append(0)
    await site.committer.flush()
    await site.append(1)
    with monkeypatch.context() as patch:
        out_of_reach(patch, site.store)
        assert (await site.append(2)).version.revision == 3
        await site.committer.flush()
        assert site.committer.health().state == "degraded"
    assert (await site.file()).count(b"<li>") == 3
    assert methods(site) == ["POST"] * 3
    assert site.committer.health().state == "ok"


async def test_who_follows_a_file_out_of_reach_is_sent_away(site, monkeypatch, caplog):
    out_of_reach(monkeypatch, site.store)
    guest = Guest(site)
    site.committer.subscribe(guest, site.location(), ItemForm())
    await until(lambda: guest.was_aborted)
    assert "/page.html cannot be followed: Access denied" in caplog.text


# Loading


async def diverge(site):
    """Log an entry of another process that does not fit the bytes of this one."""
    outcome = await site.append(1)
    entry = Entry(method="PUT", url="/page.html", length_before=1, length_after=1)
    base = outcome.version
    await site.journal.commit("/page.html", base, [entry.event()], HAND)
    await site.committer.catch_up()


async def test_a_load_that_fails_is_made_again(site, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "load", raising(StorageError("cannot be read")))
        await diverge(site)
        with pytest.raises(StorageError):
            await site.committer.current(site.location())
        with pytest.raises(StorageError):
            await site.append(2)
    document = await site.committer.current(site.location())
    assert (document.source, document.version.revision) == (HAND, 2)
    assert (await site.append(3)).version.revision == 3


async def test_viewers_get_what_could_not_be_loaded_at_the_next_look(
    site, monkeypatch, caplog
):
    viewer = Viewer(site.hub.registry.state)
    await site.append(0)
    site.committer.subscribe(viewer, site.location(), ItemForm())
    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "load", raising(StorageError("cannot be read")))
        await diverge(site)
        await until(lambda: "cannot be read" in caplog.text)
    site.committer._look(None)
    await until(lambda: b"reset 3-" in viewer.received)


async def test_a_turn_that_fails_is_told_to_the_reader(site, monkeypatch):
    await site.append(1)
    await site.write_by_hand(HAND)
    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "turn", raising(ConnectionError("no turn")))
        with pytest.raises(ConnectionError, match="no turn"):
            await site.committer.current(site.location())
    assert (await site.committer.current(site.location())).source == HAND


async def test_an_edit_stands_that_could_not_be_published_yet(
    site, monkeypatch, caplog
):
    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "since", raising(ConnectionError("gone")))
        first = await site.append(1)
    assert site.versions == []
    assert f"/page.html is at {first.version}" in caplog.text
    second = await site.append(2)
    assert site.versions == [first.version, second.version]
    assert (await site.file()).count(b"<li>") == 2


# Changes by hand that come at a bad moment


async def test_a_change_by_hand_during_the_first_edit_is_not_taken_for_ours(
    site, monkeypatch
):
    async def find(document, operation):
        (site.root / "page.html").write_bytes(HAND)

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "find", find)
        await site.committer.commit(
            *(site.location(), Appending(b"<p>x")),
            url="/page.html",
            idempotency_key="key",
        )
    document = await site.committer.current(site.location())
    await site.committer.flush()
    assert await site.file() == HAND
    document = await site.committer.current(site.location())
    assert (document.source, document.version.revision) == (HAND, 2)
    assert methods(site) == ["append", "import"]
    kept = site.root / ".beam" / "conflicts" / "page.html.1.html"
    assert kept.read_bytes() == PAGE + b"<p>x"


async def test_an_unwritten_edit_that_cannot_be_kept_is_not_given_up(site, monkeypatch):
    await site.append(0)
    await site.committer.flush()
    await site.append(1)
    (site.root / "page.html").write_bytes(HAND)
    with monkeypatch.context() as patch:
        patch.setattr(site.store, "keep_copy", raising(AccessDenied("Access denied")))
        assert (await site.append(2)).version.revision == 3
    assert site.committer.conflicts == 0
    assert (site.root / "page.html").read_bytes() == HAND
    assert (await site.append(3)).version.revision == 5
    assert site.committer.conflicts == 1
    assert methods(site) == ["POST", "POST", "POST", "import", "POST"]


async def test_a_document_that_somebody_removed_first_is_just_gone(site):
    await site.append(1)
    await site.committer.flush()
    await site.remove()
    (site.root / "page.html").unlink()
    await site.committer.flush()
    (keeper,) = site.keepers
    assert keeper.is_idle
    assert [record.sha256 for record in keeper.records] == [b""]
    assert methods(site) == ["POST", "gone"]
    assert (await site.put_file(PAGE)).version.revision == 3


async def test_a_change_by_hand_at_the_moment_of_a_removal_is_kept(site):
    await site.append(1)
    await site.committer.flush()
    set_files = site.journal.set_files

    async def save_meanwhile(document, records):
        await set_files(document, records)
        if len(records) == 2:
            (site.root / "page.html").write_bytes(HAND)

    site.journal.set_files = save_meanwhile
    await site.remove()
    await site.committer.flush()
    site.journal.set_files = set_files
    document = await site.committer.current(site.location())
    assert (document.source, document.version.revision) == (HAND, 3)
    assert await site.file() == HAND
    assert methods(site) == ["POST", "gone", "import"]


class SlowRecords:
    """Holds the records of the next rewrite back until ``gate`` is set."""

    def __init__(self, journal):
        self.gate = asyncio.Event()
        self.is_waiting = asyncio.Event()
        self.set_files, journal.set_files = journal.set_files, self

    async def __call__(self, document, records):
        if len(records) == 2 and not self.is_waiting.is_set():
            self.is_waiting.set()
            await self.gate.wait()
        await self.set_files(document, records)


async def test_a_change_by_hand_during_a_rewrite_is_taken_in_once(site):
    records = SlowRecords(site.journal)
    await site.append(1)
    await records.is_waiting.wait()
    (site.root / "page.html").write_bytes(HAND)
    edit = asyncio.ensure_future(site.append(2))
    await until(lambda: len(site.entries) == 3)
    records.gate.set()
    assert (await edit).version.revision == 3
    assert (await site.file()).count(b"<li>") == 2
    assert site.committer.conflicts == 1
    assert methods(site) == ["POST", "import", "POST"]


async def test_a_file_is_there_when_its_creation_is_answered(site):
    records = SlowRecords(site.journal)
    location, url = site.location(), "/page.html"
    store = site.committer.store_file
    gone = asyncio.ensure_future(store(location, Removal(), url=url))
    await records.is_waiting.wait()
    made = asyncio.ensure_future(store(location, Replacement(HAND), url=url))
    await until(lambda: len(site.published) == 2)
    records.gate.set()
    await made
    assert (site.root / "page.html").read_bytes() == HAND
    await gone


async def test_a_failure_is_over_when_the_file_needs_no_writing(site):
    await site.append(1)
    await site.committer.flush()
    (keeper,) = site.keepers
    keeper.failures = 3
    await site.committer._rewriter.write(keeper)
    assert keeper.failures == 0
