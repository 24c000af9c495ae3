"""Taking leave of connections: at a pace, with a time to come back at."""

import asyncio
import contextlib

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed

from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import EventStream, Response, Upgrade
from beamfast.pubsub.hub import Hub
from beamfast.server import farewell
from beamfast.server.farewell import Farewell


def answer(request):
    if request.is_websocket:
        return Response(101, upgrade=Upgrade(lambda websocket: None))
    if request.accepts_event_stream:
        return Response(200, stream=EventStream(lambda source: None))
    return Response(200, "in")


@pytest.fixture
async def service():
    loop = asyncio.get_running_loop()
    service = Service(answer, loop, Hub(loop).registry)
    yield service
    service.heartbeat.close()


@pytest.fixture
async def place(service):
    server = await service.loop.create_server(
        lambda: HttpConnection(service), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()
    server.close()


@pytest.mark.parametrize(("restarts", "code"), [(False, 1001), (True, 1012)])
async def test_line_57_sockets_get_a_code_and_a_delay_and_streams_a_retry(
    service, place, restarts, code
):
    reader, writer = await asyncio.open_connection(*place)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
    await reader.readuntil(b"retry: ")
    async with websockets.asyncio.client.connect(
        f"ws://{place[0]}:{place[1]}"
    ) as socket:
        task = asyncio.create_task(
            Farewell(service, 20, restarts=restarts).take(asyncio.Event())
        )
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == code
    name, _, delay = closed.value.rcvd.reason.partition("=")
    assert name == "retry-after"
    assert int(delay) >= 100
    assert b"retry: " in await reader.read()
    writer.close()
    await task


async def test_an_idle_connection_is_left_to_ask_when_others_take_over(service, place):
    reader, writer = await asyncio.open_connection(*place)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    writer.write(request)
    await reader.readuntil(b"\r\n\r\nin")
    task = asyncio.create_task(
        Farewell(service, 20, restarts=True).take(asyncio.Event())
    )
    while not service.is_draining:
        await asyncio.sleep(0)
    writer.write(request)
    assert b"Connection: close" in await reader.read()
    writer.close()
    await task


async def test_nobody_waits_beyond_the_window_or_when_cut(service, place):
    for cut, window in ((False, 0.0), (True, 20.0)):
        reader, writer = await asyncio.open_connection(*place)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nin")
        event = asyncio.Event()
        if cut:
            event.set()
        await Farewell(service, window, restarts=True).take(event)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


class Clock:
    """Counts slices instead of waiting for them."""

    def __init__(self) -> None:
        self.time = 0.0

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def test_line_56_ten_thousand_sockets_close_at_a_pace(monkeypatch):
    clock = Clock()
    ended: list[float] = []

    class Stream(farewell.Outbound):
        is_closing = False

        def abort(self) -> None:
            raise AssertionError("cut before its time")

    streams = [Stream() for _ in range(10_000)]

    class Wheel:
        def __len__(self):
            return len(streams) - len(ended)

        def connections(self):
            return iter(streams if not ended else [])

    class Everything:
        heartbeat = Wheel()
        loop = clock
        is_draining = False

    def end(self, stream):
        ended.append(clock.time)

    clock_loop = Everything()
    clock_loop.loop = type("Loop", (), {"time": lambda self: clock.time})()
    monkeypatch.setattr(farewell.Farewell, "_end", end)
    monkeypatch.setattr(farewell.asyncio, "sleep", clock.sleep)
    await Farewell(clock_loop, 20.0, restarts=True).take(asyncio.Event())
    assert len(ended) == 10_000
    for second in range(20):
        inside = sum(second <= moment < second + 1 for moment in ended)
        assert inside <= 1_500
