"""The client for scripts, against a server on another thread's loop."""

import asyncio
import threading
import time

import pytest

from beamfast.client.sync import connect
from beamfast.errors import ConnectError, ConnectionClosed
from beamfast.http import Response, Upgrade


async def echo(websocket):
    async for message in websocket:
        if message == "count":
            await websocket.send("1")
            await websocket.send("2")
            return
        if message == "pieces":
            await websocket.send(slowly("one", "two", "three"))
            continue
        await websocket.send(message)


async def slowly(*pieces):
    for piece in pieces:
        yield piece
        await asyncio.sleep(0.01)


def answer(request):
    if request.path == "/no":
        return Response(403, "no")
    return Response(101, upgrade=Upgrade(echo))


@pytest.fixture
def site(serve):
    """A server in a thread of its own."""
    ready = threading.Event()
    box = {}

    async def run():
        box["loop"], box["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with serve(answer) as box["site"]:
            ready.set()
            await box["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    yield box["site"]
    box["loop"].call_soon_threadsafe(box["stop"].set)
    thread.join(20)


def test_a_message_can_be_read_in_pieces(site):
    with connect(site.url(), compression=None) as websocket:
        websocket.send("pieces")
        pieces = websocket.recv_streaming()
        assert "".join(pieces) == "onetwothree"
        websocket.send("pieces")
        for piece in websocket.recv_streaming(timeout=20):
            assert "onetwothree".startswith(piece)
            break
        websocket.send("after")
        assert websocket.recv() == "after"


def test_a_piece_that_does_not_come_in_time_is_not_lost(site):
    with connect(site.url()) as websocket:
        with pytest.raises(TimeoutError):
            next(websocket.recv_streaming(timeout=0.01))
        websocket.send("late")
        assert websocket.recv() == "late"
    with pytest.raises(ConnectionClosed):
        next(websocket.recv_streaming())


def test_a_script_sends_and_receives(site):
    with connect(site.url()) as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
        websocket.send(b"\x00")
        assert websocket.recv(timeout=20) == b"\x00"
        assert websocket.ping() >= 0
        websocket.send("count")
        assert list(websocket) == ["1", "2"]
    websocket.close()
    with pytest.raises(ConnectionClosed):
        websocket.send("late")


def test_nothing_in_time_can_be_received_later(site):
    with connect(site.url()) as websocket:
        with pytest.raises(TimeoutError):
            websocket.recv(timeout=0.01)
        websocket.send("now")
        assert websocket.recv() == "now"


def test_a_refusal_is_raised_and_leaves_no_thread(site):
    before = threading.active_count()
    with pytest.raises(ConnectError, match="403"):
        connect(site.url("/no"))
    with pytest.raises(ValueError):
        connect("ftp://a/")
    assert threading.active_count() == before


def test_pings_are_answered_while_the_script_does_something_else(serve, site):
    seen = []

    async def pinging(websocket):
        seen.append(await (await websocket.ping()))

    site.application = lambda request: Response(101, upgrade=Upgrade(pinging))
    with connect(site.url()) as websocket:
        while websocket.websocket.close_code is None:
            time.sleep(0.001)
    assert len(seen) == 1
