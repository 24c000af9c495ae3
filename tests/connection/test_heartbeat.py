import asyncio
import logging

from beamfast._wheel import Timed
from beamfast.connection.heartbeat import Heartbeat


class Watched(Timed):
    def __init__(self):
        self.fired = asyncio.Event()

    def on_deadline(self, now):
        self.fired.set()


class Failing(Watched):
    def on_deadline(self, now):
        super().on_deadline(now)
        raise ZeroDivisionError


async def test_an_error_of_one_does_not_keep_the_others_waiting(caplog):
    loop = asyncio.get_running_loop()
    heartbeat = Heartbeat(loop)
    ones = [Failing(), Watched(), Failing(), Watched()]
    for one in ones:
        heartbeat.watch(one, loop.time())
    with caplog.at_level(logging.ERROR, "beamfast.connection"):
        await asyncio.gather(*(one.fired.wait() for one in ones))
    assert len(caplog.records) == 2
    assert set(heartbeat.connections()) == set(ones)
    heartbeat.close()
