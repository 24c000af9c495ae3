"""
Another worker writes the file while this one looks at it: no hand was there.

The writer records what it is about to put in place, puts it there, and forgets
the record before. Each step may come between any two looks of the reader.
"""

import asyncio
import itertools

import pytest

from beamfast.commit.committer import Committer
from beamfast.commit.lock import FileLock
from beamfast.commit.provenance import record_of
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import ElementEdit
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore
from beamfast.journal.memory import MemoryJournal
from beamfast.pubsub.hub import Hub

from .viewer import Viewer

#: Steps of one rewrite: record, put in place, forget the record before.
STEPS = 3


class Looked(MemoryJournal):
    """Does the next steps of the writer after each look at its records."""

    def __init__(self):
        super().__init__()
        self.writer = iter(())
        self.steps = iter(())

    async def files(self, document):
        records = await super().files(document)
        await self.go_on()
        return records

    async def go_on(self):
        for _ in range(next(self.steps, 0)):
            await anext(self.writer)


class Worker:
    def __init__(self, root, journal):
        loop = asyncio.get_running_loop()
        self.hub = Hub(loop)
        self.store = DocumentStore(root)
        self.committer = Committer(
            *(self.store, journal, self.hub, loop),
            files_lock=FileLock(root.parent / "lock"),
            durable=False,
        )
        self.location = self.store.resolve("/page.html")

    async def append(self, number):
        operation = Operation(Kind.APPEND, Selector.parse("#l"), b"<li>%d" % number)
        outcome = await self.committer.commit(
            self.location, ElementEdit(operation, "POST"), url="/page.html"
        )
        return outcome.document


async def rewrites(journal, store, location, documents):
    """Put each document in the place of the file, one step at a time."""
    for document in documents:
        staged = store.stage(location, document.source, durable=False)
        record = record_of(document.version, document.source, staged.stamp)
        before = await MemoryJournal.files(journal, location.key)
        await journal.set_files(location.key, (*before[-1:], record))
        yield
        staged.put()
        yield
        await journal.set_files(location.key, (record,))
        yield


@pytest.fixture
async def workers(tmp_path):
    """A writer and a reader that both hold still: the test writes the file."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "page.html").write_bytes(b"<ul id=l></ul>")
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    journal = Looked()
    workers = Worker(root, journal), Worker(root, journal)
    yield journal, *workers
    async for _ in journal.writer:
        pass
    lock.release()
    for worker in workers:
        await worker.committer.close()


def schedules(steps, looks):
    """Return how many steps the writer may do before each look, in every way."""
    for cuts in itertools.combinations_with_replacement(range(steps + 1), looks - 1):
        edges = (0, *cuts, steps)
        yield tuple(after - before for before, after in itertools.pairwise(edges))


@pytest.mark.parametrize("schedule", [*schedules(2 * STEPS, 4)], ids=str)
async def test_a_rewrite_by_another_worker_between_two_looks_is_no_change_by_hand(
    workers, schedule
):
    journal, one, other = workers
    documents = [await one.append(0)]
    writer = rewrites(journal, one.store, one.location, documents)
    async for _ in writer:
        pass
    await other.committer.current(other.location)
    viewer = Viewer(other.hub.registry.state)
    other.committer.subscribe(viewer, other.location, ItemForm())
    documents = [await one.append(number) for number in (1, 2)]
    journal.writer = rewrites(journal, one.store, one.location, documents)
    journal.steps = iter(schedule)
    await journal.go_on()
    # Whoever reads looks at the file, and so does whoever edits.
    current = await other.committer.current(other.location)
    assert current.source == documents[-1].source
    last = await other.append(3)
    assert last.version.revision == 4
    assert last.source == documents[-1].source.replace(b"</ul>", b"<li>3</ul>")
    await asyncio.sleep(0)
    kinds = [kind for kind, _ in viewer.take()]
    assert kinds == ["item"] * 3


async def test_a_change_by_hand_among_the_rewrites_of_another_worker_is_one_revision(
    workers,
):
    journal, one, other = workers
    document = await one.append(0)
    journal.writer = rewrites(journal, one.store, one.location, [document])
    await other.committer.current(other.location)
    journal.steps = iter([STEPS])
    await journal.go_on()
    one.store.write(one.location, b"<ul id=l><li>by hand</ul>", durable=False)
    assert (await other.append(1)).version.revision == 3


async def test_a_file_that_is_another_one_at_each_look_is_not_taken_for_a_hand_s(
    workers,
):
    journal, one, other = workers
    await one.append(0)

    async def restless():
        for number in itertools.count():
            one.store.write(one.location, b"<ul id=l>%d" % number, durable=False)
            yield

    journal.writer, journal.steps = restless(), itertools.repeat(1)
    # What is committed stands, and an edit goes on from there.
    assert (await other.append(1)).version.revision == 2
    journal.steps = iter(())
    await journal.writer.aclose()
