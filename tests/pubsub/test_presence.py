"""Rosters of topics, merged over workers whose messages may be late or lost."""

import asyncio
import itertools
from types import SimpleNamespace

import pytest

from beamfast.pubsub import presence as module
from beamfast.pubsub.bus import Bus
from beamfast.pubsub.hub import Hub
from beamfast.pubsub.presence import Change, Member, Presence

TOPIC = "document:/page.html"


class Wire:
    """Carries what one worker says to the others, at once."""

    def __init__(self):
        self.ends = []

    def bus(self):
        self.ends.append(WireBus(self))
        return self.ends[-1]


class WireBus(Bus):
    def __init__(self, wire):
        self.wire = wire
        self.said = []
        self.is_cut = False

    def ring(self):
        raise AssertionError("nobody rings here")

    def forward(self, topic, message):
        self.said.append(message)
        if self.is_cut:
            return
        for other in self.wire.ends:
            if other is not self and not other.is_cut:
                other.receive(topic, message)

    def listen(self, on_ring, on_message):
        self.receive = on_message

    async def close(self):
        """Nothing is held."""


class Clock:
    """A loop whose time stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0
        self.calls = []
        self.numbers = itertools.count()

    def time(self):
        return self.now

    def call_later(self, delay, callback, *arguments):
        call = (self.now + delay, next(self.numbers), callback, arguments)
        self.calls.append(call)
        return SimpleNamespace(cancel=lambda: self.calls.remove(call))

    def call_soon(self, callback, *arguments):
        return self.call_later(0.0, callback, *arguments)

    def run(self, seconds=0.0):
        """Let time pass and everything happen that is due."""
        end = self.now + seconds
        while due := [call for call in self.calls if call[0] <= end]:
            call = min(due, key=lambda call: call[:2])
            self.calls.remove(call)
            self.now = max(self.now, call[0])
            call[2](*call[3])
        self.now = end


class Connection:
    def __init__(self, user, opened):
        self.user, self.opened = user, opened


class Worker:
    def __init__(self, wire, clock):
        self.changes = []
        self.bus = wire.bus()
        hub = Hub(asyncio.get_running_loop(), bus=self.bus)
        self.presence = Presence(
            hub, clock, lambda topic, change: self.changes.append(change)
        )
        self.presence.start()

    def follow(self, user=None, since=1):
        connection = Connection(user, since)
        self.presence.join(TOPIC, connection)
        return connection

    @property
    def count(self):
        return self.presence.roster(TOPIC).count

    @property
    def users(self):
        return [member.user for member in self.presence.roster(TOPIC).members]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def make(clock):
    wire = Wire()
    return lambda: Worker(wire, clock)


async def test_the_members_of_all_workers_are_one_roster(make, clock):
    one, other = make(), make()
    one.follow("ann", 2)
    other.follow("bob", 1)
    clock.run()
    assert one.users == other.users == ["bob", "ann"]
    ids = {member.id for member in one.presence.roster(TOPIC).members}
    assert len(ids) == 2


async def test_each_join_and_leave_is_told_once(make, clock):
    one, other = make(), make()
    ann = one.follow("ann")
    clock.run(5)
    one.presence.leave(TOPIC, ann)
    one.presence.leave(TOPIC, ann)
    clock.run(60)
    for worker in (one, other):
        joined, left = worker.changes
        assert [member.user for member in joined.joined] == ["ann"]
        assert (joined.count, joined.left) == (1, ())
        assert left == Change(0, (), joined.joined)


async def test_one_that_leaves_does_not_empty_the_roster_of_the_others(make, clock):
    one, other = make(), make()
    ann = one.follow("ann")
    other.follow("bob")
    clock.run(2)
    one.presence.gone(ann)
    clock.run(2)
    assert one.count == other.count == 1
    assert one.users == other.users == ["bob"]
    assert 0 not in [change.count for change in one.changes + other.changes]


async def test_the_members_of_a_killed_worker_leave_within_35_seconds_once(make, clock):
    one, other = make(), make()
    one.follow("ann")
    other.follow("bob")
    clock.run(7)
    other.bus.is_cut = True
    clock.run(35)
    assert one.users == ["ann"]
    clock.run(100)
    left = [member.user for change in one.changes for member in change.left]
    assert left == ["bob"]


async def test_members_that_stay_are_announced_again_and_do_not_expire(make, clock):
    one, other = make(), make()
    one.follow("ann")
    clock.run(600)
    assert other.users == ["ann"]
    assert len(other.changes) == 1


async def test_a_new_worker_asks_who_is_there(make, clock):
    one = make()
    one.follow("ann")
    clock.run(3)
    late = make()
    assert late.users == ["ann"]


async def test_a_lost_announcement_is_made_up_for(make, clock):
    one, other = make(), make()
    one.bus.is_cut = True
    one.follow("ann")
    clock.run()
    assert other.count == 0
    one.bus.is_cut = False
    clock.run(10)
    assert other.users == ["ann"]


async def test_a_topic_is_announced_once_a_second_however_much_happens(make, clock):
    one, other = make(), make()
    one.bus.said.clear()
    for number in range(100):
        one.follow(f"user-{number}")
    clock.run()
    assert len(one.bus.said) == 1
    for _ in range(100):
        one.presence.gone(one.follow("guest"))
    clock.run(1)
    assert len(one.bus.said) == 2
    # Who came and went within that second is not told.
    assert [len(change.joined) for change in other.changes] == [100]


async def test_above_a_thousand_members_only_their_number_is_shared(
    make, clock, monkeypatch
):
    monkeypatch.setattr(module, "NAMED", 3)
    one, other = make(), make()
    followers = [one.follow() for _ in range(4)]
    other.follow("bob")
    clock.run(2)
    roster = other.presence.roster(TOPIC)
    assert (roster.count, roster.members) == (5, None)
    assert other.changes[-1] == Change(5)
    for follower in followers:
        one.presence.gone(follower)
    clock.run(2)
    assert other.users == ["bob"]


async def test_many_named_ones_together_are_too_many(make, clock, monkeypatch):
    monkeypatch.setattr(module, "NAMED", 3)
    one, other = make(), make()
    for worker in (one, other):
        worker.follow()
        worker.follow()
    clock.run(2)
    assert one.presence.roster(TOPIC).members is None
    assert one.count == other.count == 4


async def test_a_topic_without_members_is_forgotten(make, clock):
    one = make()
    one.presence.gone(one.follow())
    one.presence.leave("document:/never.html", object())
    clock.run(10)
    assert one.presence._topics == {}
    assert one.presence._joined == {}


async def test_nothing_is_announced_after_the_end(make, clock):
    one = make()
    one.follow()
    one.bus.said.clear()
    one.presence.close()
    clock.run(60)
    assert one.bus.said == []
    assert clock.calls == []


async def test_a_member_says_who_and_since_when(make, clock):
    one = make()
    one.follow("ann", 17)
    clock.run()
    (member,) = one.presence.told(TOPIC).members
    assert member == Member(member.id, "ann", 17)
    one.follow("ann", 17)
    assert one.presence.told(TOPIC).count == 1
