"""
Nobody misses a revision and nobody gets one twice, in thousands of histories.

Each history is a random interleaving of edits, whole files, connections that come
with what they saw last, and connections that go, on a journal that takes its time.
The figures are printed, and so is the seed of the first history that fails.
"""

import asyncio
import os
import random

from beamfast.commit.committer import Committer
from beamfast.commit.publication import ItemForm
from beamfast.documents.change import ElementEdit, Replacement, operation_for
from beamfast.documents.edit import Operation
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore
from beamfast.entry import Version
from beamfast.journal.memory import MemoryJournal
from beamfast.pubsub.hub import Hub

from .viewer import Viewer

HISTORIES = int(os.environ.get("BEAMFAST_HISTORIES", "500"))
SEED = int(os.environ.get("BEAMFAST_SEED", "20260101"))


class HesitantJournal(MemoryJournal):
    """Answers after a random number of turns of the loop, before or after the work."""

    def __init__(self, dice, **options):
        super().__init__(**options)
        self.dice = dice

    async def hesitate(self):
        for _ in range(self.dice.choice((0, 0, 1, 2, 5))):
            await asyncio.sleep(0)

    async def commit(self, *arguments):
        await self.hesitate()
        answer = await super().commit(*arguments)
        await self.hesitate()
        return answer

    async def replay(self, *arguments):
        await self.hesitate()
        answer = await super().replay(*arguments)
        await self.hesitate()
        return answer


class Reader:
    """A person who looks at a page, goes away, and comes back."""

    def __init__(self, site, location):
        self.site, self.location = site, location
        self.seen = None
        self.viewer = None
        self.items = self.resets = self.resumes = 0

    def come(self, dice):
        if self.viewer is None:
            self.viewer = Viewer(self.site.hub.registry.state)
            after = self.seen
            if dice.random() < 0.05:
                after = dice.choice(("nonsense", "3-0123456789abcdef", ""))
            self.resumes += after is not None
            self.site.committer.subscribe(
                self.viewer,
                self.location,
                ItemForm(),
                after=after,
                greet=self.viewer.greet,
            )

    def go(self):
        if self.viewer is not None:
            self.look()
            self.viewer.connection_lost(None)
            self.viewer = None

    def look(self):
        """Check everything that has arrived against what came before it."""
        for kind, version in self.viewer.take():
            now = Version.parse(version)
            if kind == "id":
                assert self.seen in (None, version) or self.viewer.is_fresh
            elif kind == "reset":
                self.resets += 1
            else:
                before = Version.parse(self.seen)
                assert now.revision == before.revision + 1, "missed or repeated"
                self.items += 1
            self.seen = version


class Site:
    def __init__(self, root, dice):
        loop = asyncio.get_running_loop()
        self.hub = Hub(loop)
        self.store = DocumentStore(root)
        journal = HesitantJournal(dice, retain_entries=12)
        self.committer = Committer(self.store, journal, self.hub, loop, durable=False)


def append(content):
    operation = Operation(operation_for("POST"), Selector.parse("#l"), content)
    return ElementEdit(operation, "POST")


async def play(site, root, seed):
    dice = random.Random(seed)
    (root / f"{seed}.html").write_bytes(b"<ul id=l></ul>")
    location = site.store.resolve(f"/{seed}.html")
    readers = [Reader(site, location) for _ in range(4)]
    edits = []
    for number in range(dice.randint(10, 40)):
        for _ in range(dice.choice((0, 1, 1, 2, 3))):
            await asyncio.sleep(0)
        reader = dice.choice(readers)
        chance = dice.random()
        if chance < 0.6:
            # Who is there goes, and is back at once or later.
            present = reader.viewer is not None
            reader.go()
            if not present or dice.random() < 0.5:
                reader.come(dice)
            continue
        change = append(b"<li>%d</li>" % number)
        if chance > 0.98:
            change = Replacement(b"<ul id=l><li>%d</li></ul>" % number)
        edit = site.committer.commit(location, change, url=location.key)
        edits.append(asyncio.ensure_future(edit))
    outcomes = await asyncio.gather(*edits)
    for reader in readers:
        reader.come(dice)
    for _ in range(60):
        await asyncio.sleep(0)
    document = await site.committer.current(location)
    for reader in readers:
        reader.look()
        assert reader.seen == str(document.version)
    assert sorted(one.version.revision for one in outcomes) == list(
        range(1, len(outcomes) + 1)
    )
    for reader in readers:
        reader.go()
    return readers


async def test_random_histories_leave_no_gap_and_repeat_nothing(tmp_path):
    site = Site(tmp_path, random.Random(SEED))
    items = resets = resumes = 0
    for seed in range(SEED, SEED + HISTORIES):
        try:
            readers = await play(site, tmp_path, seed)
        except BaseException:
            print(f"history {seed} failed")  # noqa: T201 - to play it again
            raise
        items += sum(reader.items for reader in readers)
        resets += sum(reader.resets for reader in readers)
        resumes += sum(reader.resumes for reader in readers)
    await site.committer.close()
    figures = f"{items} items, {resets} resets, {resumes} resumes, none wrong"
    print(f"{HISTORIES} histories from seed {SEED}: {figures}")  # noqa: T201 - figures
    assert items
    assert resets
