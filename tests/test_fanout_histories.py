"""
Random histories of topics, and a model of what every subscriber has to get.

Whoever joins, leaves, writes, lags or compresses meanwhile: each message once and in
order, and what may be missing is what the policy of the subscription leaves out. The
seed of a history that does not hold is printed; ``BEAMFAST_HISTORIES`` plays more.
"""

import asyncio
import gc
import itertools
import os
import random
import re
import socket
from collections import Counter

import pytest
import uvloop

from beamfast._fanout import TopicRegistry
from beamfast._outbound import Outbound

SEED = int(os.environ.get("BEAMFAST_SEED", "0"))
HISTORIES = int(os.environ.get("BEAMFAST_HISTORIES", "1200"))

TOPICS = ("a", "b", "c")
FILTERS = (frozenset(), frozenset("x"), frozenset("xy"))
POLICIES = ("close", "close", "resync", "resync", "drop-oldest", "coalesce")
# Lane, epoch and index in the epoch when compressed; topic, number; mark; content.
ITEM = re.compile(rb"(<(\d+)\.(\d+)\.(\d+)>)?([abcp])(\d+)(!?)(\.*);")
COPY = re.compile(rb"\[([abc])(\d+) without (\d+)\];")


def plain(message):
    return message + b";"


def marked(message):
    head = re.match(rb"\w+", message)[0]
    return head + b"!" + message[len(head) :] + b";"


class Window:
    """A compressor of which only matters what its messages refer to."""

    numbers = itertools.count()

    def __init__(self, length):
        self.number = next(self.numbers)
        self.length = length
        self.epoch = self.messages = 0

    @property
    def is_over(self):
        return self.messages >= self.length

    def begin(self):
        self.epoch += 1
        self.messages = 0

    def encode(self, frame):
        if self.is_over:
            self.begin()
        place = b"<%d.%d.%d>" % (self.number, self.epoch, self.messages)
        self.messages += 1
        return place + frame


class Outside:
    """What enters the window of a peer without being compressed."""

    def encode(self, frame):
        return frame


class Coding:
    """How a peer takes compressed messages."""

    def __init__(self, *, has_takeover, is_broken_by_writes):
        self.has_takeover = has_takeover
        self.is_broken_by_writes = is_broken_by_writes

    def shared(self):
        return Window(8)

    def single(self):
        return Window(1)

    def outside(self):
        return Outside() if self.is_broken_by_writes else None


CODINGS = (
    None,
    Coding(has_takeover=True, is_broken_by_writes=False),
    Coding(has_takeover=True, is_broken_by_writes=True),
    Coding(has_takeover=False, is_broken_by_writes=False),
)


class Subscriber(Outbound):
    """A connection, and the model of what its peer has to read."""

    def __init__(self, registry, coding):
        self.state = registry.state
        self.coding = coding
        self.expected = {name: [] for name in TOPICS}
        self.keys = {name: {} for name in TOPICS}
        # Of every topic it was in: the ways in which something may be missing.
        self.policies = {name: set() for name in TOPICS}
        self.members = {}
        self.received = b""
        self.ended = self.lost = self.cut = self.is_complete = False

    def connection_made(self, transport):
        self.attach(transport, self.state)

    def data_received(self, data):
        pass

    def eof_received(self):
        return False

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.members.clear()
        self.lost = self.ended = True

    def on_overflow(self):
        self.cut = True
        super().on_overflow()

    def write(self, data):
        if self.coding is not None and self.coding.is_broken_by_writes:
            self.leave_epochs()
        super().write(data)

    def expect(self, name, item, key=None):
        self.expected[name].append(item)
        if key is not None:
            self.keys[name][key] = item

    def expect_everywhere(self, item):
        for name in TOPICS:
            self.expect(name, item)

    def read(self):
        try:
            while chunk := self.peer.recv(1 << 20):
                self.received += chunk
        except (BlockingIOError, ConnectionResetError):
            pass

    def parse(self):
        """Return what arrived, after looking at what it refers to."""
        at, found, before = 0, [], None
        while match := ITEM.match(self.received, at) or COPY.match(self.received, at):
            at = match.end()
            if match.re is COPY or match[1] is None:
                if self.coding and self.coding.is_broken_by_writes:
                    before = None
            else:
                lane, epoch, index = map(int, match.group(2, 3, 4))
                assert index == 0 or before == (lane, epoch, index - 1)
                before = lane, epoch, index
            found.append(match)
        assert at == len(self.received) or self.cut
        return found

    def check(self):
        found = self.parse()
        texts = [
            (match[0] if match.re is COPY else match[0][len(match[1] or b"") :])
            for match in found
        ]
        for name in TOPICS:
            own = (name.encode(), b"[" + name.encode())
            if self.policies[name] <= {"close"}:
                # Private items and those of one topic keep their order.
                mine = [text for text in texts if text.startswith((*own, b"p"))]
                wanted = self.expected[name]
                assert mine == (wanted[: len(mine)] if self.cut else wanted)
                continue
            mine = [text for text in texts if text.startswith(own)]
            wanted = [item for item in self.expected[name] if item[:1] == own[0]]
            if self.policies[name] == {"resync"}:
                self.check_copies(mine, wanted)
            else:
                self.check_subsequence(name, mine, wanted)
        private = [text for text in texts if text[:1] == b"p"]
        wanted = [item for item in self.expected["a"] if item[:1] == b"p"]
        assert private == (wanted[: len(private)] if self.cut else wanted)

    def check_order(self):
        """Everything came in the order of its numbers, whatever its topic."""
        numbers = [int(match[6]) for match in self.parse() if match.re is ITEM]
        assert numbers == sorted(set(numbers))

    def check_copies(self, mine, wanted):
        """Nothing is missing but what a copy stands for, and it says how much."""
        at = 0
        for text in mine:
            if copy := COPY.fullmatch(text):
                assert int(copy[2]) - at == int(copy[3])
                at = int(copy[2])
            else:
                assert text == wanted[at]
                at += 1
        assert at == len(wanted) or not self.is_complete

    def check_subsequence(self, name, mine, wanted):
        """Nothing comes twice or in another order; the newest are there."""
        rest = iter(wanted)
        items = [text for text in mine if not COPY.fullmatch(text)]
        assert all(item in rest for item in items)
        if not self.is_complete or name not in self.members:
            return
        if self.policies[name] == {"coalesce"}:
            assert set(self.keys[name].values()) <= set(items)
        elif self.policies[name] == {"drop-oldest"} and wanted:
            assert wanted[-1] in items or len(wanted[-1]) > 15_000


