"""
uvicorn with a bare ASGI application: the lower bound of every framework on it.

The page comes from memory; nothing is looked up, compared or cached.
"""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
senders: set[Send] = set()
page = b""


async def live(receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    """Echo bytes, publish on command."""
    await receive()
    await send({"type": "websocket.accept"})
    senders.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            if event.get("bytes") is not None:
                await send({"type": "websocket.send", "bytes": event["bytes"]})
                continue
            _, messages, size, *_ = event["text"].split()
            for _ in range(int(messages)):
                for sender in senders:
                    await sender({"type": "websocket.send", "text": "x" * int(size)})
    finally:
        senders.discard(send)


async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
    """Answer everything."""
    if scope["type"] == "websocket":
        await live(receive, send)
        return
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"%d" % len(page)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": page})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", required=True)
    options = parser.parse_args()
    page = Path(options.folder, "plain.html").read_bytes()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )
