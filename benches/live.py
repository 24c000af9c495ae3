"""
beamfast behind the protocol of the benchmarks: echo, and publish on command.

What ``raw/server.c`` does, with the parts of beamfast that a plugin uses: an
``on_message`` callback, ``send_nowait``, ``hub.publish``. A handler with ``async
for`` echoes on ``/pull``.
"""

import argparse
import asyncio
import itertools
import random
import ssl
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import uvloop

from beamfast._frames import build_frame
from beamfast.connection.admission import Admission
from beamfast.connection.service import Service
from beamfast.http import Request, Response, Upgrade
from beamfast.pubsub.hub import Hub

TOPIC = "bench"
TEXT = 1
WIRE_FORM = partial(build_frame, TEXT)


ITEM = (
    '<div itemscope itemtype="https://rustybeam.net/schema/StreamItem">'
    '<span itemprop="method">POST</span><span itemprop="url">/chat/index.html</span>'
    '<span itemprop="selector">#messages</span><div itemprop="content">'
    '<article class="message" id="message-{}"><b class="author">{}</b> '
    '<time datetime="2026-11-28T05:{:02}:{:02}Z">05:{:02}</time> <p class="text">'
)
ITEM_END = "</p></article></div></div>"
WORDS = """
    all and any ask bring call come day find for from give good hand have here home
    how into know last leave life like line live long look make more most name new
    next now number only open other over page part people place point put read right
    room same say see small some still such take tell than that the them then there
    thing think this time turn two use want way well what when which who will with
    word work world write year you
"""


def items(size: int) -> Iterator[str]:
    """Yield what subscribers of a chat get, no two of them the same."""
    chance = random.Random(7)
    words = WORDS.split()
    for number in itertools.count():
        minute, second = divmod(number % 3600, 60)
        author = chance.choice(words)
        text = ITEM.format(number, author, minute, second, minute)
        while len(text) < size - len(ITEM_END):
            text += chance.choice(words) + " "
        yield text[: size - len(ITEM_END)] + ITEM_END


@lru_cache
def contents(text: str) -> tuple[str, ...]:
    """Read an order, once: what is measured begins with ``publish()``."""
    _, messages, size, how = text.split()
    return ("x" * int(size),) * int(messages) if how != "items" else ()


class Live:
    """One topic that every connection is subscribed to."""

    def __init__(self, hub: Hub, ping_interval: float, *, is_deaf: bool) -> None:
        self._hub = hub
        self._items: Iterator[str] | None = None
        self._is_deaf = is_deaf
        self._upgrade = Upgrade(self._open, ping_interval=ping_interval)
        self._pull = Upgrade(_echo, ping_interval=ping_interval)

    def answer(self, request: Request) -> Response:
        """Upgrade whoever asks."""
        if request.is_websocket:
            is_pull = request.path == "/pull"
            return Response(101, upgrade=self._pull if is_pull else self._upgrade)
        return Response(404, "Only WebSockets here")

    def _open(self, websocket: Any) -> None:
        if not self._is_deaf:
            websocket.on_message = partial(self._receive, websocket.send_nowait)
        self._hub.subscribe(websocket, TOPIC, WIRE_FORM)

    def _receive(self, send: Any, message: str | bytes) -> None:
        if isinstance(message, bytes):
            send(message)
            return
        publish = self._hub.publish
        for content in contents(message) or self._chat(message):
            publish(TOPIC, content)

    def _chat(self, text: str) -> Iterator[str]:
        _, messages, size, _how = text.split()
        if self._items is None:
            self._items = items(int(size))
        return itertools.islice(self._items, int(messages))


async def _echo(websocket: Any) -> None:
    async for message in websocket:
        await websocket.send(message)


async def serve(
    port: int, ping_interval: float, certificate: Path | None, *, is_deaf: bool
) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    hub = Hub(loop)
    live = Live(hub, ping_interval, is_deaf=is_deaf)
    service = Service(live.answer, loop, hub.registry)
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await loop.create_server(
        Admission(service).connection, "127.0.0.1", port, backlog=2048, ssl=context
    )
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ping-interval", type=float, default=25.0)
    parser.add_argument("--deaf", action="store_true", help="drop all messages")
    parser.add_argument("--certificate", type=Path, help="and its key, to encrypt")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        work = serve(
            options.port,
            options.ping_interval,
            options.certificate,
            is_deaf=options.deaf,
        )
        runner.run(work)


if __name__ == "__main__":
    main()
