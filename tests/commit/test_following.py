"""Resume: what was missed, byte for byte, or one reset."""

import asyncio

import pytest

from beamfast.commit.publication import ItemForm
from beamfast.entry import Version

from .viewer import Viewer

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"


@pytest.fixture
def follow(site):
    """Follow the page; returns the viewer when it has joined."""

    async def follow(after=None, form=None):
        viewer = Viewer(site.hub.registry.state)
        before = site.committer.subscribers(site.location())
        site.committer.subscribe(
            *(viewer, site.location(), form or ItemForm()),
            after=after,
            greet=viewer.greet,
        )
        async with asyncio.timeout(5):
            while site.committer.subscribers(site.location()) == before:
                await asyncio.sleep(0)
        return viewer

    return follow


async def settled(viewer):
    for _ in range(4):
        await asyncio.sleep(0)
    return viewer.lines()


async def test_a_resume_gets_what_went_out_live_byte_for_byte(site, follow):
    live = await follow()
    start = (await settled(live))[0].split(" ")[1]
    for number in range(10):
        await site.append(number)
    expected = await settled(live)
    late = await follow(start)
    assert await settled(late) == [f"id {start} ''", *expected]
    await site.append(10)
    assert await settled(late) == await settled(live) != []


async def test_a_stream_without_a_version_begins_with_the_present_one(site, follow):
    outcome = await site.append(1)
    assert await settled(await follow()) == [f"id {outcome.version} ''"]


async def test_who_is_up_to_date_gets_nothing(site, follow):
    outcome = await site.append(1)
    viewer = await follow(str(outcome.version))
    assert await settled(viewer) == [f"id {outcome.version} ''"]


async def test_a_version_before_the_first_edit_is_known(site, follow):
    start = str(Version.of_file(PAGE))
    assert await settled(await follow(start)) == [f"id {start} ''"]
    await site.append(1)
    assert len(await settled(await follow(start))) == 2


@pytest.mark.parametrize(
    "after", ["", "x", "9-0123456789abcdef", "1-0123456789abcdef", "-1-0", "1-"]
)
async def test_an_unknown_version_gives_one_reset(site, follow, after):
    outcome = await site.append(1)
    viewer = await follow(after)
    (line,) = await settled(viewer)
    assert line.startswith(f"reset {outcome.version} ")
    assert "&lt;li&gt;1&lt;/li&gt;" in line
    await site.append(2)
    (line,) = await settled(viewer)
    assert line.startswith("item 2-")


@pytest.mark.parametrize("change", ["file", "append", "gone", "import"])
async def test_a_change_of_the_whole_document_is_one_reset(site, follow, change):
    first = await site.append(1)
    match change:
        case "file":
            await site.put_file(b"<ul id=l></ul>")
        case "append":
            await site.append_file(b"<ul id=l></ul>")
        case "gone":
            await site.remove()
        case "import":
            await site.write_by_hand(b"<ul id=l></ul>")
            await site.committer.current(site.location())
    if change != "gone":
        await site.append(2)
    viewer = await follow(str(first.version))
    (line,) = await settled(viewer)
    assert line.startswith(f"reset {site.versions[-1]} ")


async def test_a_version_that_was_forgotten_gives_one_reset(make_site):
    from beamfast.journal.memory import MemoryJournal

    site = make_site(MemoryJournal(retain_entries=3))
    versions = [(await site.append(number)).version for number in range(6)]
    viewer = Viewer(site.hub.registry.state)
    site.committer.subscribe(
        viewer, site.location(), ItemForm(), after=str(versions[0])
    )
    for _ in range(20):
        await asyncio.sleep(0)
    (line,) = viewer.lines()
    assert line.startswith(f"reset {versions[-1]} ")


async def test_a_long_replay_comes_in_pieces_and_in_order(site, follow):
    start = str(Version.of_file(PAGE))
    outcomes = await asyncio.gather(*(site.append(number) for number in range(300)))
    viewer = await follow(start)
    got = [line.split(" ")[1] for line in await settled(viewer)]
    assert got == [start, *(str(outcome.version) for outcome in outcomes)]


async def test_who_goes_away_during_a_replay_is_not_subscribed(site):
    await site.append(1)
    viewer = Viewer(site.hub.registry.state)
    start = str(Version.of_file(PAGE))
    site.committer.subscribe(viewer, site.location(), ItemForm(), after=start)
    viewer.connection_lost(None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert site.committer.subscribers(site.location()) == 0


async def test_a_removed_document_can_be_followed_until_it_is_back(site, follow):
    await site.remove()
    viewer = await follow("nonsense")
    (line,) = await settled(viewer)
    assert line.startswith("reset 1-")
    again = await site.put_file(PAGE)
    (line,) = await settled(viewer)
    assert line.startswith(f"reset {again.version} ")
