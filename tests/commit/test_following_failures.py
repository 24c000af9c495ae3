"""Who joins while things change or fail gets one stream, or is sent away."""

import asyncio

import pytest

from beamfast.commit import following
from beamfast.commit.publication import ItemForm
from beamfast.documents.streamitem import LEGACY_TYPE
from beamfast.entry import Version
from beamfast.errors import AccessDenied, StorageError

from .viewer import Viewer

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"
HAND = b"<ul id=l><li>by hand</ul>"
START = str(Version.of_file(PAGE))


class Guest(Viewer):
    """A viewer that notes when it is sent away, and may be slow."""

    def __init__(self, site):
        super().__init__(site.hub.registry.state)
        self.was_aborted = False
        self.waits = 0
        self.room = asyncio.Event()
        self.room.set()

    def abort(self):
        self.was_aborted = True

    def wait_writable(self):
        if self.room.is_set():
            return None
        self.waits += 1
        return asyncio.ensure_future(self.room.wait())


@pytest.fixture
async def guest(site):
    return Guest(site)


@pytest.fixture
def follow(site, guest):
    def follow(after=None, form=None):
        site.committer.subscribe(
            *(guest, site.location(), form or ItemForm()),
            after=after,
            greet=guest.greet,
        )

    return follow


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def is_there(site):
    return lambda: site.committer.subscribers(site.location())


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "error", [StorageError("cannot be read"), ConnectionError("cannot be read")]
)
async def test_who_cannot_be_caught_up_is_sent_away(
    site, guest, follow, monkeypatch, caplog, error
):
    async def fail(*_):
        raise error

    await site.append(1)
    monkeypatch.setattr(site.journal, "replay", fail)
    follow(START)
    await until(lambda: guest.was_aborted)
    assert "/page.html cannot be followed: cannot be read" in caplog.text
    assert not is_there(site)()
    (keeper,) = site.keepers
    assert keeper.joining == 0


async def test_a_reset_takes_in_what_was_changed_by_hand(site, guest, follow):
    await site.append(1)
    await site.write_by_hand(HAND)
    follow("nonsense")
    await until(is_there(site))
    ((kind, version),) = guest.take()
    assert (kind, version) == ("reset", str(site.versions[-1]))
    assert site.versions[-1].revision == 2


async def test_a_document_that_never_rests_cannot_be_reset(
    site, guest, follow, monkeypatch
):
    await site.append(1)
    await site.committer.flush()

    def change_again(keeper):
        raise following.ChangedByHand

    monkeypatch.setattr(following, "ROUNDS", 3)
    monkeypatch.setattr(site.committer._replica, "reset_of", change_again)
    follow("nonsense")
    await until(lambda: guest.was_aborted)
    assert not is_there(site)()


async def test_a_reset_of_a_file_out_of_reach_is_none(site, guest, follow, monkeypatch):
    def refuse(location):
        raise AccessDenied("Access denied")

    await site.append(1)
    await site.committer.flush()
    monkeypatch.setattr(site.store, "load", refuse)
    follow("nonsense")
    await until(lambda: guest.was_aborted)
    assert not is_there(site)()


async def test_who_leaves_before_it_has_joined_is_not_there(site, guest, follow):
    await site.append(1)
    follow(START)
    site.committer.unsubscribe(guest, site.location())
    await settle()
    assert not is_there(site)()
    assert guest.lines() == []
    (keeper,) = site.keepers
    assert keeper.joining == 0


async def test_who_asks_twice_is_caught_up_once(site, guest, follow):
    outcome = await site.append(1)
    follow(START)
    follow(START, ItemForm(LEGACY_TYPE))
    await until(is_there(site))
    first, item = guest.lines()
    assert first == f"id {START} ''"
    assert item.startswith(f"item {outcome.version} ")
    assert LEGACY_TYPE in item


