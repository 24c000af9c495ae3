"""
Reloads under load: no socket is lost, no request fails, no edit is lost.

A short form; ``nox -s kill`` runs 50 reloads with 1,000 sockets and 200 requests a
second, and every fifth configuration is broken.
"""

import asyncio
import contextlib
import os
import signal
import sys

import pytest
import websockets.asyncio.client

RELOADS = int(os.environ.get("BEAMFAST_RELOADS", "5"))
SOCKETS = int(os.environ.get("BEAMFAST_SOCKETS", "20"))
#: Requests per second, over so many connections.
RATE = 200
CONNECTIONS = 4

CONFIG = """
[[host]]
names = ["localhost", "127.0.0.1"]
root = "site"
server_header = "{number}"
{broken}
plugins = ["websocket", "selector-handler", "file-handler"]
"""


class Requests:
    """Asks over one connection, again and again, for as long as it is allowed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_over = False
        self.heads: list[bytes] = []

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.closing(writer):
            while not self.is_over:
                writer.write(b"GET /document.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split()[0])
                await reader.readexactly(length)
                self.heads.append(head)
                await asyncio.sleep(CONNECTIONS / RATE)


async def receive(socket, seen: list[str]) -> None:
    async for item in socket:
        seen.append(item)  # noqa: PERF401 - others look at it meanwhile


@pytest.mark.timeout(900)
async def test_reloads_under_load_lose_nothing(serve, site, monkeypatch):
    monkeypatch.chdir(site.parent)
    file = site.parent / "site.toml"
    file.write_text(CONFIG.format(number="start", broken=""))
    server = serve("--workers", "2", "--verbose", root=file)
    url = f"ws{server.url[4:]}/document.html"
    seen: list[list[str]] = [[] for _ in range(SOCKETS)]
    async with contextlib.AsyncExitStack() as stack:
        sockets = []
        for _ in range(SOCKETS):
            connect = websockets.asyncio.client.connect(url, open_timeout=60)
            sockets.append(await stack.enter_async_context(connect))
        followers = [
            asyncio.create_task(receive(socket, items))
            for socket, items in zip(sockets, seen, strict=True)
        ]
        clients = [Requests(server.port) for _ in range(CONNECTIONS)]
        asking = [asyncio.create_task(client.run()) for client in clients]
        statuses = []
        for number in range(RELOADS):
            is_broken = number % 5 == 4
            broken = "colour = 1" if is_broken else ""
            file.write_text(CONFIG.format(number=number, broken=broken))
            server.process.send_signal(signal.SIGHUP)
            edit = asyncio.to_thread(
                server.edit, "PUT", "/document.html", "h1", f"<h1>edit {number}</h1>"
            )
            outcome = "stays as it was" if is_broken else "reloaded successfully"
            waiting = asyncio.to_thread(server.wait_for_line, outcome)
            status, _ = await asyncio.gather(edit, waiting)
            statuses.append(status)
        async with asyncio.timeout(120):
            while any(len(items) < RELOADS for items in seen):
                await asyncio.sleep(0.05)
        for client in clients:
            client.is_over = True
        await asyncio.gather(*asking)
        assert not any(task.done() for task in followers)
        for task in followers:
            task.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
    assert statuses == [206] * RELOADS
    heads = [head for client in clients for head in client.heads]
    assert all(head.startswith(b"HTTP/1.1 200 ") for head in heads)
    for items in seen:
        assert len(items) == RELOADS
        for number, item in enumerate(items):
            assert f"edit {number}" in item
    figures = f"{RELOADS} reloads, {SOCKETS} sockets, {len(heads)} requests"
    sys.stdout.write(f"{figures}: none failed\n")
