"""Two workers on one log and one bus: a ring is enough, and a lost one is not lost."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from beamfast.commit import watcher
from beamfast.commit.committer import Committer
from beamfast.commit.lock import FileLock
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import ElementEdit
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore
from beamfast.journal.file import FileJournal
from beamfast.pubsub.hub import Hub
from beamfast.pubsub.unix import UnixBus

from .viewer import Viewer


class Worker:
    """One process of a machine, on the bus."""

    def __init__(self, root: Path, run: Path, slot: int) -> None:
        loop = asyncio.get_running_loop()
        self.bus = UnixBus(run, slot, 2)
        self.hub = Hub(loop, bus=self.bus)
        self.store = DocumentStore(root)
        journal = FileJournal(root, durability="relaxed", turns=run)
        lock = FileLock(run / "files")
        self.committer = Committer(
            self.store, journal, self.hub, loop, files_lock=lock, durable=False
        )
        self.committer.start()
        self.location = self.store.resolve("/page.html")

    async def follow(self) -> Viewer:
        await self.committer.current(self.location)
        viewer = Viewer(self.hub.registry.state)
        self.committer.subscribe(viewer, self.location, ItemForm())
        return viewer

    async def append(self) -> str:
        operation = Operation(Kind.APPEND, Selector.parse("#l"), b"<li>x")
        outcome = await self.committer.commit(
            self.location, ElementEdit(operation, "POST"), url="/page.html"
        )
        return str(outcome.version)

    async def close(self) -> None:
        await self.committer.close()
        await self.bus.close()


@pytest.fixture
async def workers(tmp_path):
    (tmp_path / "page.html").write_text("<ul id=l></ul>")
    # Not tmp_path: the path of a Unix socket has at most about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="run-") as run:
        workers = [Worker(tmp_path, Path(run), slot) for slot in range(2)]
        yield workers
        for worker in workers:
            await worker.close()


async def arrives(viewer, version):
    async with asyncio.timeout(20):
        while version not in [seen for _, seen in viewer.take()]:
            await asyncio.sleep(0.001)


@pytest.fixture
def without_timer(monkeypatch):
    monkeypatch.setattr(watcher, "POLL_SHARED", 3600.0)


@pytest.mark.usefixtures("without_timer")
async def test_a_ring_alone_brings_an_edit_to_the_viewers_of_another_worker(
    workers,
):
    one, other = workers
    viewer = await other.follow()
    await arrives(viewer, await one.append())


async def test_a_lost_ring_costs_no_more_than_the_timer(workers, monkeypatch):
    one, other = workers
    monkeypatch.setattr(one.bus, "ring", lambda: None)
    viewer = await other.follow()
    await arrives(viewer, await one.append())
