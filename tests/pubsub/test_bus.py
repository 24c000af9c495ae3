import pytest

from beamfast.pubsub.bus import Bus, LateBus, NullBus
from beamfast.pubsub.unix import UnixBus


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


async def test_a_late_bus_has_others_when_they_have_come(tmp_path):
    late, bus = LateBus(), UnixBus(tmp_path, 0, 2)
    assert (late.has_others, bus.has_others) == (False, True)
    late.connect(bus)
    assert late.has_others
    await late.close()
