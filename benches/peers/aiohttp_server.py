"""aiohttp on uvloop: WebSocket handler, and static files with its access log."""

import argparse
import asyncio
import logging

import uvloop
from aiohttp import WSMsgType, web

sockets: set[web.WebSocketResponse] = set()


async def live(request: web.Request) -> web.WebSocketResponse:
    """Echo bytes, publish on command."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    sockets.add(socket)
    try:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                _, messages, size, *_ = message.data.split()
                for _ in range(int(messages)):
                    for subscriber in sockets:
                        await subscriber.send_str("x" * int(size))
    finally:
        sockets.discard(socket)
    return socket


def main() -> None:
    """Serve for good."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", required=True)
    options = parser.parse_args()
    logging.basicConfig(filename=f"{options.folder}/../aiohttp.log", level=logging.INFO)
    app = web.Application()
    app.router.add_get("/", live)
    app.router.add_static("/", options.folder)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    web.run_app(app, host="127.0.0.1", port=options.port, print=None, loop=loop)


if __name__ == "__main__":
    main()
