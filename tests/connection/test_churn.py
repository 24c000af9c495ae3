"""Connections that come, subscribe and go leave nothing behind."""

import asyncio
import contextlib
import gc
import os
import sys
from pathlib import Path

import pytest
import uvloop

from beamfast._frames import build_frame
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import EventStream, Response, Upgrade
from beamfast.pubsub.hub import Hub

#: ``nox -s soak`` plays 100,000.
CYCLES = int(os.environ.get("BEAMFAST_CYCLES", "400"))
AT_ONCE = 20

HANDSHAKE = (
    b"GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
STREAM = b"GET /e HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"


class Topic:
    """Everybody who connects is subscribed to it."""

    def __init__(self, hub):
        self.hub = hub
        upgrade = Upgrade(self.open)
        stream = EventStream(self.open)
        self.answers = {"/w": {"upgrade": upgrade}, "/e": {"stream": stream}}

    def answer(self, request):
        what = self.answers[request.path]
        return Response(101 if "upgrade" in what else 200, **what)

    def open(self, connection):
        self.hub.subscribe(connection, "topic", connection.frame_message)


async def come_and_go(port, request, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.readuntil(b"\r\n\r\n")
    if number % 4:
        # Some go at once, the others have read something.
        await reader.read(1)
    if number % 3 == 0:
        writer.transport.abort()
    elif request is HANDSHAKE:
        writer.write(build_frame(8, b"\x03\xe8", mask=b"1234"))
        await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def resident():
    """Return the bytes of memory that are in use, or 0 where nobody tells."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        return 0
    return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held():
    gc.collect()
    descriptors = sum(1 for _ in Path("/dev/fd").iterdir())
    return descriptors, sys.getallocatedblocks(), resident()


@pytest.mark.timeout(3600)
def test_descriptors_and_memory_are_where_they_were():
    async def play(port, hub, cycles):
        for first in range(0, cycles, AT_ONCE):
            going = asyncio.gather(
                *(
                    come_and_go(port, (HANDSHAKE, STREAM)[number % 2], number)
                    for number in range(first, first + AT_ONCE)
                )
            )
            while not going.done():
                hub.publish("topic", f"something of {first}, compressed for some")
                await asyncio.sleep(0)
            await going
        async with asyncio.timeout(20):
            while hub.subscribers("topic"):
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def main():
        loop = asyncio.get_running_loop()
        hub = Hub(loop)
        service = Service(Topic(hub).answer, loop, hub.registry)
        server = await loop.create_server(
            lambda: HttpConnection(service), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        await play(port, hub, max(CYCLES // 4, 100))
        before = held()
        await play(port, hub, CYCLES)
        after = held()
        assert len(service.heartbeat) == 0
        server.close()
        service.heartbeat.close()
        return before, after

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        before, after = runner.run(main())
    print(f"{CYCLES} cycles: {before} -> {after}")  # noqa: T201 - figures
    assert after[0] == before[0]
    # Caches fill a little; one object for each cycle would be more.
    assert after[1] - before[1] < max(CYCLES // 2, 200)
    assert after[2] - before[2] < 8 * 2**20
