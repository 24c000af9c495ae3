"""
Kill the server at random moments, under load: what was answered is there, once.

Sixteen writers add numbered items to four pages and send an item again, under the
same ``Idempotency-Key``, until it is answered. Thirty-two readers follow the pages,
half over EventSource, half over WebSocket, and resume where they were. The seed is
printed with the figures; ``nox -s kill`` plays 200 rounds.
"""

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
from collections import Counter

import websockets.asyncio.client
from websockets.exceptions import WebSocketException

ROUNDS = int(os.environ.get("BEAMFAST_KILLS", "10"))
SEED = int(os.environ.get("BEAMFAST_SEED", "20260102"))
PAGES = [f"/{name}.html" for name in ("one", "two", "three", "four")]
PAGE = "<!DOCTYPE html><title>t</title><ul id=l></ul>\n"
ITEM = re.compile(r"<li>([\w-]+)</li>")
PATIENCE = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Writer:
    """Adds items, each until it is answered."""

    def __init__(self, number, port, dice):
        self.number, self.port, self.dice = number, port, dice
        self.answered = Counter()
        self.again = 0

    async def run(self, stopping):
        count = 0
        while not stopping.is_set():
            page = self.dice.choice(PAGES)
            name = f"{self.number}-{count}"
            await self.add(page, name)
            self.answered[page, name] += 1
            count += 1

    async def add(self, page, name):
        body = f"<li>{name}</li>".encode()
        head = (
            f"POST {page} HTTP/1.1\r\nHost: localhost\r\nRange: selector=#l\r\n"
            f"Idempotency-Key: {name}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self.port, limit=2**24
                )
                try:
                    writer.write(head.encode() + body)
                    status = (await reader.readuntil(b"\r\n")).split(b" ")[1]
                finally:
                    writer.close()
                assert status in (b"206", b"503"), status
                if status == b"206":
                    return
            self.again += 1
            await asyncio.sleep(0.02)


class Reader:
    """Follows a page, and knows which items it has."""

    def __init__(self, page, port):
        self.page, self.port = page, port
        self.version = None
        self.items = []
        self.resets = self.comings = 0

    async def run(self):
        while True:
            self.comings += 1
            with contextlib.suppress(
                OSError, WebSocketException, asyncio.IncompleteReadError
            ):
                if self.version is None:
                    await self.load()
                await self.follow()
            await asyncio.sleep(0.02)

    async def load(self):
        """Get the page, as a browser does before it follows it."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, limit=2**24
        )
        try:
            head = "Host: localhost\r\nConnection: close\r\n\r\n"
            writer.write(f"GET {self.page} HTTP/1.1\r\n{head}".encode())
            answer = (await reader.read()).decode()
        finally:
            writer.close()
        if tag := re.search(r'^etag: "(.*)"\r$', answer, re.IGNORECASE | re.MULTILINE):
            self.items, self.version = ITEM.findall(answer), tag[1]

    def take(self, text, version):
        """Apply one stream item."""
        if ">RESET<" in text:
            self.resets += 1
            text = text.replace("&lt;", "<").replace("&gt;", ">")
            self.items = ITEM.findall(text)
        elif ">POST<" in text:
            before = int(self.version.partition("-")[0])
            assert int(version.partition("-")[0]) == before + 1
            self.items += ITEM.findall(text)
        self.version = version


class StreamReader(Reader):
    async def follow(self):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, limit=2**24
        )
        try:
            last = f"Last-Event-ID: {self.version}\r\n"
            head = (
                f"GET {self.page} HTTP/1.1\r\nHost: localhost\r\n{last}"
                "Accept: text/event-stream\r\n\r\n"
            )
            writer.write(head.encode())
            await reader.readuntil(b"\r\n\r\n")
            while True:
                event = (await reader.readuntil(b"\r\n\r\n")).decode()
                event = event.replace("\r", "")
                fields = dict(re.findall(r"^(\w+): (.*)$", event, re.MULTILINE))
                data = "\n".join(re.findall(r"^data: (.*)$", event, re.MULTILINE))
                if "id" in fields:
                    self.take(data, fields["id"])
        finally:
            writer.close()


class SocketReader(Reader):
    async def follow(self):
        since = f"?since={self.version}"
        async with websockets.asyncio.client.connect(
            f"ws://127.0.0.1:{self.port}{self.page}{since}",
            subprotocols=["beam.v1"],
            compression=None,
            proxy=None,
            max_size=None,
        ) as viewer:
            async for text in viewer:
                found = re.search(r'itemprop="version">([^<]+)<', text)
                self.take(text, found[1])


async def rounds(serve, site, port, dice):
    stopping = asyncio.Event()
    writers = [Writer(number, port, dice) for number in range(16)]
    readers = [
        (StreamReader if number % 2 else SocketReader)(PAGES[number // 2 % 4], port)
        for number in range(32)
    ]
    server = await asyncio.to_thread(serve, "--port", str(port), "--workers", "0")
    writing = [asyncio.create_task(one.run(stopping)) for one in writers]
    reading = [asyncio.create_task(one.run()) for one in readers]
    for _ in range(ROUNDS):
        await asyncio.sleep(dice.uniform(0.05, 0.6))
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        torn = [page for page in PAGES if not is_whole((site / page[1:]).read_text())]
        assert torn == []
        server = await asyncio.to_thread(serve, "--port", str(port), "--workers", "0")
    await asyncio.sleep(0.2)
    stopping.set()
    await asyncio.gather(*writing)
    pages = {page: (await asyncio.to_thread(text_of, server, page)) for page in PAGES}
    async with asyncio.timeout(PATIENCE):
        while any(one.items != ITEM.findall(pages[one.page]) for one in readers):
            failed = [task for task in reading if task.done()]
            assert not failed, failed[0].exception()
            await asyncio.sleep(0.02)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    await asyncio.to_thread(server.stop)
    return writers, readers, pages


def is_whole(text):
    """Return True for a page as some revision of it was."""
    items = "".join(f"<li>{name}</li>" for name in ITEM.findall(text))
    return text == PAGE.replace("</ul>", f"{items}</ul>")


def text_of(server, page):
    return server.request("GET", page)[2].decode()


async def test_what_was_answered_survives_being_killed(serve, site):
    for page in PAGES:
        (site / page[1:]).write_text(PAGE)
    dice = random.Random(SEED)
    writers, readers, pages = await rounds(serve, site, free_port(), dice)
    answered = Counter()
    for writer in writers:
        answered += writer.answered
    stored = Counter(
        (page, name) for page, text in pages.items() for name in ITEM.findall(text)
    )
    lost, twice = answered - stored, stored - answered
    print(  # noqa: T201 - the figures are the result
        f"seed {SEED}: {ROUNDS} kills, {len(answered)} edits answered, "
        f"{sum(one.again for one in writers)} sent again, {len(lost)} lost, "
        f"{len(twice)} doubled; {len(readers)} readers came "
        f"{sum(one.comings for one in readers)} times, "
        f"{sum(one.resets for one in readers)} resets"
    )
    assert not lost
    assert not twice
    for page, text in pages.items():
        assert (site / page[1:]).read_text() == text
        assert is_whole(text)
