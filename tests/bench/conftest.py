"""What the tests of the load generator share."""

import asyncio
import socket

import pytest


@pytest.fixture
def unused_port():
    """A port that nobody listens on, and nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
async def serve():
    """Return a function that has a coroutine serve connections at an address."""
    servers, tasks = [], []

    async def start(handle):
        async def connected(reader, writer):
            tasks.append(asyncio.current_task())
            await handle(reader, writer)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()
    await asyncio.gather(*tasks, return_exceptions=True)
