"""The file behind the log: when it is written, and what a failure does."""

import asyncio

import pytest

from beamfast.commit import rewriter
from beamfast.errors import EditConflict, StorageError

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"


@pytest.fixture
def refused(site, monkeypatch):
    """No file can be written until ``refused.clear()``."""
    stage, blocked = site.store.stage, asyncio.Event()
    blocked.set()

    def refuse(*arguments, **options):
        if blocked.is_set():
            raise StorageError("no room", status=507, code="storage-full")
        return stage(*arguments, **options)

    site.store.stage = refuse
    monkeypatch.setattr(rewriter, "RETRY", 0.001)
    return blocked


async def test_an_idle_document_is_written_at_once(site):
    await site.append(1)
    async with asyncio.timeout(5):
        while (site.root / "page.html").read_bytes() == PAGE:
            await asyncio.sleep(0)


async def test_many_edits_are_few_writes(site):
    for number in range(50):
        await site.append(number)
    assert (await site.file()).count(b"<li>") == 50
    assert 1 <= site.steps.count("file") < 25


async def test_a_file_that_cannot_be_written_does_not_undo_the_answer(site, refused):
    outcome = await site.append(1)
    assert outcome.version.revision == 1
    assert await site.file() == PAGE
    health = site.committer.health()
    assert (health.state, health.reason) == ("degraded", "/page.html: no room")
    assert site.committer.peek(site.location()).version == outcome.version
    refused.clear()
    async with asyncio.timeout(5):
        while (site.root / "page.html").read_bytes() == PAGE:
            await asyncio.sleep(0.001)
    await site.committer.flush()
    assert site.committer.health().state == "ok"


async def test_a_directory_in_the_place_of_the_file_is_reported(site, monkeypatch):
    monkeypatch.setattr(rewriter, "RETRY", 0.001)
    await site.append(1)
    await site.committer.flush()
    (site.root / "page.html").unlink()
    (site.root / "page.html").mkdir()
    (keeper,) = site.keepers
    with pytest.raises(EditConflict, match="directory"):
        await site.committer.current(keeper.location)
    (site.root / "page.html").rmdir()
    assert (await site.put_file(PAGE)).document.source == PAGE


async def test_the_mode_of_the_file_survives(site):
    (site.root / "page.html").chmod(0o640)
    await site.append(1)
    await site.file()
    assert (site.root / "page.html").stat().st_mode & 0o777 == 0o640


async def test_stopping_writes_what_is_behind(make_site):
    site = make_site()
    for number in range(3):
        await site.append(number)
    await site.committer.close()
    assert (site.root / "page.html").read_bytes().count(b"<li>") == 3


async def test_what_cannot_be_written_at_the_end_is_said(site, refused, caplog):
    await site.append(1)
    await site.committer.close()
    assert "/page.html is not written yet: no room" in caplog.text
