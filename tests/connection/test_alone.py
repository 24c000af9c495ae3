"""One connection's own timer."""

import asyncio
import math

import pytest

from beamfast._wheel import Timed
from beamfast.connection.alone import Alarm, Alone


class Watched(Timed):
    def __init__(self):
        self.rung = asyncio.Event()
        self.times = []

    def on_deadline(self, now):
        self.times.append(now)
        self.rung.set()


@pytest.fixture
async def alarm():
    return Alarm(asyncio.get_running_loop())


async def test_an_alarm_rings_when_it_is_time_and_once(alarm):
    timed = Watched()
    alarm.watch_for(timed, 0.01)
    due = timed.deadline
    await timed.rung.wait()
    assert timed.times[0] >= due
    assert timed.deadline == math.inf
    assert alarm._handle is None


async def test_a_later_deadline_only_changes_a_number(alarm):
    timed = Watched()
    alarm.watch_for(timed, 0.01)
    first = alarm._handle
    alarm.watch_for(timed, 0.03)
    assert alarm._handle is first
    due = timed.deadline
    await timed.rung.wait()
    assert len(timed.times) == 1
    assert timed.times[0] >= due


async def test_an_earlier_deadline_is_met(alarm):
    timed = Watched()
    alarm.watch_for(timed, 1000)
    late = alarm._handle
    alarm.watch_for(timed, 0)
    assert late.cancelled()
    await timed.rung.wait()


async def test_what_is_forgotten_does_not_ring(alarm):
    timed = Watched()
    alarm.forget(timed)
    alarm.watch_for(timed, 0)
    handle = alarm._handle
    alarm.forget(timed)
    assert handle.cancelled()
    alarm.watch(timed)
    assert alarm._handle is None


async def test_nobody_to_tell_is_fine(alarm):
    timed = Watched()
    alarm.watch_for(timed, 1000)
    alarm._timed = None
    alarm._ring()
    assert timed.times == []


async def test_a_lone_connection_has_all_that_it_needs():
    loop = asyncio.get_running_loop()
    alone = Alone(loop)
    assert (alone.loop, alone.state.loop, alone.handlers) == (loop, loop, set())
    assert type(alone.heartbeat) is Alarm
