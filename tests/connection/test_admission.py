"""Who is let in, and what the others are told."""

import asyncio
import contextlib

import pytest

from beamfast.connection.admission import Admission
from beamfast.connection.service import Service
from beamfast.http import Response
from beamfast.pubsub.hub import Hub

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def admit():
    """Serve with limits; return what opens connections."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        service = Service(lambda request: Response(200, "in"), loop, Hub(loop).registry)
        stack.callback(service.heartbeat.close)

        async def admit(**limits: int):
            options = {"most": 0, "per_address": 0, "per_second": 0} | limits
            admission = Admission(service, **options)
            server = await loop.create_server(admission.connection, "127.0.0.1", 0)
            stack.callback(server.close)

            async def connect():
                place = server.sockets[0].getsockname()
                reader, writer = await asyncio.open_connection(*place)
                stack.callback(writer.close)
                writer.write(REQUEST)
                return (await reader.readuntil(b"\r\n")), reader, writer

            return admission, connect

        yield admit
        for connection in service.heartbeat.connections():
            connection.abort()


async def closed(writer) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"most": 2}, "process"), ({"per_address": 2}, "address")],
)
async def test_beyond_the_limit_a_connection_gets_503_until_another_ends(
    admit, limits, reason
):
    admission, connect = await admit(**limits)
    (first, _, writer), (second, *_) = await connect(), await connect()
    assert first == second == b"HTTP/1.1 200 OK\r\n"
    third, reader, _ = await connect()
    assert third == b"HTTP/1.1 503 Service Unavailable\r\n"
    rest = await reader.read()
    assert b"Retry-After: 1\r\n" in rest
    assert b"Connection: close\r\n" in rest
    assert rest.endswith(b"\r\n\r\nToo many connections")
    assert admission.refused == {reason: 1}
    await closed(writer)
    async with asyncio.timeout(20):
        while (await connect())[0] != b"HTTP/1.1 200 OK\r\n":
            await asyncio.sleep(0.01)


async def test_beyond_the_rate_a_connection_gets_503(admit):
    admission, connect = await admit(per_second=1)
    # Two seconds may begin while three connections are made; not three.
    answers = [(await connect())[0] for _ in range(3)]
    assert b"HTTP/1.1 503 Service Unavailable\r\n" in answers
    assert admission.refused["rate"] >= 1
