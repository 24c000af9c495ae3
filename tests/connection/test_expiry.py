"""Streams end when what names their user does, and are forgotten when they end."""

import asyncio

import pytest

from beamfast.connection import expiry
from beamfast.connection.expiry import Expiry


class Stream:
    """A stream that knows how it ended."""

    def __init__(self) -> None:
        self.is_closing = False
        self.has_expired = False

    def expire(self) -> None:
        self.is_closing = self.has_expired = True


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def streams(clock):
    streams = Expiry(asyncio.get_running_loop(), clock)
    yield streams
    streams.close()


async def test_a_stream_ends_at_its_time_and_not_before(streams, clock):
    stream = Stream()
    streams.add(stream, 1010.0)
    clock.now = 1009.9
    streams._turn()
    assert not stream.has_expired
    clock.now = 1010.0
    streams._turn()
    assert stream.has_expired
    assert len(streams) == 0


async def test_a_stream_that_ended_before_is_forgotten(streams):
    stream = Stream()
    streams.add(stream, 1010.0)
    stream.is_closing = True
    streams._turn()
    assert len(streams) == 0
    assert not stream.has_expired


async def test_a_timer_runs_only_while_there_is_something_to_look_at(
    streams, clock, monkeypatch
):
    monkeypatch.setattr(expiry, "ROUND", 0.001)
    first, second = Stream(), Stream()
    streams.add(first, 1001.0)
    streams.add(second, 1002.0)
    clock.now = 1001.0
    while len(streams) == 2:
        await asyncio.sleep(0.001)
    assert (first.has_expired, second.has_expired) == (True, False)
    clock.now = 1002.0
    while len(streams):
        await asyncio.sleep(0.001)
    assert streams._timer is None


async def test_nothing_ends_after_close(streams, clock):
    stream = Stream()
    streams.add(stream, 1001.0)
    streams.close()
    clock.now = 1001.0
    streams._turn()
    assert not stream.has_expired
