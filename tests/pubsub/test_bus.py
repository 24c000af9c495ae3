import pytest

from beamfast.pubsub.bus import Bus, NullBus


def test_a_bus_is_abstract_in_every_method():
    assert Bus.__abstractmethods__ == {"ring", "forward", "listen", "close"}
    with pytest.raises(TypeError):
        Bus()


async def test_without_other_processes_nothing_happens():
    heard = []
    bus = NullBus()
    bus.listen(lambda: heard.append("ring"), lambda *message: heard.append(message))
    bus.ring()
    bus.forward("topic", "message")
    await bus.close()
    assert heard == []
