"""The hub on a bus: what travels to the other workers, and what stays."""

import asyncio
from collections.abc import Callable

import pytest

from beamfast._outbound import Outbound
from beamfast.pubsub.bus import Bus
from beamfast.pubsub.hub import Hub


class TestBus(Bus):
    """Remembers what it was given."""

    __test__ = False

    def __init__(self) -> None:
        self.forwarded: list[tuple[str, str | bytes]] = []
        self.on_ring: Callable[[], None]
        self.on_message: Callable[[str, str | bytes], None]

    def ring(self) -> None:
        raise AssertionError("the hub does not ring")

    def forward(self, topic, message):
        self.forwarded.append((topic, message))

    def listen(self, on_ring, on_message):
        self.on_ring, self.on_message = on_ring, on_message

    async def close(self) -> None:
        pass


@pytest.fixture
def bus():
    return TestBus()


@pytest.fixture
async def hub(bus):
    return Hub(asyncio.get_running_loop(), bus=bus)


@pytest.fixture
def published(hub, monkeypatch):
    """What reaches the topics of this process."""
    seen = []
    registry = hub.registry

    class Registry:
        def publish(self, topic, message, *options):
            seen.append((topic, message))
            return registry.publish(topic, message, *options)

    hub.registry = Registry()
    return seen


@pytest.mark.parametrize("message", ["text", b"bytes", ""])
async def test_a_plain_message_travels(hub, bus, published, message):
    hub.publish("chat", message)
    assert bus.forwarded == published == [("chat", message)]


async def test_an_entry_of_a_document_stays(hub, bus, published):
    entry = object()
    hub.publish("document:/", entry)
    assert (bus.forwarded, published) == ([], [("document:/", entry)])


async def test_what_comes_from_another_worker_does_not_travel_on(hub, bus, published):
    bus.on_message("chat", "from afar")
    assert (bus.forwarded, published) == ([], [("chat", "from afar")])


async def test_everybody_who_asked_hears_a_ring(hub, bus):
    heard = []
    hub.on_ring(lambda: heard.append(1))
    hub.on_ring(lambda: heard.append(2))
    bus.on_ring()
    assert heard == [1, 2]


def refuse(message):
    raise AssertionError("a ring is no message")


async def test_an_ordered_topic_rings_and_catches_up_when_rung(bus, tmp_path):
    heard = []
    hubs = [Hub(asyncio.get_running_loop(), bus=bus, shared=tmp_path) for _ in "ab"]
    sequences = [
        hub.sequence("a", keep=5, deliver=lambda said, mark: heard.append(said.message))
        for hub in hubs
    ]
    sequences[0].say("x")
    assert bus.forwarded == [("a", "")]
    hubs[1].registry.subscribe(Outbound(), "a", refuse)
    # The bus of the tests belongs to the second hub, which listened last.
    bus.on_message(*bus.forwarded[0])
    assert heard == ["x", "x"]
    for hub in hubs:
        await hub.close()