class History:
    """Random calls on a few subscribers, with the model kept beside them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.is_ordered = seed % 2 == 1
        self.registry = TopicRegistry(self.loop, ordered=self.is_ordered)
        self.all = []
        self.number = self.resumed = 0
        # Half of them about one topic that is too much for most.
        self.is_busy = self.random.random() < 0.5
        self.topics = TOPICS[:1] if self.is_busy else TOPICS

    @property
    def open(self):
        return [each for each in self.all if not each.ended]

    def item(self, kind):
        self.number += 1
        size = self.random.choice((0, 0, 0, 3, 40, 3000, 20_000))
        return b"%s%d%s" % (kind.encode(), self.number, b"." * size)

    async def connect(self):
        subscriber = Subscriber(self.registry, self.random.choice(CODINGS))
        ours, subscriber.peer = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        subscriber.peer.setblocking(False)
        await self.loop.create_connection(lambda: subscriber, sock=ours)
        if self.random.random() < 0.6:
            subscriber.queue_bytes_limit = self.random.choice((6_000, 25_000))
        self.all.append(subscriber)

    def subscribe(self, subscriber):
        name = self.random.choice(self.topics)
        form, filters = self.random.choice((plain, marked)), self.random.choice(FILTERS)
        policy = self.random.choice(POLICIES)
        if known := subscriber.policies[name] & set(POLICIES):
            # Mostly the same again, or nothing could be said about the outcome.
            policy = self.random.choice((*sorted(known) * 3, policy))
        refresh = self.refresh if policy == "resync" else None
        if self.registry.subscribe(
            subscriber, name, form, filters, slow_consumer=policy, refresh=refresh
        ):
            subscriber.members[name] = form, filters
            subscriber.policies[name].add(policy)
        if topic := self.registry.topic(name):
            members = [each.members.get(name) for each in self.open]
            used = [member[1] for member in members if member]
            assert topic.filters == frozenset().union(*used)

    def refresh(self, subscriber, name, form):
        if self.random.random() < 0.5:
            self.resume(subscriber, name)
        else:
            self.loop.call_soon(self.resume, subscriber, name)

    def resume(self, subscriber, name):
        items = [one for one in subscriber.expected[name] if one[:1] == name.encode()]
        missed = self.registry.missed(subscriber, name)
        copy = b"[%s%d without %d];" % (name.encode(), len(items), missed)
        self.resumed += self.registry.resume(subscriber, name, copy)

    def unsubscribe(self, subscriber):
        name = self.random.choice(self.topics)
        known = subscriber.members.pop(name, None) is not None
        if known and "resync" in subscriber.policies[name]:
            # What was left out may never be replaced now.
            subscriber.policies[name].add("left")
        assert self.registry.unsubscribe(subscriber, name) == known

    def publish(self, subscriber):
        name = self.random.choice(self.topics)
        matched = self.random.choice(FILTERS)
        exclude = subscriber if self.random.random() < 0.2 else None
        excluded = [exclude]
        if self.random.random() < 0.2:
            # Some twice, some that are gone or were never there.
            excluded = exclude = self.random.choices(
                self.all, k=self.random.randrange(5)
            )
        message = self.item(name)
        key = self.number % 3
        for each in self.open:
            form, filters = each.members.get(name, (None, None))
            if form and each not in excluded and (not filters or filters & matched):
                each.expect(name, form(message), key)
        count = self.registry.publish(
            name, message, matched=matched, exclude=exclude, key=key
        )
        members = [each for each in self.open if name in each.members]
        assert count == sum(each not in excluded for each in members)
        assert self.registry.subscribers(name) == len(members)

    def write(self, subscriber):
        item = plain(self.item("p"))
        subscriber.expect_everywhere(item)
        subscriber.write(item)

    def write_corked(self, subscriber):
        subscriber.cork()
        for _ in range(self.random.randrange(4)):
            self.write(subscriber)
            self.publish(subscriber)
        subscriber.uncork()

    def read(self, subscriber):
        subscriber.read()

    def say_goodbye(self, subscriber):
        item = plain(self.item("p"))
        subscriber.expect_everywhere(item)
        subscriber.write_last(item)
        subscriber.members.clear()
        subscriber.ended = True
        subscriber.close_transport()

    def close(self, subscriber):
        subscriber.close_transport()
        subscriber.ended = True
        subscriber.members.clear()
        # The model counts members; the registry does until connection_lost().
        for name in TOPICS:
            self.registry.unsubscribe(subscriber, name)

    def abort(self, subscriber):
        subscriber.cut = True
        self.close(subscriber)
        subscriber.abort()

    def reset(self, subscriber):
        subscriber.cut = True
        subscriber.peer.close()
        subscriber.peer, other = socket.socketpair()
        other.close()
        self.close(subscriber)

    async def drain(self):
        """Read until everybody who is there has everything."""
        turns = 0
        while turns < 5:
            for subscriber in self.open:
                subscriber.read()
            await asyncio.sleep(0)
            turns = 0 if any(each.is_paused for each in self.open) else turns + 1
        for subscriber in self.open:
            subscriber.is_complete = True

    async def play(self):
        for _ in range(self.random.randrange(2, 6)):
            await self.connect()
        common = [self.subscribe, self.publish, self.publish, self.write, self.read]
        if self.is_busy:
            common += [self.publish] * 6
        rare = [self.unsubscribe, self.write_corked, self.say_goodbye, self.close]
        rarer = [self.abort, self.reset]
        for _ in range(self.random.randrange(10, 60) * (1 + self.is_busy)):
            for each in self.open:
                if each.is_closing:
                    self.close(each)
            if not self.open:
                break
            chance = self.random.random()
            if chance < 0.25:
                await asyncio.sleep(0)
            else:
                rare_from, rarer_from = (0.96, 0.99) if self.is_busy else (0.85, 0.97)
                calls = common if chance < rare_from else rare
                calls = calls if chance < rarer_from else rarer
                self.random.choice(calls)(self.random.choice(self.open))
        await self.drain()
        for subscriber in self.open:
            members = dict(subscriber.members)
            self.say_goodbye(subscriber)
            subscriber.members = members
        while not all(each.lost for each in self.all):
            for subscriber in self.all:
                subscriber.read()
            await asyncio.sleep(0)
        for subscriber in self.all:
            subscriber.read()
            subscriber.peer.close()
            subscriber.check()
            if self.is_ordered:
                subscriber.check_order()
        assert self.registry.topics() == []


def test_a_window_begins_anew_when_who_waits_for_it_has_been_sent_the_rest(
    registry, loop, join
):
    def publish(*numbers):
        for number in numbers:
            registry.publish("a", b"a%d" % number)
        loop.run()
        return early.received(), late.received()

    early, late = join(), join()
    early.coding = late.coding = CODINGS[1]
    registry.subscribe(early, "a", plain)
    publish(1, 2, 3)
    registry.subscribe(late, "a", plain)
    compressed, as_it_is = publish(4, 5)
    assert [match[4] for match in ITEM.finditer(compressed)] == [b"3", b"4"]
    assert as_it_is == b"a4;a5;"
    one, other = publish(6)
    assert one == other
    assert ITEM.fullmatch(one).group(3, 4, 6) == (b"1", b"0", b"6")


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_random_histories_agree_with_the_model(factory, block):
    seen = Counter()

    async def main():
        count = HISTORIES // 4
        for seed in range(SEED + block * count, SEED + (block + 1) * count):
            history = History(seed)
            try:
                await history.play()
            except BaseException:
                print(f"history {seed} failed")  # noqa: T201 - to play it again
                raise
            state = history.registry.state
            seen["resumed"] += history.resumed
            seen["resyncs"] += state.resyncs
            seen["drops"] += state.drops
            seen["overflows"] += state.overflows
            seen["compressions"] += history.registry.counters.compressions

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    print(f"{HISTORIES // 4} histories: {dict(seen)}")  # noqa: T201 - figures
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Subscriber)]
    assert all(seen[name] for name in ("resumed", "drops", "overflows", "compressions"))
