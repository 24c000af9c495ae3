"""The few cases where a real socket matters, on the loops of both kinds."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from beamfast._fanout import TopicRegistry
from beamfast._frames import FrameParser, build_frame
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import EventStream, Response, Upgrade
from beamfast.protocol.eventsource import encode, encode_retry
from beamfast.pubsub.hub import Hub

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = GET.replace(b"Host", b"Accept: text/event-stream\r\nHost")
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LARGE = 4 * 2**20


class Connection(HttpConnection):
    @property
    def unsent(self):
        """Bytes that the client has not read."""
        return self._transport.get_write_buffer_size()


class Site:
    """An application with one of everything."""

    def __init__(self, service_loop):
        self.hub = Hub(service_loop)
        self.closed = []
        self.broken_off = asyncio.Event()

    def __call__(self, request):
        if request.is_websocket:
            return Response(101, upgrade=Upgrade(self.open_websocket, max_size=2**16))
        if request.accepts_event_stream:
            return Response(200, stream=EventStream(self.open_stream))
        if request.target == "/large":
            return Response(200, b"x" * LARGE)
        if request.target == "/endless":
            return Response(200, self.endless())
        return self.echo(request)

    async def echo(self, request):
        return Response(200, await request.body())

    async def endless(self):
        try:
            while True:
                yield b"x" * 2**16
        finally:
            self.broken_off.set()

    def open_websocket(self, websocket):
        websocket.on_message = websocket.send
        websocket.on_close = lambda *about: self.closed.append(about[1:])
        self.hub.subscribe(websocket, "topic", lambda text: build_frame(1, text))

    def open_stream(self, source):
        source.on_close = lambda _: self.closed.append("stream")
        self.hub.subscribe(source, "topic", encode)


@asynccontextmanager
async def serving():
    loop = asyncio.get_running_loop()
    site = Site(loop)
    registry: TopicRegistry = site.hub.registry
    service = Service(site, loop, registry)
    server = await loop.create_server(
        lambda: Connection(service), "127.0.0.1", 0, reuse_address=True
    )
    try:
        yield site, service, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in service.heartbeat.connections():
            connection.abort()
        while len(service.heartbeat):
            await asyncio.sleep(0.001)
        service.heartbeat.close()


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_head(reader):
    return await reader.readuntil(b"\r\n\r\n")


async def read_answer(reader):
    head = await read_head(reader)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def read_frames(reader, parser, wanted):
    frames = []
    while len(frames) < wanted and (data := await reader.read(2**16)):
        parser.feed(data, frames.append, lambda *frame: frames.append(frame))
    return frames


def test_requests_in_a_row_and_in_a_pipeline(run):
    async def scenario():
        async with serving() as (_, _, port), connected(port) as (reader, writer):
            put = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
            body = b"x" * 300_000
            writer.write(put % len(body) + body + put % 2 + b"hi" + GET)
            assert await read_answer(reader) == body
            assert await read_answer(reader) == b"hi"
            assert await read_answer(reader) == b""
            writer.write(put % 2 + b"ho")
            assert await read_answer(reader) == b"ho"

    run(scenario())


def test_a_half_closed_client_reads_its_answers_and_the_end(run):
    async def scenario():
        async with serving() as (_, _, port), connected(port) as (reader, writer):
            writer.write(GET * 3)
            writer.write_eof()
            data = await reader.read()
            assert data.count(b"HTTP/1.1 200 OK") == 3

    run(scenario())


def test_a_slow_client_gets_a_large_answer_whole(run):
    async def scenario():
        async with serving() as (_, service, port):
            loop = asyncio.get_running_loop()
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.setblocking(False)
                await loop.sock_connect(client, ("127.0.0.1", port))
                head = GET.replace(b"GET /", b"GET /large").replace(b"1.1", b"1.0")
                await loop.sock_sendall(client, head)
                size = unsent = deadlines = 0
                while data := await loop.sock_recv(client, 2**16):
                    size += len(data)
                    for connection in service.heartbeat.connections():
                        before, unsent = unsent, connection.unsent
                        # The deadline passes again and again while it reads.
                        if 0 < unsent != before:
                            connection.on_deadline(loop.time())
                            deadlines += 1
                assert size > LARGE
                assert deadlines > 0

    run(scenario())


def test_a_refused_client_can_read_why_while_it_still_writes(run):
    async def scenario():
        async with serving() as (_, _, port), connected(port) as (reader, writer):
            writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert (await read_head(reader)).startswith(b"HTTP/1.1 400 ")
            writer.write(b"x" * 100_000)
            assert await reader.read(100) != b""

    run(scenario())


def test_a_stream_ends_when_its_client_vanishes(run):
    async def scenario():
        async with serving() as (site, service, port):
            async with connected(port) as (reader, writer):
                writer.write(GET.replace(b"GET /", b"GET /endless"))
                await reader.readexactly(2**20)
                writer.transport.abort()
            await site.broken_off.wait()
            while len(service.heartbeat):
                await asyncio.sleep(0.001)

    run(scenario())


def test_messages_come_back_in_order_with_publications(run):
    async def scenario():
        async with serving() as (site, _, port), connected(port) as (reader, writer):
            writer.write(HANDSHAKE + build_frame(1, "0", mask=b"mask"))
            head = await read_head(reader)
            assert head.startswith(b"HTTP/1.1 101 ")
            parser = FrameParser(masked=False)
            assert await read_frames(reader, parser, 1) == ["0"]
            for number in range(1, 100):
                site.hub.publish("topic", str(number))
            frames = await read_frames(reader, parser, 99)
            assert frames == [str(number) for number in range(1, 100)]
            writer.write(build_frame(8, b"\x03\xe8bye", mask=b"mask"))
            assert await read_frames(reader, parser, 1) == [(8, 0, b"\x03\xe8")]
            assert await reader.read() == b""
            while not site.closed:
                await asyncio.sleep(0.001)
            assert site.closed == [(1000, "bye")]

    run(scenario())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff" * 8 * 2**20, 1002),
        (build_frame(2, bytes(8 * 2**20), mask=b"mask"), 1009),
    ],
    ids=["garbage", "too big"],
)
def test_who_breaks_the_protocol_reads_why_while_it_still_writes(run, data, code):
    async def scenario():
        async with serving() as (_, _, port), connected(port) as (reader, writer):
            writer.write(HANDSHAKE)
            await read_head(reader)
            writer.write(data)
            frames = await read_frames(reader, FrameParser(masked=False), 1)
            assert [frame[2][:2] for frame in frames] == [code.to_bytes(2, "big")]

    run(scenario())


def test_an_event_stream_gets_what_is_published_and_ends(run):
    async def scenario():
        async with serving() as (site, service, port):
            async with connected(port) as (reader, writer):
                writer.write(STREAM)
                await read_head(reader)
                beginning = encode_retry(5.0)
                assert await reader.readexactly(len(beginning)) == beginning
                for number in range(100):
                    site.hub.publish("topic", str(number))
                expected = b"".join(encode(str(number)) for number in range(100))
                assert await reader.readexactly(len(expected)) == expected
                for connection in service.heartbeat.connections():
                    connection.on_drain()
                assert await reader.read() == beginning
            while not site.closed:
                await asyncio.sleep(0.001)
            assert site.closed == ["stream"]

    run(scenario())


def test_websocket_on_a_socket_pair_says_goodbye_when_the_server_stops(run):
    async def scenario():
        loop = asyncio.get_running_loop()
        site = Site(loop)
        service = Service(site, loop, site.hub.registry)
        ours, theirs = socket.socketpair()
        await loop.connect_accepted_socket(lambda: HttpConnection(service), ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        writer.write(HANDSHAKE)
        await read_head(reader)
        for connection in service.heartbeat.connections():
            connection.on_drain()
        parser = FrameParser(masked=False)
        goodbye = b"\x03\xe9server stops"
        assert await read_frames(reader, parser, 1) == [(8, 0, goodbye)]
        writer.write(build_frame(8, b"\x03\xe9", mask=b"mask"))
        assert await reader.read() == b""
        writer.close()
        while len(service.heartbeat):
            await asyncio.sleep(0.001)
        service.heartbeat.close()
        assert site.closed == [(1001, "")]

    run(scenario())
