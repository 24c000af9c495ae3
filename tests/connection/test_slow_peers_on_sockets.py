"""What a peer that reads nothing for a while finds afterwards, plain and with TLS."""

import asyncio
import threading

import pytest

from .raw import Ends, frame

TEXT, PING, PONG = 1, 9, 10


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def ends(request):
    return Ends(request.param)


async def fill(websocket):
    """Send until the peer's side is full, and say what that was."""
    websocket.queue_bytes_limit = 2**26
    sent = []
    while not websocket.is_paused:
        sent.append(b"%08d" % len(sent) + bytes(2**16))
        websocket.send_nowait(sent[-1])
        if websocket.is_paused:
            # TLS pauses for a moment with every record.
            await asyncio.sleep(0.02)
    return sent


def test_101_of_the_pings_that_could_not_be_answered_the_latest_is(run, ends):
    is_full, may_read = threading.Event(), threading.Event()

    async def handler(websocket):
        await fill(websocket)
        is_full.set()
        assert await websocket.recv() == "behind the pings"
        may_read.set()
        assert await websocket.recv() == "enough"
        await websocket.close()

    def conversation(peer):
        assert is_full.wait(20)
        peer.send(b"".join(frame(PING, b"%d" % number) for number in range(100)))
        peer.send(frame(TEXT, b"behind the pings"))
        assert may_read.wait(20)
        frames = []
        while not frames or frames[-1][0] != 0x80 | PONG:
            frames.append(peer.read_frame())
        peer.send(frame(TEXT, b"enough"))
        return frames + peer.read_to_the_close()

    async def main():
        async with ends.server(handler) as (_, port):
            return await ends.talk(port, conversation)

    frames = run(main())
    assert [body for first, _, body in frames if first == 0x80 | PONG] == [b"99"]


def test_105_a_send_that_is_cancelled_takes_nothing_back(run, ends):
    may_read = threading.Event()
    sent = []

    async def handler(websocket):
        sent.extend(await fill(websocket))
        assert websocket.buffered_amount > 0
        for _ in range(10):
            sent.append(b"%08d" % len(sent) + bytes(2**16))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(websocket.send(sent[-1]), 0.001)
        may_read.set()
        await websocket.drain()
        assert websocket.buffered_amount == 0
        await websocket.close()

    def conversation(peer):
        assert may_read.wait(20)
        return peer.read_to_the_close()

    async def main():
        async with ends.server(handler) as (_, port):
            return await ends.talk(port, conversation)

    *frames, _ = run(main())
    assert [body for _, _, body in frames] == sent
