"""What a publication costs before anything is sent, and a walk that finds nobody."""

import asyncio
from functools import partial

import pytest

from beamfast._frames import build_frame
from beamfast._outbound import Outbound
from beamfast.pubsub.hub import Hub

TEXT = 1
WIRE_FORM = partial(build_frame, TEXT)


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def hub(loop):
    return Hub(loop)


def test_publish_without_subscribers(benchmark, hub):
    benchmark.group = "publish 300 B to nobody"
    assert benchmark(hub.publish, "topic", "x" * 300) == 0


class Nowhere:
    """A transport without a socket, for subscribers that are never reached."""

    def get_extra_info(self, name):
        return None

    def set_write_buffer_limits(self, high, low):
        pass

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return False

    def write(self, data):
        pass


@pytest.fixture
def subscriber(hub):
    subscriber = Outbound()
    subscriber.attach(Nowhere(), hub.registry.state)
    yield subscriber
    subscriber.connection_lost(None)


def test_subscribe_and_unsubscribe(benchmark, hub, subscriber):
    benchmark.group = "subscribe and unsubscribe"

    def once():
        hub.subscribe(subscriber, "topic", WIRE_FORM)
        hub.unsubscribe(subscriber, "topic")

    benchmark(once)
    assert hub.subscribers("topic") == 0


class Turns:
    """An event loop of which a benchmark runs one turn."""

    def __init__(self):
        self.ready = []

    def call_soon(self, callback):
        self.ready.append(callback)

    def turn(self):
        self.ready.pop()()


def test_walk_over_10_000_subscribers_without_sending(benchmark):
    benchmark.group = "walk over 10,000 subscribers that have everything"
    loop = Turns()
    hub = Hub(loop)
    crowd = [Outbound() for _ in range(10_000)]
    for one in crowd:
        one.attach(Nowhere(), hub.registry.state)
        hub.subscribe(one, "topic", WIRE_FORM)

    def have_everything():
        hub.publish("topic", "x")
        for one in crowd:
            # Brings along what was published before.
            one.write(b"")

    benchmark.pedantic(loop.turn, setup=have_everything, rounds=30)
    assert loop.ready == []
    for one in crowd:
        one.connection_lost(None)