async def test_who_asks_for_other_items_while_it_is_caught_up_misses_nothing(
    site, guest, follow
):
    before = await site.append(1)
    follow(START)
    follow(None, ItemForm(LEGACY_TYPE))
    await until(lambda: guest.received.count(b"\n") == 3)
    after = await site.append(2)
    await until(lambda: guest.received.count(b"\n") == 4)
    greeting, *items = guest.lines()
    assert greeting == f"id {START} ''"
    assert [line.split()[:2] for line in items] == [
        ["item", str(before.version)],
        ["id", str(before.version)],
        ["item", str(after.version)],
    ]
    assert [LEGACY_TYPE in line for line in items] == [False, False, True]


async def test_who_leaves_while_it_changes_what_it_wants_is_not_there(
    site, guest, follow
):
    await site.append(1)
    follow(START)
    follow()
    site.committer.unsubscribe(guest, site.location())
    await settle()
    assert not is_there(site)()
    assert guest.lines() == []


async def test_nobody_joins_a_server_that_stops(make_site):
    site = make_site()
    await site.append(1)
    guest = Guest(site)
    site.committer.subscribe(guest, site.location(), ItemForm(), after=START)
    await site.committer.close()
    assert not is_there(site)()


async def test_a_replay_goes_at_the_pace_of_its_reader(
    site, guest, follow, monkeypatch
):
    monkeypatch.setattr(following, "SLICE", 2)
    outcomes = [await site.append(number) for number in range(5)]
    guest.room.clear()
    follow(START)
    await until(lambda: guest.waits)
    await settle()
    assert [version for _, version in guest.take()] == [
        START,
        *(str(outcome.version) for outcome in outcomes[:2]),
    ]
    guest.room.set()
    await until(is_there(site))
    assert [version for _, version in guest.take()] == [
        str(outcome.version) for outcome in outcomes[2:]
    ]


async def test_who_reads_slower_than_others_write_gets_the_document(
    site, guest, follow, monkeypatch
):
    monkeypatch.setattr(following, "SLICE", 1)
    monkeypatch.setattr(following, "ROUNDS", 2)
    outcomes = [await site.append(number) for number in range(5)]
    follow(START)
    await until(is_there(site))
    *items, reset = guest.take()
    assert len(items) == 3
    assert reset == ("reset", str(outcomes[-1].version))


async def test_what_is_logged_but_not_published_comes_live(
    site, guest, follow, monkeypatch
):
    first = await site.append(1)
    since = site.journal.since
    gate = asyncio.Event()

    async def slow(sequence):
        logged = await since(sequence)
        await gate.wait()
        return logged

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "since", slow)
        edit = asyncio.ensure_future(site.append(2))
        await until(lambda: len(site.entries) == 2)
        follow(START)
        await until(is_there(site))
        assert list(guest.take()) == [("id", START), ("item", str(first.version))]
        gate.set()
        second = await edit
    await settle()
    assert list(guest.take()) == [("item", str(second.version))]


async def test_a_document_that_is_outdated_meanwhile_is_looked_at_again(
    site, guest, follow, monkeypatch
):
    outcome = await site.append(1)
    (keeper,) = site.keepers
    replay, tries = site.journal.replay, []

    async def outdate(*arguments):
        tries.append(arguments)
        keeper.is_stale = len(tries) == 1
        return await replay(*arguments)

    monkeypatch.setattr(site.journal, "replay", outdate)
    follow(START)
    await until(is_there(site))
    assert len(tries) == 2
    assert list(guest.take()) == [("id", START), ("item", str(outcome.version))]


async def test_who_is_gone_when_the_document_is_ready_does_not_join(site, guest):
    await site.append(1)
    (keeper,) = site.keepers
    for after in (None, "nonsense", START):
        keeper.is_stale = True
        guest = Guest(site)
        site.committer.subscribe(guest, site.location(), ItemForm(), after=after)
        guest.connection_lost(None)
        await settle()
        assert not is_there(site)()
        assert keeper.joining == 0
