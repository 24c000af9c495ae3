"""
Cancelling at every await point leaves nothing behind.

A scenario runs as a task that is cancelled after its first step, then a fresh one
after its second, and so on until one runs to its end: that enumerates every point
at which it waits. After each, no task, socket or timer may be left. The handlers of
a server are ended in the same way, by whatever ends them in life.
"""

import asyncio
import contextlib
import gc
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import uvloop

from beamfast import ConnectError, connect, event_source
from beamfast.client import sync
from beamfast.errors import ConnectionClosed
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
    """
    A coroutine driven step by step, so that each suspension is a point.

    At the ``stop_at``-th of them ``stop`` is called, soon.
    """

    def __init__(self, coroutine, stop_at, stop=None):
        self.coroutine = coroutine
        self.stop_at = stop_at
        self.stop = stop
        self.count = 0

    def __await__(self):
        """Count the suspensions; by default the task itself is cancelled."""
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
                task.get_loop().call_soon(self.stop or task.cancel)
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


class WatchedLoop(uvloop.Loop):
    """uvloop, and which of its timers will still ring."""

    def __init__(self):
        super().__init__()
        self.timers = []

    def call_later(self, delay, callback, *arguments, context=None):
        """As uvloop does."""

        if callback.__qualname__.startswith("SSLProtocol."):
            # Of uvloop itself, which forgets the one for the end of TLS at times.
            return super().call_later(delay, callback, *arguments, context=context)

        def ring():
            self.timers.remove(handle)
            callback(*arguments)

        handle = super().call_later(delay, ring, context=context)
        self.timers.append(handle)
        return handle


def timers(loop):
    known = loop.timers if isinstance(loop, WatchedLoop) else loop._scheduled
    return [one for one in known if not one.cancelled()]


@pytest.fixture(params=[asyncio.new_event_loop, WatchedLoop], ids=["asyncio", "uvloop"])
def run(request):
    """Return a function that runs a coroutine on a loop of each kind."""

    def run_to_end(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run_to_end


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


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def tls(request, trusting):
    return {"ssl": trusting} if request.param else {}


async def enumerate_points(serve, answer, tls, play):
    """Call ``play`` with the address and each point, until it says that is all."""
    async with serve(answer, tls=bool(tls)) as site:
        url = site.url(scheme="wss" if tls else "ws", host="localhost")
        before = descriptors()
        point, is_through = 0, False
        while not is_through:
            point += 1
            is_through = await play(site, url, point)
            await rest(site, before)
            # One is the heartbeat of the server.
            assert len(timers(asyncio.get_running_loop())) <= 1
    return point


@pytest.mark.parametrize("name", SCENARIOS)
def test_cancelling_at_every_await_leaves_nothing(run, serve, tls, name):
    async def play(_, url, point):
        return await run_cancelled(partial(SCENARIOS[name], url, tls), point)

    assert run(enumerate_points(serve, application, tls, play)) > 3


async def converse(websocket):
    """Wait for everything that a handler can wait for."""
    await websocket.send("hello")
    await websocket.recv()
    await (await websocket.ping())
    await websocket.send(["in", "pieces"])
    async for _ in websocket:
        break
    await websocket.send(bytes(2**22))
    await websocket.drain()
    await websocket.close()


async def tell(source):
    """The same for streams."""
    for number in range(5):
        await source.send(str(number) * 2**20)
    await source.send("last")
    await source.wait_closed()


async def listen(url, tls):
    """Be the client of both, and stay until the end."""
    with contextlib.suppress(ConnectionClosed):
        async with connect(url, max_size=2**23, **tls) as websocket:
            async for _ in websocket:
                await websocket.send("heard")


async def follow(url, tls):
    address = url.replace("ws", "http", 1)
    async with event_source(address, max_size=2**22, **tls) as source:
        async for event in source:
            if event.data == "last":
                return


def end_by_loss(site, client):
    """The client is gone, without a word."""
    client.cancel()


def end_by_stop(site, client):
    """The server ends what handlers still do."""
    for task in site.service.handlers:
        task.cancel()


def end_by_drain(site, client):
    """The server says goodbye to everybody."""
    for connection in site.service.heartbeat.connections():
        connection.on_drain()


ENDS = [end_by_loss, end_by_stop, end_by_drain]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("handler", "visit"), [(converse, listen), (tell, follow)], ids=["socket", "stream"]
)
def test_a_handler_that_is_ended_at_any_await_leaves_nothing(
    run, serve, tls, handler, visit, end
):
    async def play(site, url, point):
        ended = asyncio.get_running_loop().create_future()
        client = asyncio.ensure_future(visit(url, tls))
        steps = []

        async def stepping(connection):
            stop = partial(end, site, client)
            steps.append(Steps(handler(connection), point, stop))
            try:
                await steps[0]
            finally:
                ended.set_result(None)

        def answer(request):
            if request.is_websocket:
                return Response(101, upgrade=Upgrade(stepping))
            return Response(200, stream=EventStream(stepping))

        site.application = answer
        await ended
        client.cancel()
        await asyncio.wait([client])
        return steps[0].count < point

    # How often a handler waits depends on how fast the client reads.
    assert run(enumerate_points(serve, None, tls, play)) > 1


class Interrupted(sync.connect):
    """A script that gets Ctrl-C at a chosen point of what its thread waits for."""

    def __init__(self, url, point, **tls):
        self.point = point
        self.is_interrupted = threading.Event()
        signal.signal(signal.SIGINT, self._note)
        super().__init__(url, **tls)

    def _call(self, work):
        async def stepping():
            steps = Steps(work, self.point, self._interrupt)
            try:
                return await steps
            finally:
                self.point -= steps.count

        return super()._call(stepping())

    def _note(self, number, frame):
        # Wherever the script is: it need not wait for the thread any more.
        self.is_interrupted.set()
        signal.default_int_handler(number, frame)

    def _interrupt(self):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert self.is_interrupted.wait(20)


def run_script(url, point, tls):
    """Return whether the script came to its end before that point."""
    try:
        with Interrupted(url, point, **tls) as websocket:
            websocket.send("hello")
            assert websocket.recv() == "hello"
            assert websocket.ping() >= 0
            with contextlib.suppress(TimeoutError):
                websocket.recv(timeout=0.001)
    except KeyboardInterrupt:
        return False
    return True


@pytest.fixture
def site(serve, tls):
    """A server in a thread of its own."""
    ready, box = threading.Event(), {}

    async def serve_in_thread():
        box["loop"], box["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with serve(application, tls=bool(tls)) as box["site"]:
            ready.set()
            await box["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve_in_thread()))
    thread.start()
    assert ready.wait(20)
    yield box["site"]
    box["loop"].call_soon_threadsafe(box["stop"].set)
    thread.join(20)


@pytest.fixture
def interruptible():
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
def test_a_script_that_is_interrupted_at_any_point_leaves_nothing(site, tls, caplog):
    url = site.url(scheme="wss" if tls else "ws", host="localhost")
    threads, before = threading.active_count(), descriptors()
    point = 1
    while not run_script(url, point, tls):
        point += 1
        deadline = time.monotonic() + 20
        # The thread that looked up the host name ends by itself.
        while (
            len(site.service.heartbeat)
            or descriptors() > before
            or threading.active_count() > threads
        ):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        gc.collect()
    assert point > 5
    assert "was destroyed" not in caplog.text
