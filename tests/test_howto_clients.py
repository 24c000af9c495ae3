"""The programs of the page about clients, run as they stand there."""

import asyncio
import re
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from beamfast._fanout import TopicRegistry
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import EventStream, Response, Upgrade

PAGE = Path(__file__).parent.parent / "docs/howto/clients.md"
CERTIFICATE = Path(__file__).parent / "data" / "localhost.pem"


def program(title):
    """Return the code under a heading."""
    section = PAGE.read_text("utf-8").partition(f"\n## {title}\n")[2]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


async def twice(websocket):
    async for message in websocket:
        await websocket.send(message)
        if message == "hello":
            await websocket.send("2")
        if isinstance(message, bytes):
            await websocket.send("3")


async def two_and_break(websocket):
    await websocket.send("a")
    await websocket.send("b")


async def events(source):
    await source.send("1", event="count", id="7")
    await source.send("done")
    await source.wait_closed()


def answer(request):
    if not request.is_websocket:
        return Response(200, stream=EventStream(events))
    handler = two_and_break if request.path == "/break" else twice
    chosen = "amqp" if "sec-websocket-protocol" in request.headers else None
    return Response(101, upgrade=Upgrade(handler, subprotocol=chosen))


async def tunnel(reader, writer):
    """Be a proxy for one connection."""

    async def forward(source, target):
        while data := await source.read(65536):
            target.write(data)
        target.close()

    head = await reader.readuntil(b"\r\n\r\n")
    port = int(head.split()[1].rpartition(b":")[2])
    there = await asyncio.open_connection("localhost", port)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.gather(forward(reader, there[1]), forward(there[0], writer))


@pytest.fixture(scope="module")
def ports():
    """Ports of a server, of one with TLS, and of a proxy."""
    ready, box = threading.Event(), {}

    async def run():
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        service = Service(answer, loop, TopicRegistry(loop))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        servers = [
            await loop.create_server(
                lambda: HttpConnection(service), "127.0.0.1", 0, ssl=tls
            )
            for tls in (None, context)
        ]
        servers.append(await asyncio.start_server(tunnel, "127.0.0.1", 0))
        box["ports"] = [one.sockets[0].getsockname()[1] for one in servers]
        box["stop"] = lambda: loop.call_soon_threadsafe(stop.set)
        ready.set()
        await stop.wait()
        for server in servers:
            server.close()
        await service.cancel_handlers()
        for connection in service.heartbeat.connections():
            connection.abort()
        service.heartbeat.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    yield box["ports"]
    box["stop"]()
    thread.join(20)


def run(title, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program(title), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_send_and_receive(ports):
    assert run("Send and receive", f"ws://127.0.0.1:{ports[0]}/") == "hello\n2\n"


def test_say_who_you_are(ports):
    output = run("Say who you are", f"ws://127.0.0.1:{ports[0]}/")
    assert output == "amqp websocket\n"


def test_certificates_and_proxies(ports):
    output = run(
        "Certificates and proxies",
        f"wss://localhost:{ports[1]}/",
        str(CERTIFICATE),
        f"http://127.0.0.1:{ports[2]}",
    )
    assert output == "through the proxy\n"


def test_receive_a_long_message_in_pieces(ports, tmp_path):
    file = tmp_path / "received"
    url = f"ws://127.0.0.1:{ports[0]}/"
    assert run("Receive a long message in pieces", url, str(file)) == ""
    assert file.read_bytes() == b"all of it"


def test_come_back_after_a_break(ports):
    output = run("Come back after a break", f"ws://127.0.0.1:{ports[0]}/break")
    assert output == "a\nb\na\nb\n"


def test_use_callbacks(ports):
    output = run("Use callbacks", f"ws://127.0.0.1:{ports[0]}/")
    assert output == "hello\n2\nclosed with 4000\n"


def test_without_asyncio(ports):
    output = run("Without asyncio", f"ws://127.0.0.1:{ports[0]}/")
    assert re.fullmatch(r"hello\n[0-9.]+ ms\n", output)


def test_follow_an_event_stream(ports):
    output = run("Follow an event stream", f"http://127.0.0.1:{ports[0]}/")
    assert output == "count 1 7\nmessage done 7\n"
