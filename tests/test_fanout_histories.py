import asyncio
import gc
import random
import re
import socket

import pytest
import uvloop

from beamfast._fanout import TopicRegistry
from beamfast._outbound import Outbound

TOPICS = ("a", "b", "c")
FILTERS = (frozenset(), frozenset("x"), frozenset("xy"))
ITEM = re.compile(rb"([abcp])(\d+)(!?)(\.*);")


def plain(message):
    return message + b";"


def marked(message):
    head = re.match(rb"\w+", message)[0]
    return head + b"!" + message[len(head) :] + b";"


class Subscriber(Outbound):
    """A connection, and the model of what its peer has to read."""

    def __init__(self, registry):
        self.state = registry.state
        self.expected = {name: [] for name in TOPICS}
        self.members = {}
        self.received = b""
        self.ended = self.lost = self.cut = False

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

    def expect(self, name, item):
        self.expected[name].append(item)

    def expect_everywhere(self, item):
        for name in TOPICS:
            self.expect(name, item)

    def read(self):
        try:
            while chunk := self.peer.recv(1 << 20):
                self.received += chunk
        except (BlockingIOError, ConnectionResetError):
            pass

    def check(self):
        """Private items and those of one topic keep their order, exactly once."""
        items = [match[0] for match in ITEM.finditer(self.received)]
        whole = b"".join(items) == self.received
        assert whole or self.cut
        for name, expected in self.expected.items():
            mine = [item for item in items if item[:1] in (b"p", name.encode())]
            assert mine == (expected[: len(mine)] if self.cut else expected)


class History:
    """Random calls on a few subscribers, with the model kept beside them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.registry = TopicRegistry(self.loop)
        self.all = []
        self.number = 0

    @property
    def open(self):
        return [each for each in self.all if not each.ended]

    def item(self, kind):
        self.number += 1
        size = self.random.choice((0, 0, 0, 3, 40, 3000, 20_000))
        return b"%s%d%s" % (kind.encode(), self.number, b"." * size)

    async def connect(self):
        subscriber = Subscriber(self.registry)
        ours, subscriber.peer = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        subscriber.peer.setblocking(False)
        await self.loop.create_connection(lambda: subscriber, sock=ours)
        if self.random.random() < 0.1:
            subscriber.queue_bytes_limit = 50_000
        self.all.append(subscriber)

    def subscribe(self, subscriber):
        name = self.random.choice(TOPICS)
        form, filters = self.random.choice((plain, marked)), self.random.choice(FILTERS)
        if self.registry.subscribe(subscriber, name, form, filters):
            subscriber.members[name] = form, filters
        if topic := self.registry.topic(name):
            members = [each.members.get(name) for each in self.open]
            used = [member[1] for member in members if member]
            assert topic.filters == frozenset().union(*used)

    def unsubscribe(self, subscriber):
        name = self.random.choice(TOPICS)
        known = subscriber.members.pop(name, None) is not None
        assert self.registry.unsubscribe(subscriber, name) == known

    def publish(self, subscriber):
        name = self.random.choice(TOPICS)
        matched = self.random.choice(FILTERS)
        exclude = subscriber if self.random.random() < 0.2 else None
        message = self.item(name)
        for each in self.open:
            form, filters = each.members.get(name, (None, None))
            if form and each is not exclude and (not filters or filters & matched):
                each.expect(name, form(message))
        count = self.registry.publish(name, message, matched=matched, exclude=exclude)
        assert count == self.registry.subscribers(name)
        assert count == sum(name in each.members for each in self.open)

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

    async def play(self):
        for _ in range(self.random.randrange(2, 6)):
            await self.connect()
        common = [self.subscribe, self.publish, self.publish, self.write, self.read]
        rare = [self.unsubscribe, self.write_corked, self.say_goodbye, self.close]
        rarer = [self.abort, self.reset]
        for _ in range(self.random.randrange(10, 60)):
            for each in self.open:
                if each.is_closing:
                    self.close(each)
            if not self.open:
                break
            chance = self.random.random()
            if chance < 0.25:
                await asyncio.sleep(0)
            else:
                calls = common if chance < 0.85 else rare if chance < 0.97 else rarer
                self.random.choice(calls)(self.random.choice(self.open))
        for subscriber in self.open:
            self.say_goodbye(subscriber)
        while not all(each.lost for each in self.all):
            for subscriber in self.all:
                subscriber.read()
            await asyncio.sleep(0)
        for subscriber in self.all:
            subscriber.read()
            subscriber.peer.close()
            subscriber.check()
        assert self.registry.topics() == []


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_random_histories_agree_with_the_model(factory, block):
    async def main():
        for seed in range(block * 300, block * 300 + 300):
            await History(seed).play()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Subscriber)]
