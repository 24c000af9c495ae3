"""The followers of a host's documents, counted from when somebody wants to know."""

import asyncio

import pytest

from beamfast.commit.publication import ItemForm

from .viewer import Viewer


class Follower(Viewer):
    def __init__(self, state, user=None):
        super().__init__(state)
        self.user, self.opened = user, 1


@pytest.fixture
def follow(site):
    def begin(user=None):
        follower = Follower(site.hub.registry.state, user)
        site.committer.subscribe(follower, site.location(), ItemForm())
        return follower

    return begin


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_followers_are_counted_from_the_first_question_on(site, follow):
    follow("before")
    assert site.committer.audience is None
    audience = site.committer.count_audience()
    assert site.committer.count_audience() is audience
    ann = follow("ann")
    assert [one.user for one in audience.roster(site.location()).members] == ["ann"]
    site.committer.unsubscribe(ann, site.location())
    assert audience.roster(site.location()).count == 0


async def test_a_connection_that_is_gone_has_left_everything(site, follow):
    audience = site.committer.count_audience()
    ann = follow("ann")
    other = site.location("/other.html")
    site.committer.subscribe(ann, other, ItemForm())
    assert audience.roster(other).count == 1
    site.committer.forget(ann)
    site.committer.forget(ann)
    assert audience.roster(site.location()).count == audience.roster(other).count == 0


async def test_who_attends_is_told_who_is_there_and_who_comes(site, follow):
    audience = site.committer.count_audience()
    ann = follow("ann")
    await settle()
    audience.attend(ann, site.location(), ItemForm())
    ((kind, version, text),) = [line.split(" ", 2) for line in ann.lines()]
    assert (kind, version) == ("presence", "")
    assert '"count">1<' in text
    assert "ann" in text
    follow("bob")
    async with asyncio.timeout(10):
        while not (lines := ann.lines()):
            await asyncio.sleep(0.01)
    assert "bob" in lines[0]
    assert '"count">2<' in lines[0]


async def test_items_for_the_same_form_are_written_once(site, follow):
    audience = site.committer.count_audience()
    followers = [follow() for _ in range(3)]
    await settle()
    for one in followers:
        audience.attend(one, site.location(), ItemForm())
    before = site.hub.registry.counters.encodes
    audience.leave(audience._topic(site.location()), followers[0])
    async with asyncio.timeout(10):
        while site.hub.registry.counters.encodes == before:
            await asyncio.sleep(0.01)
    assert site.hub.registry.counters.encodes == before + 1


async def test_without_an_audience_a_connection_that_is_gone_changes_nothing(
    site, follow
):
    site.committer.forget(follow())
    assert site.committer.audience is None
