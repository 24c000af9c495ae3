"""The asyncio server of the websockets library on uvloop, with ``broadcast``."""

import argparse
import asyncio

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

connections: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    """Echo bytes, publish on command."""
    connections.add(connection)
    try:
        async for message in connection:
            if isinstance(message, bytes):
                await connection.send(message)
                continue
            _, messages, size, *_ = message.split()
            for _ in range(int(messages)):
                broadcast(connections, "x" * int(size))
    finally:
        connections.discard(connection)


async def run(port: int) -> None:
    """Serve for good, without compression, as the others do."""
    async with serve(
        handle, "127.0.0.1", port, compression=None, ping_interval=None
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args().port))
