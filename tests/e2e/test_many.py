"""Many subscribers, many writers: complete, in order, the same for everybody."""

import asyncio
import re
import resource
import subprocess
import sys

import pytest
import websockets.asyncio.client

SUBSCRIBERS = 1000
EDITS = 100


async def http(port: int, requests: list[bytes]) -> list[bytes]:
    """Send requests one after the other on one connection; return the heads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heads = []
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if length:
            await reader.readexactly(int(length[1]))
    writer.close()
    await writer.wait_closed()
    return heads


def edit(method: str, path: str, selector: str, content: str) -> bytes:
    body = content.encode()
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Range: selector={selector}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def test_a_thousand_subscribers_get_a_hundred_edits_complete_and_in_order(
    server,
):
    url = f"ws://127.0.0.1:{server.port}/document.html"
    connect = websockets.asyncio.client.connect
    sockets: list[websockets.asyncio.client.ClientConnection] = []
    for _ in range(0, SUBSCRIBERS, 50):
        sockets += await asyncio.gather(
            *(connect(url, compression=None, ping_interval=None) for _ in range(50))
        )

    async def follow(socket) -> list[int]:
        items = [await socket.recv() for _ in range(EDITS)]
        return [int(re.search(r">item (\d+)<", item)[1]) for item in items]

    followers = [asyncio.create_task(follow(socket)) for socket in sockets]
    heads = await http(
        server.port,
        [
            edit("POST", "/document.html", "#list", f"<li>item {number}</li>")
            for number in range(EDITS)
        ],
    )
    assert all(head.startswith(b"HTTP/1.1 206 ") for head in heads)
    seen = await asyncio.gather(*followers)
    assert all(numbers == list(range(EDITS)) for numbers in seen)
    await asyncio.gather(*(socket.close() for socket in sockets))


async def test_twenty_writers_lose_no_edit_and_viewers_agree_on_the_order(server):
    url = f"ws://127.0.0.1:{server.port}/document.html"
    connect = websockets.asyncio.client.connect
    viewers = [await connect(url, compression=None) for _ in range(5)]
    answers = await asyncio.gather(
        *(
            http(
                server.port,
                [
                    edit("POST", "/document.html", "#list", f"<li>{writer}.{turn}</li>")
                    for turn in range(10)
                ],
            )
            for writer in range(20)
        )
    )
    heads = [head for answer in answers for head in answer]
    assert all(head.startswith(b"HTTP/1.1 206 ") for head in heads)
    revisions = sorted(int(re.search(rb'"(\d+)-', head)[1]) for head in heads)
    assert revisions == list(range(1, 201))
    orders = []
    for viewer in viewers:
        items = [await viewer.recv() for _ in range(200)]
        orders.append([re.search(r"<li>(.*?)</li>", item)[1] for item in items])
        await viewer.close()
    assert all(order == orders[0] for order in orders)
    in_file = re.findall(rb"<li>(\d+\.\d+)</li>", server.read("document.html"))
    assert [text.decode() for text in in_file] == orders[0]
    for writer in range(20):
        own = [text for text in orders[0] if text.startswith(f"{writer}.")]
        assert own == [f"{writer}.{turn}" for turn in range(10)]


TOPIC_PROGRAM = """
import asyncio, resource, beamfast

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
server = beamfast.Server(port=0)

@server.websocket("/follow")
def follow(websocket):
    server.hub.subscribe(websocket, "news")

@server.websocket("/publish")
async def publish(websocket):
    async for text in websocket:
        await websocket.send(str(server.hub.publish("news", text)))

async def main():
    async with server:
        print(server.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
REQUEST = (
    b"GET /follow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Follower(asyncio.Protocol):
    """A bare client that keeps what comes behind the handshake."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.received = bytearray()
        loop = asyncio.get_running_loop()
        self.opened, self.complete = loop.create_future(), loop.create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.opened.done() and b"\r\n\r\n" in self.received:
            assert self.received.startswith(b"HTTP/1.1 101 ")
            del self.received[: self.received.index(b"\r\n\r\n") + 4]
            self.opened.set_result(None)
        if len(self.received) == self.wanted:
            self.complete.set_result(None)


@pytest.fixture
def many_descriptors():
    """As many as this process may have; and as many as before, afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_descriptors")
async def test_164_ten_thousand_sockets_get_each_message_in_order():
    messages = [str(number) * 1024 for number in range(3)]
    frames = b"".join(b"\x81\x7e\x04\x00" + one.encode() for one in messages)
    command = [sys.executable, "-c", TOPIC_PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            port = int(url.rsplit(":", 1)[1])
            loop, followers = asyncio.get_running_loop(), []
            for _ in range(100):
                made = [
                    loop.create_connection(
                        lambda: Follower(len(frames)), "127.0.0.1", port
                    )
                    for _ in range(100)
                ]
                followers += [one for _, one in await asyncio.gather(*made)]
            for follower in followers:
                await follower.opened
            address = f"ws://127.0.0.1:{port}/publish"
            async with websockets.asyncio.client.connect(address) as publisher:
                for message in messages:
                    await publisher.send(message)
                    assert await publisher.recv() == "10000"
            for follower in followers:
                await follower.complete
                assert follower.received == frames
                follower.transport.abort()
        finally:
            process.terminate()
