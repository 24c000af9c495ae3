"""A transport that records, a client on it, and loops for real sockets."""

import asyncio
import gc
import http.client
import io
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import uvloop

from beamfast._fanout import TopicRegistry
from beamfast._frames import FrameParser
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import Response, Upgrade


class FakeTransport(asyncio.Transport):
    """
    A transport without a socket.

    Attributes:
        written: everything that was written.
        faults: what no protocol may do, as texts.
    """

    def __init__(self, loop, *, is_tls=False):
        super().__init__({"peername": ("192.0.2.1", 40000)})
        if is_tls:
            self._extra["ssl_object"] = object()
        self.loop = loop
        self.protocol = None
        self.written = bytearray()
        self.faults = []
        self.reading = True
        self.eof_written = False
        self.closing = False
        self.is_ended = False  # by the protocol
        self.aborted = False
        self.lost = False
        self.unsent = 0
        self.is_blocked = False
        self.high = 64 * 1024
        self.paused_protocol = None

    # What a protocol calls.

    def set_protocol(self, protocol):
        self.protocol = protocol

    def get_protocol(self):
        return self.protocol

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = high

    def get_write_buffer_size(self):
        return self.unsent

    def write(self, data):
        if self.is_ended or self.eof_written:
            self.faults.append(f"written after the end: {bytes(data)[:60]!r}")
        self.written += data
        if self.is_blocked:
            self.unsent += len(data)
            if self.unsent > self.high and self.paused_protocol is None:
                self.paused_protocol = self.protocol
                self.protocol.pause_writing()

    def can_write_eof(self):
        return self._extra.get("ssl_object") is None

    def write_eof(self):
        if not self.can_write_eof():
            self.faults.append("half-closed where that is not possible")
        self.eof_written = True

    def pause_reading(self):
        if not self.reading:
            self.faults.append("paused twice")
        self.reading = False

    def resume_reading(self):
        if self.reading:
            self.faults.append("resumed twice")
        self.reading = True

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = self.is_ended = True
        if not self.unsent:
            self.lose()

    def abort(self):
        self.closing = self.is_ended = self.aborted = True
        self.lose()

    # What the network does.

    def lose(self, error=None):
        """Report the end in the next turn, as loops do."""
        if not self.lost:
            self.closing = self.lost = True
            self.loop.call_soon(self.protocol.connection_lost, error)

    def block(self):
        """Let the client read nothing more."""
        self.is_blocked = True

    def read(self, size=None):
        """Let the client read some of what waits, or everything from now on."""
        if size is None:
            self.is_blocked = False
            size = self.unsent
        self.unsent -= size
        if not self.unsent:
            paused, self.paused_protocol = self.paused_protocol, None
            if paused is not None:
                paused.resume_writing()
            if self.closing:
                self.lose()

    def receive(self, data):
        """Let bytes of the client arrive."""
        self.protocol.data_received(data)

    def receive_eof(self):
        """Let the client close its write side."""
        if not self.protocol.eof_received():
            self.close()


class Reply(NamedTuple):
    """One response as a client reads it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Reader(io.BytesIO):
    """What the standard library's client reads several responses from."""

    def makefile(self, mode):
        return self

    def close(self):
        """Stay open for the next response."""


def parse_replies(data, *methods):
    """
    Return all responses in ``data``; interim ones are passed over.

    ``methods`` are those of the requests, ``GET`` where there is none.
    """
    reader = Reader(bytes(data))
    replies = []
    while reader.tell() < len(data):
        method = methods[len(replies)] if len(replies) < len(methods) else "GET"
        response = http.client.HTTPResponse(reader, method=method)
        response.begin()
        replies.append(Reply(response.status, response.headers, response.read()))
    return replies


class Connection(HttpConnection):
    """A connection whose end can be observed."""

    __slots__ = ("__weakref__",)


