"""Edits of several elements: one transaction, one step for everybody."""

import asyncio
from pathlib import Path

import pytest

from beamfast.commit.committer import Committer
from beamfast.commit.lock import FileLock
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import ElementEdit, Patch, redo
from beamfast.documents.comparison import is_same_tree
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.elements import PatchItem
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore
from beamfast.errors import NoElementMatched
from beamfast.journal.file import FileJournal
from beamfast.pubsub.hub import Hub

from .viewer import Viewer

MANY = 2505


def all_of(css, kind=Kind.APPEND, content=b"!", match="all"):
    operation = Operation(kind, Selector.parse(css), content, match=match)
    return ElementEdit(operation, kind.told_as)


async def put_list(site, count):
    await site.put_file(b"<ul>" + b"<li>x</li>" * count + b"</ul>")


async def test_all_matches_are_one_transaction_of_consecutive_revisions(site):
    await put_list(site, 5)
    site.steps.clear()
    outcome = await site.commit(all_of("li"))
    assert site.steps == ["journal"] + 5 * ["publish"]
    assert [version.revision for version in site.versions[-5:]] == [2, 3, 4, 5, 6]
    assert outcome.version == site.versions[-1]
    assert site.written[-1] == b"<ul>" + b"<li>x!</li>" * 5 + b"</ul>"
    assert await site.file() == site.written[-1]


async def test_each_entry_is_an_item_of_its_own_and_the_last_one_moves_the_bytes(site):
    await put_list(site, 3)
    await site.commit(all_of("li"))
    *between, last = site.entries[1:]
    assert [entry.splices for entry in between] == [(), ()]
    assert [entry.remaining for entry in (*between, last)] == [2, 1, 0]
    selectors = [entry.selector for entry in (*between, last)]
    assert [css.rpartition("li")[2] for css in selectors] == [
        *(":nth-of-type(3)", ":nth-of-type(2)", ":nth-of-type(1)")
    ]
    source = site.written[0]
    for entry in site.entries[1:]:
        source = redo(entry, source)
    assert source == site.written[-1]


async def test_what_waits_behind_sees_all_of_it(site):
    await put_list(site, 3)
    with site.held():
        waiting = await site.begin(
            site.commit(all_of("li")),
            site.commit(all_of("h6", match="none-ok")),
            site.edit("DELETE", "li"),
        )
    versions = [(await one).version.revision for one in waiting]
    # Nothing matched is no version of its own.
    assert versions == [4, 4, 5]
    assert await site.file() == b"<ul><li>x!</li><li>x!</li></ul>"


async def test_a_patch_that_fails_leaves_the_others_of_its_batch_alone(site):
    items = (PatchItem(all_of("p").operation), PatchItem(all_of("h6").operation))
    with site.held():
        waiting = await site.begin(
            site.append(1), site.commit(Patch(items)), site.append(2)
        )
    with pytest.raises(NoElementMatched, match="Item 2"):
        await waiting[1]
    await waiting[2]
    page = await site.file()
    assert page.count(b"<li>") == 2
    assert b"one!" not in page


async def test_a_patch_is_one_transaction_and_lets_others_read_meanwhile(site):
    await put_list(site, 3)
    items = [
        PatchItem(all_of("li", content=b"%d" % number).operation)
        for number in range(40)
    ]
    read = set()

    async def look():
        while True:
            read.add((await site.committer.current(site.location())).source)
            await asyncio.sleep(0)

    reader = asyncio.ensure_future(look())
    site.steps.clear()
    before = (await site.committer.current(site.location())).source
    outcome = await site.commit(Patch(tuple(items)))
    after = (await site.committer.current(site.location())).source
    await asyncio.sleep(0)
    reader.cancel()
    assert site.steps == ["journal"] + 120 * ["publish"]
    assert outcome.version.revision == 121
    assert read <= {before, after}


class Pair:
    """Two processes on one folder and one journal on the disk."""

    def __init__(self, root, lock, run):
        loop = asyncio.get_running_loop()
        self.hub = Hub(loop)
        self.store = DocumentStore(root)
        self.committer = Committer(
            *(self.store, FileJournal(root, durability="relaxed", turns=run)),
            *(self.hub, loop),
            files_lock=FileLock(lock),
            durable=False,
        )
        self.location = self.store.resolve("/page.html")


@pytest.fixture
async def pair(root, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (root / "page.html").write_bytes(b"<ul>" + b"<li>x</li>" * MANY + b"</ul>")
    pair = [Pair(root, tmp_path / "lock", run) for _ in range(2)]
    yield pair
    for process in pair:
        await process.committer.close()


async def test_thousands_of_matches_reach_every_viewer_and_no_reader_sees_a_part(pair):
    one, other = pair
    before = (await other.committer.current(other.location)).source
    viewers = []
    for process in pair:
        viewers.append(Viewer(process.hub.registry.state))
        process.committer.subscribe(viewers[-1], process.location, ItemForm())
    seen = set()

    async def read():
        while True:
            seen.add((await other.committer.current(other.location)).source)
            await asyncio.sleep(0)

    reader = asyncio.ensure_future(read())
    outcome = await one.committer.commit(one.location, all_of("li"), url="/page.html")
    assert outcome.version.revision == MANY
    while len(seen) < 2:
        await asyncio.sleep(0)
    reader.cancel()
    after = before.replace(b"x</li>", b"x!</li>")
    assert seen == {before, after}
    for viewer in viewers:
        await asyncio.sleep(0)
        items = viewer.lines()
        assert len(items) == MANY
        assert not any(line.startswith("reset") for line in items)


async def test_the_journal_can_be_read_back_to_the_same_tree(pair):
    one, _ = pair
    outcome = await one.committer.commit(
        one.location, all_of("li:nth-child(odd)"), url="/page.html"
    )
    await one.committer.flush()
    written = Document((Path(one.store.root) / "page.html").read_bytes())
    assert is_same_tree(written.html, outcome.document.html)
    assert written.source.count(b"x!</li>") == (MANY + 1) // 2
