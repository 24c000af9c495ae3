"""Real sockets between the drivers and two other implementations, both ways."""

import asyncio
import contextlib

import aiohttp
import aiohttp.web
import picows
import pytest

from beamfast.protocol.client import ClientDriver
from beamfast.protocol.deflate import PerMessageDeflate
from beamfast.protocol.events import Closed, Opened, Pong, Requested
from beamfast.protocol.server import ServerDriver

TEXTS = ["höre", "", "x" * 126, "<li>One</li>" * 10_000]
BINARIES = [b"\x00\xff", b"", bytes(range(256)) * 300]
MESSAGES = [*TEXTS, *BINARIES]


class Echo(asyncio.Protocol):
    """Our server: it echoes, and keeps its events."""

    def __init__(self, served):
        served.append(self)
        self.events = []
        self.driver = ServerDriver(extensions=[PerMessageDeflate()])

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.driver.receive_data(data)
        for event in self.driver.events_received():
            self.events.append(event)
            match event:
                case Requested():
                    self.driver.accept()
                case str():
                    self.driver.send_text(event)
                case bytes():
                    self.driver.send_binary(event)
        self.events += self.driver.events_received()
        self.transport.writelines(self.driver.data_to_send())
        if self.driver.close_expected():
            self.transport.close()


@contextlib.asynccontextmanager
async def our_server(served):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Echo(served), "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def our_client(url, messages):
    """Send each message, wait for its echo, ping, close; return all events."""
    driver = ClientDriver(url, extensions=[PerMessageDeflate()])
    host, port = url.removeprefix("ws://").strip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    driver.start()
    queue = [*messages]
    events = []
    while True:
        writer.writelines(driver.data_to_send())
        data = await reader.read(2**16)
        if data:
            driver.receive_data(data)
        else:
            driver.receive_eof()
        for event in driver.events_received():
            events.append(event)
            match event:
                case Pong():
                    driver.send_close(4000, "bye")
                case Opened() | str() | bytes() if queue:
                    message = queue.pop(0)
                    if isinstance(message, str):
                        driver.send_text(message)
                    else:
                        driver.send_binary(message)
                case str() | bytes():
                    driver.send_ping(b"beam")
        if not data:
            break
    writer.close()
    await writer.wait_closed()
    return events


async def test_aiohttp_client_talks_to_our_server():
    served = []
    async with our_server(served) as url, aiohttp.ClientSession() as session:
        async with session.ws_connect(url, compress=15, max_msg_size=0) as websocket:
            assert websocket.compress == 15
            for text in TEXTS:
                await websocket.send_str(text)
                assert await websocket.receive_str() == text
            for data in BINARIES:
                await websocket.send_bytes(data)
                assert await websocket.receive_bytes() == data
            await websocket.close(code=4000, message=b"bye")
        assert websocket.close_code == 4000
    (connection,) = served
    assert connection.events[2:] == [*MESSAGES, Closed(4000, "bye", True, "remote")]


class PicowsEcho(picows.WSListener):
    """Echoes as a server; as a client it sends one message after the other."""

    def __init__(self, queue=None):
        self.queue = queue
        self.received = []

    def on_ws_connected(self, transport):
        if self.queue is not None:
            self.send_next(transport)

    def on_ws_frame(self, transport, frame):
        payload = frame.get_payload_as_bytes()
        match frame.msg_type:
            case picows.WSMsgType.TEXT | picows.WSMsgType.BINARY:
                if self.queue is None:
                    transport.send(frame.msg_type, payload)
                else:
                    text = frame.msg_type == picows.WSMsgType.TEXT
                    self.received.append(payload.decode() if text else payload)
                    self.send_next(transport)
            case picows.WSMsgType.CLOSE:
                self.received.append(frame.get_close_code())
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    def send_next(self, transport):
        if not self.queue:
            transport.send_close(4000, b"bye")
            return
        message = self.queue.pop(0)
        if isinstance(message, str):
            transport.send(picows.WSMsgType.TEXT, message.encode())
        else:
            transport.send(picows.WSMsgType.BINARY, message)


async def test_picows_client_talks_to_our_server():
    served = []
    async with our_server(served) as url:
        transport, listener = await picows.ws_connect(
            lambda: PicowsEcho([*MESSAGES]), url
        )
        await transport.wait_disconnected()
    assert listener.received == [*MESSAGES, 4000]
    (connection,) = served
    assert connection.events[2:] == [*MESSAGES, Closed(4000, "bye", True, "remote")]


@contextlib.asynccontextmanager
async def aiohttp_server():
    async def handle(request):
        websocket = aiohttp.web.WebSocketResponse(max_msg_size=0)
        await websocket.prepare(request)
        async for message in websocket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await websocket.send_str(message.data)
            else:
                await websocket.send_bytes(message.data)
        return websocket

    application = aiohttp.web.Application()
    application.router.add_get("/", handle)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@contextlib.asynccontextmanager
async def picows_server():
    server = await picows.ws_create_server(lambda _: PicowsEcho(), "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize(
    ("peer", "extensions", "code"),
    # aiohttp answers 4000 with a code of its own, which is what is reported.
    [(aiohttp_server, ("permessage-deflate",), 1000), (picows_server, (), 4000)],
    ids=["aiohttp", "picows"],
)
async def test_our_client_talks_to_another_server(peer, extensions, code):
    async with peer() as url:
        events = await our_client(url, MESSAGES)
    assert events == [
        Opened("hybi-13", None, extensions),
        *MESSAGES,
        Pong(b"beam", (b"beam",)),
        Closed(code, "", True, "local"),
    ]
