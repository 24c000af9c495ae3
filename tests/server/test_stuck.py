"""A loop that does not turn is told of, with the place where it stands."""

import asyncio
import time

import pytest

from beamfast.server import stuck
from beamfast.server.stuck import StuckAlarm


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(stuck, "INTERVAL", 0.05)


def stand_still(seconds):
    time.sleep(seconds)


async def test_where_a_loop_stands_is_printed_once(capfd):
    with StuckAlarm(asyncio.get_running_loop(), patience=0.3):
        await asyncio.sleep(0.1)
        stand_still(1.0)
        await asyncio.sleep(0.1)
    told = capfd.readouterr().err
    assert told.count("in stand_still") == 1


async def test_one_that_turns_is_never_told_of(capfd):
    with StuckAlarm(asyncio.get_running_loop(), patience=2):
        for _ in range(25):
            await asyncio.sleep(0.1)
    assert capfd.readouterr().err == ""


async def test_one_that_turns_too_slowly_is_told_of(capfd, monkeypatch):
    monkeypatch.setattr(stuck, "LAG", 0.05)
    with StuckAlarm(asyncio.get_running_loop(), patience=0.5):
        for _ in range(8):
            stand_still(0.2)
            await asyncio.sleep(0)
    assert "in stand_still" in capfd.readouterr().err


async def test_nothing_is_printed_afterwards(capfd):
    with StuckAlarm(asyncio.get_running_loop(), patience=0.2):
        await asyncio.sleep(0)
    stand_still(0.5)
    assert capfd.readouterr().err == ""
