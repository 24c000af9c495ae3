"""One document root with a committer, and what it wrote and published."""

import asyncio
from contextlib import contextmanager

import pytest

from beamfast.commit.committer import Committer
from beamfast.documents.change import (
    Appending,
    ElementEdit,
    Removal,
    Replacement,
    operation_for,
)
from beamfast.documents.edit import Operation
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore
from beamfast.entry import Entry, Version
from beamfast.http import Headers
from beamfast.journal.memory import MemoryJournal
from beamfast.protocol.conditional import Conditions
from beamfast.pubsub.hub import Hub

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"


class Site:
    """
    A committer on a folder.

    Attributes:
        steps: what happened in which order.
        written: the bodies of each commit.
        entries: what the log was given.
        published: what was published, as topics and publications.
        gate: commits wait for it, but not those of ``/other.html``.
        writing: set while a commit waits or goes on.
    """

    def __init__(self, root, journal):
        self.root = root
        self.loop = asyncio.get_running_loop()
        self.store = DocumentStore(root)
        self.journal = journal
        self.hub = Hub(self.loop)
        self.committer = Committer(self.store, journal, self.hub, self.loop)
        self.steps = []
        self.written = []
        self.entries = []
        self.published = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = asyncio.Event()
        self._record()

    def _record(self):
        stage, commit = self.store.stage, self.journal.commit
        publish = self.hub.publish

        def record_stage(*arguments, **options):
            self.steps.append("file")
            return stage(*arguments, **options)

        async def record_commit(document, base, events, body, *more):
            self.writing.set()
            if document != "/other.html":
                await self.gate.wait()
            answer = await commit(document, base, events, body, *more)
            self.steps.append("journal")
            if isinstance(answer, Version):
                self.written.append(body)
                self.entries += map(Entry.from_event, events)
            return answer

        def record_publish(topic, message, **options):
            self.published.append((topic, message))
            self.steps.append("publish")
            return publish(topic, message, **options)

        self.store.stage = record_stage
        self.journal.commit, self.hub.publish = record_commit, record_publish

    @property
    def keepers(self):
        return self.committer._replica.keepers

    @property
    def versions(self):
        return [publication.version for _, publication in self.published]

    def location(self, path="/page.html"):
        return self.store.resolve(path)

    async def file(self, path="/page.html"):
        """Return what is in the file once it has followed."""
        await self.committer.flush()
        return (self.root / path[1:]).read_bytes()

    async def write_by_hand(self, data, path="/page.html"):
        """Do what an editor does, when the file has followed."""
        await self.committer.flush()
        (self.root / path[1:]).write_bytes(data)

    async def commit(self, change, path="/page.html", **fields):
        conditions = Conditions.from_headers(
            Headers((name.replace("_", "-"), value) for name, value in fields.items())
        )
        return await self.committer.commit(
            self.location(path), change, url=path, user="ann", conditions=conditions
        )

    async def edit(self, method, selector, content=b"", **fields):
        operation = Operation(operation_for(method), Selector.parse(selector), content)
        return await self.commit(ElementEdit(operation, method), **fields)

    async def append(self, number, **fields):
        return await self.edit("POST", "#l", b"<li>%d</li>" % number, **fields)

    async def put_file(self, data, **fields):
        return await self.commit(Replacement(data), **fields)

    async def append_file(self, data, **fields):
        return await self.commit(Appending(data), **fields)

    async def remove(self, **fields):
        return await self.commit(Removal(), **fields)

    @contextmanager
    def held(self):
        """Let no write finish meanwhile."""
        self.gate.clear()
        self.writing.clear()
        try:
            yield
        finally:
            self.gate.set()

    async def begin(self, *coroutines):
        """Start the first and wait until it writes; then let the others queue up."""
        first, *others = (asyncio.ensure_future(one) for one in coroutines)
        await self.writing.wait()
        await asyncio.sleep(0)
        return [first, *others]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "page.html").write_bytes(PAGE)
    return root


@pytest.fixture
async def make_site(root):
    sites = []

    def make(journal=None):
        sites.append(Site(root, journal or MemoryJournal()))
        return sites[-1]

    yield make
    for site in sites:
        site.gate.set()
        await site.committer.close()


@pytest.fixture
async def site(make_site):
    return make_site()
