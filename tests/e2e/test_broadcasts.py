"""Compressed broadcasts and slow readers, with the clients that people use."""

import asyncio
import re
import socket
import zlib

import aiohttp
import pytest
import websockets.asyncio.client

EDITS = 100


@pytest.fixture
def compressing(serve, configure):
    """A server that compresses streams, and bears with few waiting items."""
    waiting = {"broadcast_buffer_size": "20"}
    plugins = {
        "Compression": {},
        "WebSocket": waiting,
        "EventSource": waiting,
        "SelectorHandler": {},
        "FileHandler": {},
    }
    return serve(root=configure(plugins))


async def post(session, server, number, filling=""):
    content = f"<li id=n{number}>item {number}{filling}</li>"
    async with session.post(
        f"{server.url}/document.html",
        data=content,
        headers={"Range": "selector=#list", "Content-Type": "text/html"},
    ) as answer:
        assert answer.status == 206


async def take(receive, count=EDITS):
    texts = []
    while len(texts) < count:
        texts += re.findall(r">item (\d+)", await receive())
    return [int(text) for text in texts]


async def test_clients_with_and_without_compression_read_the_same(compressing):
    """Some join in the middle of a window and wait until it begins anew."""
    server = compressing
    url = f"ws://127.0.0.1:{server.port}/document.html"
    async with aiohttp.ClientSession() as session:
        one = await websockets.asyncio.client.connect(url)
        plain = await websockets.asyncio.client.connect(url, compression=None)
        other = await session.ws_connect(url, compress=15)
        assert "permessage-deflate" in one.response.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in plain.response.headers
        assert other.compress
        everything = range(EDITS)
        readers = [
            asyncio.create_task(take(receive))
            for receive in (one.recv, plain.recv, other.receive_str)
        ]
        late = []
        for number in everything:
            if number % 20 == 10:
                client = await websockets.asyncio.client.connect(url)
                task = asyncio.create_task(take(client.recv, EDITS - number))
                late.append((number, client, task))
            await post(session, server, number)
        for reader in readers:
            assert await reader == list(everything)
        for number, client, task in late:
            assert await task == list(range(number, EDITS))
            await client.close()
        for client in (one, plain, other):
            await client.close()


async def read_stream(server):
    """Ask for an event stream with gzip; return how to close and how to read it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /document.html HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Accept: text/event-stream\r\nAccept-Encoding: gzip, br\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head.lower()
    assert b"vary: accept-encoding" in head.lower()
    client = zlib.decompressobj(31)

    async def receive():
        data = await reader.read(65536)
        assert data
        return client.decompress(data).decode()

    return writer, receive


async def test_event_streams_are_compressed_once_for_all(compressing):
    server = compressing
    async with aiohttp.ClientSession() as session:
        streams = [await read_stream(server) for _ in range(3)]
        readers = [asyncio.create_task(take(receive)) for _, receive in streams]
        late = []
        for number in range(EDITS):
            if number % 40 == 20:
                writer, receive = await read_stream(server)
                streams.append((writer, receive))
                late.append(
                    (number, asyncio.create_task(take(receive, EDITS - number)))
                )
            await post(session, server, number)
        for reader in readers:
            assert await reader == list(range(EDITS))
        for number, task in late:
            assert await task == list(range(number, EDITS))
        for writer, _ in streams:
            writer.close()


@pytest.mark.system("curl")
async def test_curl_reads_a_compressed_stream_as_it_comes(compressing, program):
    server = compressing
    process = await asyncio.create_subprocess_exec(
        program("curl"),
        *("-sSN", "--compressed", "--noproxy", "*", "--max-time", "60"),
        *("-H", "Accept: text/event-stream", f"{server.url}/document.html"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = b""
    while not line.startswith(b"id:"):
        line = await process.stdout.readline()
    async with aiohttp.ClientSession() as session:
        for number in range(10):
            await post(session, server, number)
            line = b""
            while b">item %d<" % number not in line:
                line = await process.stdout.readline()
    process.terminate()
    await process.communicate()


@pytest.mark.system("chromium")
def test_a_browser_reads_both_compressed(compressing, browser):
    tab = browser.open(f"{compressing.url}/document.html")
    assert tab.evaluate(
        """(async () => {
          window.items = {socket: [], stream: []};
          const note = kind => event =>
            window.items[kind].push(event.data.match(/>item (\\d+)/)?.[1]);
          const socket = new WebSocket(location.href.replace(/^http/, "ws"));
          socket.onmessage = note("socket");
          const stream = new EventSource(location.href);
          stream.onmessage = note("stream");
          // Either may be the first.
          await Promise.all([socket, stream].map(
            one => new Promise(resolve => { one.onopen = resolve; })
          ));
          return socket.extensions;
        })()"""
    ).startswith("permessage-deflate")
    for number in range(30):
        content = f"<li>item {number}</li>"
        assert compressing.edit("POST", "/document.html", "#list", content) == 206
    tab.wait_for(
        "window.items.socket.length === 30 && window.items.stream.length === 30"
    )
    expected = ",".join(map(str, range(30)))
    assert tab.evaluate("window.items.socket.join()") == expected
    assert tab.evaluate("window.items.stream.join()") == expected


def narrow_socket(server):
    """Return a socket that takes little in advance."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", server.port))
    sock.setblocking(False)
    return sock


async def test_a_reader_that_was_too_slow_gets_the_document(compressing):
    server = compressing
    loop = asyncio.get_running_loop()
    filling = " " + "x" * 20_000
    with narrow_socket(server) as sock:
        await loop.sock_sendall(
            sock,
            b"GET /document.html HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Accept: text/event-stream\r\n\r\n",
        )
        async with aiohttp.ClientSession() as session:
            for number in range(100):
                await post(session, server, number, filling)
                async with session.delete(
                    f"{server.url}/document.html",
                    headers={"Range": f"selector=#n{number}"},
                ) as answer:
                    assert answer.status < 300
            received = b""
            while b"event: reset" not in received or received[-4:] != b"\r\n\r\n":
                received += await loop.sock_recv(sock, 1 << 20)
            assert received.count(b"event: reset") == 1
            assert received.count(b"data: ") < 100
            assert re.findall(rb"\bid: (\d+)-", received)[-1] == b"200"
            await post(session, server, 100)
            while b">item 100<" not in received:
                received += await loop.sock_recv(sock, 1 << 20)


async def test_a_plain_socket_that_was_too_slow_is_closed_with_1013(compressing):
    server = compressing
    with narrow_socket(server) as sock:
        url = f"ws://127.0.0.1:{server.port}/document.html"
        async with (
            aiohttp.ClientSession() as session,
            websockets.asyncio.client.connect(
                url, sock=sock, max_queue=1, ping_interval=None
            ) as client,
        ):
            client.transport.pause_reading()
            for number in range(200):
                filling = "".join(map(chr, range(300, 9000)))
                await post(session, server, number, filling)
                async with session.delete(
                    f"{server.url}/document.html",
                    headers={"Range": f"selector=#n{number}"},
                ):
                    pass
                if "too slow" in str(server.lines):
                    break
            client.transport.resume_reading()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    await client.recv()
            assert closed.value.rcvd is None or closed.value.rcvd.code == 1013
