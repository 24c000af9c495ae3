"""Sockets and event streams on a site of the plugin tests, over loopback."""

import asyncio
import contextlib
import json
import socket

from websockets.asyncio.client import connect

from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.documents.streamitem import parse


class Live:
    """
    A site that listens.

    Attributes:
        site: what is served.
        port: of 127.0.0.1.
    """

    def __init__(self, site, port):
        self.site = site
        self.port = port
        self.stack = contextlib.AsyncExitStack()

    async def open(self, path="/page.html", host="localhost", **options):
        """Return a WebSocket; closed at the end of the test."""
        address = f"ws://{host}:{self.port}{path}"
        client = connect(address, proxy=None, **options)
        return Socket(await self.stack.enter_async_context(client))

    async def stream(self, path="/page.html", **fields):
        """Return status and reader of an event stream."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.stack.push_async_callback(closed, writer)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1]), reader


async def closed(writer):
    """Return when a connection is gone, whoever ended it."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Socket:
    """A WebSocket that knows items from replies."""

    def __init__(self, client):
        self.client = client

    async def ask(self, message):
        """Send a message and return what comes next, as an object."""
        text = message if isinstance(message, str | bytes) else json.dumps(message)
        await self.client.send(text)
        return await self.reply()

    async def reply(self):
        return json.loads(await self.text())

    async def subscribe(self, selector, url=None, action="subscribe"):
        message = {"action": action, "selector": selector}
        if url is not None:
            message["url"] = url
        return await self.ask(message)

    async def text(self):
        async with asyncio.timeout(20):
            return await self.client.recv()

    async def item(self):
        """Return the next item, parsed."""
        return parse(await self.text())

    async def closed(self):
        """Return the close code, once the server has closed."""
        async with asyncio.timeout(20):
            await self.client.wait_closed()
        return self.client.close_code


@contextlib.asynccontextmanager
async def listening(site):
    """Let a site listen on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    service = Service(site.hosts.handle, loop, site.hub.registry)
    server = await loop.create_server(lambda: HttpConnection(service), sock=listener)
    live = Live(site, listener.getsockname()[1])
    try:
        yield live
    finally:
        await live.stack.aclose()
        server.close()
        while len(service.heartbeat):
            for connection in service.heartbeat.connections():
                connection.abort()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        service.heartbeat.close()
