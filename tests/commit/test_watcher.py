"""Changes of files are noticed while somebody looks at the page."""

import asyncio
import sys

import pytest

from beamfast.commit import watcher
from beamfast.commit.publication import ItemForm
from beamfast.commit.watcher import Watcher

from .viewer import Viewer

HAND = b"<p id=a>by hand"


@pytest.fixture
async def viewer(site, monkeypatch):
    """Somebody who follows a page whose files are watched."""
    monkeypatch.setattr(watcher, "POLL", 0.01)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.setattr(watcher.importlib.util, "find_spec", lambda name: None)
    site.committer._watcher._seconds = 0.01
    site.committer.start()
    viewer = Viewer(site.hub.registry.state)
    site.committer.subscribe(viewer, site.location(), ItemForm())
    return viewer


async def next_line(viewer):
    async with asyncio.timeout(5):
        while not (lines := viewer.lines()):
            await asyncio.sleep(0.001)
    return lines


async def test_a_change_by_hand_is_one_reset(site, viewer):
    await site.append(1)
    await next_line(viewer)
    await site.write_by_hand(HAND)
    (line,) = await next_line(viewer)
    assert line.startswith("reset 2-")
    assert [entry.method for entry in site.entries] == ["POST", "import"]


async def test_before_the_first_edit_it_is_another_revision_0(site, viewer):
    await site.write_by_hand(HAND)
    (line,) = await next_line(viewer)
    assert line.startswith("reset 0-")
    assert site.entries == []


async def test_a_document_made_by_hand_appears(site, viewer):
    (site.root / "page.html").unlink()
    (gone,) = await next_line(viewer)
    assert gone.startswith("reset 0-")
    await site.write_by_hand(HAND)
    (back,) = await next_line(viewer)
    assert "by hand" in back


async def test_notification_tells_which_file_has_changed(tmp_path):
    pytest.importorskip("watchfiles")
    seen, event = [], asyncio.Event()

    def look(key):
        seen.append(key)
        event.set()

    noticed = Watcher(str(tmp_path), asyncio.get_running_loop(), look)
    noticed.start()
    async with asyncio.timeout(10):
        while not event.is_set():
            (tmp_path / ".beam").mkdir(exist_ok=True)
            (tmp_path / ".beam" / "journal.db").write_bytes(b"x")
            (tmp_path / "page.html").write_bytes(b"x")
            await asyncio.sleep(0.05)
    await noticed.close()
    assert set(seen) == {"/page.html"}
