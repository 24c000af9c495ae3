"""A second process on the same log: everything arrives once, in order."""

import asyncio

import pytest

from beamfast.commit import replica as module
from beamfast.commit.committer import Committer
from beamfast.commit.lock import FileLock
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import Appending
from beamfast.documents.store import DocumentStore
from beamfast.errors import StorageError
from beamfast.journal.file import FileJournal
from beamfast.journal.journal import Snapshot
from beamfast.pubsub.hub import Hub

from .viewer import Viewer

PAGE = b"<p>one"


class Worker:
    """A process of a machine, as far as the log and the files can tell."""

    def __init__(self, root, run):
        loop = asyncio.get_running_loop()
        self.hub = Hub(loop)
        self.store = DocumentStore(root)
        journal = FileJournal(root, durability="relaxed", turns=run)
        lock = FileLock(run / "files")
        self.committer = Committer(
            self.store, journal, self.hub, loop, files_lock=lock, durable=False
        )

    @property
    def location(self):
        return self.store.resolve("/page.html")

    async def append(self, data=b"<p>x"):
        outcome = await self.committer.commit(
            self.location, Appending(data), url="/page.html"
        )
        return outcome.version

    async def current(self):
        return await self.committer.current(self.location)

    def follow(self, **options):
        viewer = Viewer(self.hub.registry.state)
        self.committer.subscribe(viewer, self.location, ItemForm(), **options)
        return viewer


@pytest.fixture
async def make_worker(tmp_path):
    root, run = tmp_path / "root", tmp_path / "run"
    root.mkdir()
    run.mkdir()
    (root / "page.html").write_bytes(PAGE)
    workers = []

    def make():
        workers.append(Worker(root, run))
        return workers[-1]

    yield make
    await asyncio.gather(*(worker.committer.close() for worker in workers))
    served = (root / "page.html").read_bytes()
    assert served.startswith(PAGE)


async def test_a_reader_never_sees_an_older_version_on_another_worker(make_worker):
    workers = [make_worker() for _ in range(4)]
    for number in range(20):
        version = await workers[number % 4].append()
        for worker in workers:
            assert (await worker.current()).version == version


async def test_writers_on_two_workers_lose_nothing(make_worker):
    workers = [make_worker(), make_worker()]

    async def write(worker, name):
        return [await worker.append(b"<p>%s%d" % (name, n)) for n in range(15)]

    done = await asyncio.gather(*map(write, workers, (b"a", b"b")))
    revisions = sorted(version.revision for versions in done for version in versions)
    assert revisions == list(range(1, 31))
    source = (await workers[0].current()).source
    assert source.count(b"<p>") == 31


async def test_what_one_worker_stores_the_viewers_of_the_other_see(make_worker):
    one, other = make_worker(), make_worker()
    await other.current()
    viewer = other.follow()
    await asyncio.sleep(0)
    versions = [str(await one.append()) for _ in range(3)]
    seen = []
    async with asyncio.timeout(5):
        while seen[-1:] != versions[-1:]:
            await other.committer.catch_up()
            await asyncio.sleep(0.001)
            seen += [version for _, version in viewer.take()]
    # Whole documents, of which the newest stands for those before it.
    assert seen == [version for version in versions if version in seen]


async def test_a_resume_works_on_another_worker(make_worker):
    one, other = make_worker(), make_worker()
    first = await one.append()
    last = await one.append()
    viewer = other.follow(after=str(last))
    async with asyncio.timeout(5):
        while not other.committer.subscribers(other.location):
            await asyncio.sleep(0.001)
    assert list(viewer.take()) == []
    viewer = other.follow(after=str(first))
    async with asyncio.timeout(5):
        while not (got := list(viewer.take())):
            await asyncio.sleep(0.001)
    # A whole-file change on the way is told as the document itself.
    assert got == [("reset", str(last))]


async def test_a_restart_finds_the_log_ahead_of_the_file(make_worker):
    worker = make_worker()
    version = await worker.append()
    await worker.committer.flush()
    worker.store.write(worker.location, PAGE)
    again = make_worker()
    # The file of revision 0 is no longer ours: somebody put it back.
    document = await again.current()
    assert (document.source, document.version.revision) == (PAGE, version.revision + 1)


async def test_a_log_that_cannot_be_followed_is_damage(site, monkeypatch):
    await site.append(1)
    await site.committer.flush()
    (keeper,) = site.keepers
    logged = await site.journal.since(0)

    async def load(document):
        version = logged[-1].version
        return Snapshot(version, version, b"other bytes", logged)

    monkeypatch.setattr(site.journal, "load", load)
    keeper.is_stale = True
    with pytest.raises(StorageError, match="damaged"):
        await site.committer.current(site.location())


async def test_documents_that_nobody_needs_are_forgotten(site, monkeypatch):
    monkeypatch.setattr(module, "KEEPERS", 4)
    await site.append(1)
    await site.committer.flush()
    for number in range(40):
        await site.write_by_hand(b"x", f"/{number}.html")
        await site.committer.current(site.location(f"/{number}.html"))
    assert len(site.keepers) <= 5
    assert (await site.append(2)).version.revision == 2
