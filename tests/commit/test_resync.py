"""A subscriber that was too slow gets the whole document, then what comes after."""

import asyncio

import pytest

from beamfast.commit.publication import ItemForm
from beamfast.commit.resync import KEPT

from .viewer import Pipe, Viewer


class Gate(Pipe):
    """A pipe that can be shut."""

    is_shut = False
    kept = b""
    protocol = None

    def write(self, data):
        if not self.is_shut:
            super().write(data)
            return
        was_empty, self.kept = not self.kept, self.kept + data
        if was_empty:
            self.protocol.pause_writing()

    def get_write_buffer_size(self):
        return len(self.kept)

    def open(self):
        self.is_shut = False
        kept, self.kept = self.kept, b""
        super().write(kept)
        if kept:
            self.protocol.resume_writing()


class Reader(Viewer):
    """A viewer that stops reading now and then."""

    overflows = 0

    def attach(self, transport, state):
        self.gate = Gate(transport.written)
        self.gate.protocol = self
        super().attach(self.gate, state)
        self.queue_items_limit = 5

    def on_overflow(self):
        self.overflows += 1
        super().on_overflow()


@pytest.fixture
def follow(site):
    async def follow(form=None):
        viewer = Reader(site.hub.registry.state)
        site.committer.subscribe(
            viewer, site.location(), form or ItemForm(), greet=viewer.greet
        )
        await turns()
        viewer.lines()
        return viewer

    return follow


async def turns():
    for _ in range(20):
        await asyncio.sleep(0)


async def take(viewer):
    await turns()
    return viewer.lines()


async def test_what_waited_is_replaced_by_the_document(site, follow):
    slow, quick = await follow(), await follow()
    slow.gate.is_shut = True
    for number in range(20):
        outcome = await site.append(number)
    assert len(await take(quick)) == 20
    slow.gate.open()
    first, *others = await take(slow)
    reset = others.pop()
    assert first.startswith("item 1-")
    assert others == []
    assert reset.startswith(f"reset {outcome.version} ")
    assert "&lt;li&gt;19&lt;/li&gt;" in reset
    await site.append(20)
    assert await take(slow) == await take(quick) != []
    assert site.hub.registry.state.resyncs == 1
    assert slow.overflows == 0


async def test_the_copy_is_built_once_for_all_that_need_it(site, follow):
    crowd = [await follow() for _ in range(10)]
    for slow in crowd:
        slow.gate.is_shut = True
    for number in range(20):
        await site.append(number)
    encodes = site.hub.registry.topic(site.hub.registry.topics()[0]).counters.encodes
    assert encodes == 20
    for slow in crowd:
        slow.gate.open()
    resets = [(await take(slow))[-1] for slow in crowd]
    assert len(set(resets)) == 1
    copies = site.committer._followers._copies._copies
    assert 0 < len(copies) <= KEPT


async def test_an_edit_while_the_copy_is_on_its_way_comes_after_it(site, follow):
    slow = await follow()
    slow.gate.is_shut = True
    for number in range(20):
        await site.append(number)
    edits = [asyncio.ensure_future(site.append(number)) for number in range(20, 30)]
    slow.gate.open()
    await asyncio.gather(*edits)
    lines = await take(slow)
    at = next(index for index, line in enumerate(lines) if line.startswith("reset"))
    revision = int(lines[at].split(" ")[1].partition("-")[0])
    rest = [int(line.split(" ")[1].partition("-")[0]) for line in lines[at + 1 :]]
    assert rest == list(range(revision + 1, 31))


async def test_a_document_changed_by_hand_is_looked_at_first(site, follow):
    slow = await follow()
    slow.gate.is_shut = True
    for number in range(20):
        await site.append(number)
    await site.committer.flush()
    location = site.location()
    (site.root / location.key.removeprefix("/")).write_bytes(
        b"<p id=a>by hand</p><ul id=l></ul>"
    )
    slow.gate.open()
    async with asyncio.timeout(5):
        lines = await take(slow)
        while not any("by hand" in line for line in lines):
            lines += await take(slow)
    await site.append(20)
    (last,) = await take(slow)
    assert last.startswith("item ")


async def test_two_rounds_of_being_slow_give_two_copies(site, follow):
    slow = await follow()
    for round_ in range(2):
        slow.gate.is_shut = True
        for number in range(20):
            await site.append(round_ * 20 + number)
        slow.gate.open()
        lines = await take(slow)
        assert [line.split(" ")[0] for line in lines] == ["item", "reset"]
    assert site.hub.registry.state.resyncs == 2


@pytest.mark.parametrize(
    "form", [ItemForm(takes_resets=False), ItemForm(slow_consumer="close")]
)
async def test_who_knows_no_resets_is_closed(site, follow, form):
    slow = await follow(form)
    slow.gate.is_shut = True
    for number in range(20):
        await site.append(number)
    await turns()
    assert slow.overflows == 1
    assert site.hub.registry.state.resyncs == 0
