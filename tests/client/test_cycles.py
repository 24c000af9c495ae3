"""
Opened and closed again and again, nothing grows.

``BEAMFAST_CYCLES`` says how often; ``nox -s endurance`` takes 10,000.
"""

import asyncio
import contextlib
import gc
import os
import sys
from pathlib import Path

import pytest

from beamfast import ConnectionClosed, connect, event_source
from beamfast.http import EventStream, Response, Upgrade

CYCLES = int(os.environ.get("BEAMFAST_CYCLES", "200"))
AT_ONCE = 10


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def one_event(source):
    await source.send("event")
    await source.wait_closed()


def application(request):
    if request.is_websocket:
        return Response(101, upgrade=Upgrade(echo))
    return Response(200, stream=EventStream(one_event))


async def closed_by_client(url):
    async with connect(url) as websocket:
        await websocket.send("x" * 200)
        assert await websocket.recv() == "x" * 200


async def cut_by_client(url):
    websocket = await connect(url)
    await websocket.send("lost")
    websocket.abort()
    with contextlib.suppress(ConnectionClosed):
        await websocket.recv()


async def stream(url):
    async with event_source(url.replace("ws", "http", 1)) as source:
        async for _ in source:
            break


async def many(kind, url, count):
    for _ in range(count // AT_ONCE):
        await asyncio.gather(*(kind(url) for _ in range(AT_ONCE)))


async def measure(site):
    """Return descriptors and blocks of memory, once everything has ended."""
    async with asyncio.timeout(20):
        while len(site.service.heartbeat) or site.service.handlers:
            await asyncio.sleep(0)
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0)
    return len(list(Path("/dev/fd").iterdir())), sys.getallocatedblocks()


@pytest.mark.parametrize("kind", [closed_by_client, cut_by_client, stream])
async def test_nothing_grows_over_many_connections(serve, kind):
    async with serve(application) as site:
        site.requests = type("Forgetful", (), {"append": lambda self, _: None})()
        await many(kind, site.url(), 50)
        descriptors, blocks = await measure(site)
        await many(kind, site.url(), CYCLES)
        after_descriptors, after_blocks = await measure(site)
    assert after_descriptors == descriptors
    # What stays of a connection is dozens of blocks; some come and go by themselves.
    assert after_blocks - blocks < 5 * CYCLES
