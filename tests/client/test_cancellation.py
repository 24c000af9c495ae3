"""
Cancelling at every await point leaves nothing behind.

A scenario runs as a task that is cancelled after its first step, then a fresh one
after its second, and so on until one runs to its end: that enumerates every point
at which it waits. After each, no task, socket or timer may be left.
"""

import asyncio
import contextlib
from functools import partial
from pathlib import Path

import pytest

from beamfast import ConnectError, connect, event_source
from beamfast.http import EventStream, Response, Upgrade


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def stream(source):
    for number in range(3):
        await source.send(str(number), id=str(number))
    await source.wait_closed()


def application(request):
    if request.method == "CONNECT" or request.path == "/no":
        return Response(403, "no")
    if request.path == "/away":
        return Response(302, headers=[("Location", "/")])
    if request.is_websocket:
        return Response(101, upgrade=Upgrade(echo))
    return Response(200, stream=EventStream(stream))


class Steps:
    """A coroutine driven step by step, so that each suspension is a point."""

    def __init__(self, coroutine, stop_at):
        self.coroutine = coroutine
        self.stop_at = stop_at
        self.count = 0

    def __await__(self):
        """Count the suspensions; at the chosen one the task cancels itself."""
        inner = self.coroutine.__await__()
        value, error = None, None
        while True:
            try:
                step = inner.throw(error) if error else inner.send(value)
            except StopIteration as end:
                return end.value
            value = error = None
            self.count += 1
            if self.count == self.stop_at:
                task = asyncio.current_task()
                task.get_loop().call_soon(task.cancel)
            try:
                value = yield step
            except BaseException as raised:
                error = raised


async def run_cancelled(scenario, stop_at):
    """Cancel a scenario at its ``stop_at``-th suspension; tell if it has no such."""
    steps = Steps(scenario(), stop_at)

    async def body():
        await steps

    task = asyncio.ensure_future(body())
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return steps.count < stop_at


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


async def rest(site, before):
    """Wait until nothing but the server is left on the loop."""
    async with asyncio.timeout(20):
        while (
            asyncio.all_tasks() - {asyncio.current_task()}
            or len(site.service.heartbeat)
            or descriptors() > before
        ):
            await asyncio.sleep(0)


SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


@scenario
async def messages(url, tls):
    async with connect(url, **tls) as websocket:
        await websocket.send("hello")
        await websocket.recv()
        await websocket.send(["in", "pieces"])
        await (await websocket.ping())
        async for _ in websocket:
            break
        await websocket.drain()
        await websocket.close()
        await websocket.wait_closed()


@scenario
async def redirected(url, tls):
    await (await connect(url + "away", **tls)).close()


@scenario
async def refused(url, tls):
    with contextlib.suppress(ConnectError):
        await connect(url + "no", **tls)


@scenario
async def again(url, tls):
    async for websocket in connect(url, **tls):
        await websocket.send("hello")
        await websocket.recv()
        return


@scenario
async def events(url, tls):
    async with event_source(url.replace("ws", "http", 1), **tls) as source:
        async for event in source:
            if event.data == "2":
                return


@scenario
async def proxied(url, tls):
    """The server itself, asked to be a proxy, refuses."""
    proxy = url.replace("ws", "http", 1)
    with contextlib.suppress(ConnectError):
        await connect(url, proxy=proxy, proxy_ssl=tls.get("ssl"), **tls)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
async def test_cancelling_at_every_await_leaves_nothing(serve, trusting, name, is_tls):
    loop = asyncio.get_running_loop()
    tls = {"ssl": trusting} if is_tls else {}
    async with serve(application, tls=is_tls) as site:
        url = site.url(scheme="wss" if is_tls else "ws", host="localhost")
        before = descriptors()
        point, is_through = 0, False
        while not is_through:
            point += 1
            is_through = await run_cancelled(partial(SCENARIOS[name], url, tls), point)
            await rest(site, before)
            timers = [one for one in loop._scheduled if not one.cancelled()]
            # One is the heartbeat of the server.
            assert len(timers) <= 1
        assert point > 3
