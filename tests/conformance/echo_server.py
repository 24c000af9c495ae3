"""
An echo server for conformance suites.

``python tests/conformance/echo_server.py [--port N] [--certificate FILE] [MODE]``
serves until it is stopped and says on its first line where; over TLS with a
certificate. Without a mode it is a ``ServerDriver`` on a bare transport,
permessage-deflate included. With ``--connection`` it is what a server has, on uvloop:
``HttpConnection``, then ``WebSocket`` with a callback; with ``--handler`` the same with
a coroutine that receives by ``async for``.
"""

import argparse
import asyncio
import ssl
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import uvloop

from beamfast._fanout import TopicRegistry
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.connection.websocket import WebSocket
from beamfast.http import Request, Response, Upgrade
from beamfast.protocol import PerMessageDeflate, Requested, ServerDriver

#: The suite sends messages of 16 MiB, and of 65,536 frames.
LIMITS: Final = {"max_size": 2**25, "max_fragments": 2**17}

DEFLATE: Final = PerMessageDeflate()


class EchoConnection(asyncio.Protocol):
    """Whatever comes in one read is answered in one write."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.driver = ServerDriver(extensions=[DEFLATE], **LIMITS)
        self.driver.deliver = self.echo

    def echo(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.driver.send_text(message)
        else:
            self.driver.send_binary(message)

    def data_received(self, data: bytes) -> None:
        self.driver.receive_data(data)
        for event in self.driver.events_received():
            if isinstance(event, Requested):
                self.driver.accept()
        self.transport.writelines(self.driver.data_to_send())
        if self.driver.close_expected():
            self.transport.close()

    def pause_writing(self) -> None:
        # A peer that does not read its echoes is not read either.
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.driver.receive_eof()


def set_echo(websocket: WebSocket) -> None:
    websocket.on_message = websocket.send_nowait


async def echo(websocket: WebSocket) -> None:
    async for message in websocket:
        await websocket.send(message)


#: What opens a connection, by the option that asks for it.
MODES: Final = {"connection": set_echo, "handler": echo}


def answer(mode: str, request: Request) -> Response:
    if not request.is_websocket:
        return Response(426, headers=[("Upgrade", "websocket")])
    return Response(101, upgrade=Upgrade(MODES[mode], ping_interval=0, **LIMITS))


async def serve(port: int, certificate: str | None, mode: str | None) -> None:
    loop = asyncio.get_running_loop()
    factory: Callable[[], asyncio.Protocol] = EchoConnection
    if mode is not None:
        service = Service(partial(answer, mode), loop, TopicRegistry(loop))
        factory = partial(HttpConnection, service)
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await loop.create_server(factory, "127.0.0.1", port, ssl=context)
    async with server:
        host, bound = server.sockets[0].getsockname()[:2]
        scheme = "ws" if context is None else "wss"
        sys.stdout.write(f"{scheme}://{host}:{bound}\n")
        sys.stdout.flush()
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate")
    for mode in MODES:
        parser.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode)
    options = parser.parse_args()
    loop_factory = uvloop.new_event_loop if options.mode else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(options.port, options.certificate, options.mode))


if __name__ == "__main__":
    main()
