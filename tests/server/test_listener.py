"""Accepting on a bound socket."""

import asyncio

from beamfast.connection.service import Service
from beamfast.http import Response
from beamfast.pubsub.hub import Hub
from beamfast.server.binding import bind_tcp
from beamfast.server.listener import listen


async def test_what_connects_is_served():
    loop = asyncio.get_running_loop()
    service = Service(lambda request: Response(200, "hi"), loop, Hub(loop).registry)
    with bind_tcp("127.0.0.1", 0) as listener:
        server = await listen(listener, service)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\nhi")
        writer.close()
        await writer.wait_closed()
        server.close()
    service.heartbeat.close()
