"""Viewers note when something came, whenever it is taken apart."""

import asyncio
from time import perf_counter

import pytest
from websockets.asyncio.server import serve as serve_websockets

from beamfast.bench.viewer import Arrivals, Viewer
from beamfast.client.dial import Route
from beamfast.errors import ConnectError
from beamfast.protocol.url import parse_websocket_url


def item(version):
    return f'<b itemprop="version">{version}</b>'


@pytest.fixture
async def arrivals():
    return Arrivals()


@pytest.fixture
async def join(arrivals):
    """Return a function that opens a viewer and returns the server's end of it."""
    peers, viewers = asyncio.Queue(), []

    async def keep(peer):
        await peers.put(peer)
        await peer.wait_closed()

    async with serve_websockets(keep, "127.0.0.1", 0, subprotocols=["beam.v1"]) as it:
        url = parse_websocket_url(f"ws://127.0.0.1:{it.sockets[0].getsockname()[1]}/")

        async def start():
            viewers.append(await Viewer.open(url, Route(), arrivals))
            return await peers.get()

        yield start
        for viewer in viewers:
            viewer.abort()


async def test_a_time_is_that_of_the_arrival(arrivals, join):
    peers = [await join(), await join()]
    assert all(peer.subprotocol == "beam.v1" for peer in peers)
    arrivals.hold()
    for peer in peers:
        await peer.send(item("1-a"))
        await asyncio.sleep(0.05)
    noticed = perf_counter()
    assert not arrivals.times
    assert await arrivals.reach("1-a", 2, 10)
    first, second = arrivals.times["1-a"]
    assert first <= second - 0.04
    assert second <= noticed


async def test_a_version_is_waited_for_until_the_last_viewer_has_it(arrivals, join):
    peers = [await join(), await join()]
    arrivals.hold()
    reached = asyncio.create_task(arrivals.reach("2-a", 2, 10))
    await peers[0].send(item("1-a"))
    await peers[0].send([item("2-a")[:9], item("2-a")[9:]])
    await peers[1].send(item("1-a") + " ")
    await peers[1].ping()
    await peers[1].send(b"bytes")
    await asyncio.sleep(0.05)
    assert not reached.done()
    await peers[1].send(item("2-a"))
    assert await reached
    assert {name: len(times) for name, times in arrivals.times.items()} == {
        "1-a": 2,
        "2-a": 2,
    }


async def test_who_misses_a_version_is_not_waited_for_longer(arrivals, join):
    peer = await join()
    arrivals.hold()
    await peer.send(item("1-a"))
    assert not await arrivals.reach("2-a", 1, 0.1)
    assert len(arrivals.times["1-a"]) == 1
    assert not await arrivals.reach("2-a", 1, 0)
    assert await arrivals.reach("2-a", 0, 0)


async def test_a_ping_is_answered_while_nothing_is_measured(arrivals, join):
    peer = await join()
    async with asyncio.timeout(10):
        await (await peer.ping())
        await peer.send(item("1-a"))
        await (await peer.ping())
    assert list(arrivals.times) == ["1-a"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"),
        (b"HTTP/1.1 200 OK\r\n", "ended before the response"),
    ],
)
async def test_a_refusal_says_why(arrivals, serve, answer, reason):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    url = parse_websocket_url(await serve(handle))
    with pytest.raises(ConnectError, match=reason):
        await Viewer.open(url, Route(), arrivals)
