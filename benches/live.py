"""
beamfast behind the protocol of the benchmarks: echo, and publish on command.

What ``raw/server.c`` does, with the parts of beamfast that a plugin uses: an
``on_message`` callback, ``send_nowait``, ``hub.publish``.
"""

import argparse
import asyncio
from functools import partial
from typing import Any

import uvloop

from beamfast._frames import build_frame
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import Request, Response, Upgrade
from beamfast.pubsub.hub import Hub

TOPIC = "bench"
TEXT = 1
WIRE_FORM = partial(build_frame, TEXT)


class Live:
    """One topic that every connection is subscribed to."""

    def __init__(self, hub: Hub, ping_interval: float, *, is_deaf: bool) -> None:
        self._hub = hub
        self._is_deaf = is_deaf
        self._upgrade = Upgrade(self._open, ping_interval=ping_interval)

    def answer(self, request: Request) -> Response:
        """Upgrade whoever asks."""
        if request.is_websocket:
            return Response(101, upgrade=self._upgrade)
        return Response(404, "Only WebSockets here")

    def _open(self, websocket: Any) -> None:
        if not self._is_deaf:
            websocket.on_message = partial(self._receive, websocket.send_nowait)
        self._hub.subscribe(websocket, TOPIC, WIRE_FORM)

    def _receive(self, send: Any, message: str | bytes) -> None:
        if isinstance(message, bytes):
            send(message)
            return
        _, messages, size, *_ = message.split()
        content = "x" * int(size)
        for _ in range(int(messages)):
            self._hub.publish(TOPIC, content)


async def serve(port: int, ping_interval: float, *, is_deaf: bool) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    hub = Hub(loop)
    live = Live(hub, ping_interval, is_deaf=is_deaf)
    service = Service(live.answer, loop, hub.registry)
    server = await loop.create_server(
        lambda: HttpConnection(service), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ping-interval", type=float, default=25.0)
    parser.add_argument("--deaf", action="store_true", help="drop all messages")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.port, options.ping_interval, is_deaf=options.deaf))


if __name__ == "__main__":
    main()
