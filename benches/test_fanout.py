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