class Client:
    """The other end of a connection."""

    def __init__(self, application, loop, *, is_tls=False, **options):
        self.requests = []
        self.application = application
        self.service = Service(self._answer, loop, TopicRegistry(loop), **options)
        self.transport = FakeTransport(loop, is_tls=is_tls)
        self.connection = Connection(self.service)
        self.transport.set_protocol(self.connection)
        self.connection.connection_made(self.transport)

    def _answer(self, request):
        self.requests.append(request)
        return self.application(request)

    @property
    def targets(self):
        return [request.target for request in self.requests]

    async def send(self, *pieces):
        """Send one read each, then let the loop do what can be done."""
        for piece in pieces:
            self.transport.receive(piece)
        await settle()

    async def send_eof(self):
        self.transport.receive_eof()
        await settle()

    def replies(self, *methods):
        """Return what was answered since the last call."""
        data, self.transport.written = self.transport.written, bytearray()
        return parse_replies(data, *methods)

    @property
    def seconds_left(self):
        """Seconds until the connection's deadline."""
        return self.connection.deadline - self.service.loop.time()

    async def time_out(self):
        """Let the deadline pass."""
        self.connection.deadline = float("inf")
        self.connection.on_deadline(self.service.loop.time())
        await settle()

    async def lose(self, error=None):
        self.transport.lose(error)
        await settle()

    @property
    def is_idle(self):
        """True when the connection holds nothing of a request."""
        connection = self.connection
        held = ("_parser", "_current", "_waiting", "_working", "_refusal", "_upgrade")
        return not any(getattr(connection, name) for name in held)


async def settle():
    """Let everything happen that waits for no input."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(0)
        # Only the loop of the standard library is used here; nothing public
        # tells that a turn has scheduled no other one.
        if not loop._ready:
            return


@asynccontextmanager
async def connections():
    """Give a function that opens a connection to an application; check its end."""
    clients = []

    def open_connection(application, **options):
        client = Client(application, asyncio.get_running_loop(), **options)
        clients.append(client)
        return client

    yield open_connection
    for client in clients:
        await settle()
        client.transport.lose()
        await settle()
        client.service.heartbeat.close()
        assert client.transport.faults == []
        assert len(client.service.heartbeat) == 0


@pytest.fixture
async def connect():
    async with connections() as open_connection:
        yield open_connection


@pytest.fixture
async def transport():
    return FakeTransport(asyncio.get_running_loop())


@pytest.fixture(scope="session")
def on_fake():
    """Return a function that runs a scenario with ``connect``, for properties."""

    async def run(scenario):
        async with connections() as open_connection:
            await scenario(open_connection)

    return lambda scenario: asyncio.run(run(scenario))


@pytest.fixture
def tasks():
    """Return a function that counts the tasks beside the running one."""
    return lambda: len(asyncio.all_tasks() - {asyncio.current_task()})


@pytest.fixture
def collect():
    """Return a function that frees cycles, so that references can be counted."""
    return gc.collect


LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request):
    """Return a function that runs a coroutine on a loop of each kind."""

    def run_to_end(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(coroutine, 20))

    return run_to_end


HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Peer:
    """A browser on one WebSocket."""

    def __init__(self, client):
        self.client = client
        self.transport = client.transport
        self.websocket = None
        self.closes = []
        self._parser = FrameParser(masked=False, max_size=2**24, max_frame_size=2**24)

    async def open(self, setup=None, *, fields=b"", **options):
        def on_open(websocket):
            self.websocket = websocket
            websocket.on_close = lambda _, code, reason: self.closes.append(
                (code, reason)
            )
            return None if setup is None else setup(websocket)

        upgrade = Upgrade(on_open, **options)
        self.client.application = lambda _: Response(101, upgrade=upgrade)
        await self.client.send(HANDSHAKE[:-2] + fields + b"\r\n")
        end = self.transport.written.index(b"\r\n\r\n") + 4
        del self.transport.written[:end]
        return self.websocket

    async def send(self, *frames):
        await self.client.send(b"".join(frames))

    def frames(self):
        """Return what was sent since the last call, as opcode and payload."""
        data, self.transport.written = self.transport.written, bytearray()
        frames = []
        self._parser.feed(
            bytes(data),
            lambda message: frames.append(
                (1 if isinstance(message, str) else 2, message)
            ),
            lambda opcode, _, payload: frames.append((opcode, payload)),
        )
        return frames

    async def time_out(self):
        self.websocket.deadline = float("inf")
        self.websocket.on_deadline(self.client.service.loop.time())
        await self.client.send()

    @property
    def seconds_left(self):
        return self.websocket.deadline - self.client.service.loop.time()


@pytest.fixture(scope="session")
def peer_of():
    """Return what makes a browser of a client, for properties."""
    return Peer


@pytest.fixture
async def peer(connect):
    return Peer(connect(None))


@pytest.fixture
async def tls_peer(connect):
    return Peer(connect(None, is_tls=True))
