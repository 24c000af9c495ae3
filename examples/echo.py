"""
Send every message back, and say how long a ping takes.

Run it with ``python examples/echo.py``, then talk to it in another terminal with
``beamfast ws ws://127.0.0.1:8000/echo``.
"""

import os

import beamfast

server = beamfast.Server(port=int(os.environ.get("PORT", "8000")))


@server.websocket("/echo")
async def echo(websocket: beamfast.WebSocket) -> None:
    async for message in websocket:
        if message == "ping":
            latency = await (await websocket.ping())
            await websocket.send(f"{latency * 1000:.1f} ms")
        else:
            await websocket.send(message)


if __name__ == "__main__":
    server.run(lambda url: print(f"Ready at {url}", flush=True))
