"""Documents that are loaded while things change, and files in odd states."""

import asyncio
import logging

import pytest

from beamfast.commit import replica as module, rewriter
from beamfast.commit.provenance import record_of
from beamfast.commit.publication import ItemForm
from beamfast.entry import Entry, Version
from beamfast.errors import (
    AccessDenied,
    DocumentNotFound,
    OutcomeUnknown,
    StorageError,
)
from beamfast.journal.journal import Reset

from .viewer import Viewer

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"
FIRST = Version.of_file(PAGE)


def refuse(*_, **__):
    raise AccessDenied("Access denied")


async def commit_elsewhere(site, base, body):
    """Log what another process does, whose file is not written yet."""
    source, stamp = site.store.read(site.location())
    await site.journal.set_files("/page.html", [record_of(FIRST, source, stamp)])
    size = len(body)
    entry = Entry(method="PUT", url="/", length_before=size, length_after=size)
    return await site.journal.commit("/page.html", base, [entry.event()], body)


async def test_an_entry_that_was_loaded_already_is_not_published(site):
    version = await commit_elsewhere(site, FIRST, PAGE)
    assert site.committer.peek(site.location()) is None
    assert (await site.committer.current(site.location())).version == version
    await site.committer.catch_up()
    assert site.published == []


async def test_what_is_logged_during_a_load_is_loaded_too(site, monkeypatch):
    first = await commit_elsewhere(site, FIRST, PAGE)
    load, versions = site.journal.load, [first]

    async def load_slowly(document):
        snapshot = await load(document)
        if len(versions) == 1:
            versions.append(await commit_elsewhere(site, first, PAGE))
            await site.committer.catch_up()
        return snapshot

    monkeypatch.setattr(site.journal, "load", load_slowly)
    document = await site.committer.current(site.location())
    assert document.version == versions[-1] == await position(site)
    assert site.published == []


async def position(site):
    """Return where the document stands in the log."""
    return (await site.journal.positions(["/page.html"]))["/page.html"]


async def test_a_document_that_is_gone_is_gone_after_a_load(site):
    await site.remove()
    await site.committer.flush()
    (keeper,) = site.keepers
    keeper.is_stale = True
    with pytest.raises(DocumentNotFound):
        await site.committer.current(site.location())
    assert not keeper.is_ahead


async def test_a_document_is_served_from_the_log_when_its_file_cannot_be_read(
    site, monkeypatch
):
    outcome = await site.append(1)
    source = await site.file()
    (keeper,) = site.keepers
    keeper.is_stale = True
    with monkeypatch.context() as patch:
        patch.setattr(site.store, "load", refuse)
        patch.setattr(site.store, "stamp", refuse)
        document = await site.committer.current(site.location())
    assert (document.source, document.version) == (source, outcome.version)


async def test_a_document_in_use_is_not_forgotten(site, monkeypatch):
    monkeypatch.setattr(module, "KEEPERS", 1)
    await site.write_by_hand(PAGE, "/other.html")
    with site.held():
        (edit,) = await site.begin(site.append(1))
        busy = site.keepers
        await site.committer.current(site.location("/other.html"))
        assert set(busy) <= set(site.keepers)
    assert (await edit).version.revision == 1


async def test_a_lost_reply_with_a_log_that_forgot_is_a_failure(site, monkeypatch):
    async def lose(*_):
        raise OutcomeUnknown("the line went dead")

    async def forgotten(*_):
        return Reset()

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "commit", lose)
        patch.setattr(site.journal, "replay", forgotten)
        with pytest.raises(StorageError, match="could not be stored"):
            await site.append(1)
    assert (await site.append(2)).version.revision == 1


async def test_a_lost_reply_to_what_others_have_overtaken_is_a_failure(
    site, monkeypatch
):
    commit = site.journal.commit

    async def lose(*_):
        with monkeypatch.context() as patch:
            patch.setattr(site.journal, "commit", commit)
            await commit_elsewhere(site, FIRST, PAGE)
        raise OutcomeUnknown("the line went dead")

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "commit", lose)
        with pytest.raises(StorageError, match="could not be stored"):
            await site.append(1)
    assert (await site.append(2)).version.revision == 2


async def test_a_document_made_after_somebody_removed_its_file_stays(site):
    await site.append(1)
    await site.committer.flush()
    await site.remove()
    (site.root / "page.html").unlink()
    made = await site.put_file(PAGE)
    assert (made.is_new, made.version.revision) == (True, 3)
    assert await site.file() == PAGE
    assert (await site.committer.current(site.location())).version == made.version
    assert [entry.method for entry in site.entries] == ["POST", "gone", "file"]


async def test_a_record_that_cannot_be_stored_leaves_the_file_alone(site, monkeypatch):
    set_files = site.journal.set_files
    await site.write_by_hand(PAGE, "/other.html")

    async def fail(document, records):
        if document == "/page.html" and len(records) == 2:
            raise StorageError("no room")
        await set_files(document, records)

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "set_files", fail)
        patch.setattr(rewriter, "RETRY", 1000)
        patch.setattr(rewriter, "RETRY_AT_MOST", 1000)
        other = asyncio.ensure_future(site.put_file(PAGE, path="/other.html"))
        await site.append(1)
        await other
        await site.committer.flush()
        health = site.committer.health()
        assert (health.state, health.reason) == ("degraded", "/page.html: no room")
        # Another edit does not bring the next try forward.
        await site.append(2)
        (site.root / "page.html").touch()
        assert list(site.root.glob(".beamfast-*")) == []
        assert (site.root / "page.html").read_bytes() == PAGE
    assert (await site.file()).count(b"<li>") == 2
    assert site.committer.health().state == "ok"


async def test_a_file_that_has_caught_up_otherwise_is_not_waited_for(site):
    await site.append(1)
    await site.committer.flush()
    await site.append(2)
    (keeper,) = site.keepers
    keeper.is_ahead, keeper.document = False, None
    assert site.committer.health().state == "ok"
    await site.committer.flush()
    assert keeper.timer is None


async def test_a_look_at_a_file_that_cannot_be_read_is_noted(site, monkeypatch, caplog):
    await site.append(1)
    await site.committer.flush()
    viewer = Viewer(site.hub.registry.state)
    site.committer.subscribe(viewer, site.location(), ItemForm())
    monkeypatch.setattr(site.store, "load", refuse)
    with caplog.at_level(logging.DEBUG, "beamfast.commit"):
        site.committer._look("/page.html")
    assert "/page.html: Access denied" in caplog.messages
