"""Accepting on a bound socket."""

import asyncio

import pytest

from beamfast.connection.service import Service
from beamfast.http import Response
from beamfast.pubsub.hub import Hub
from beamfast.server.listener import listen, url_of
from beamfast.server.worker import bind_tcp


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


class Bound:
    def __init__(self, *place):
        self.place = place

    def getsockname(self):
        return self.place


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (("127.0.0.1", 80), "http://127.0.0.1:80/"),
        (("0.0.0.0", 80), "http://127.0.0.1:80/"),
        (("::1", 80, 0, 0), "http://[::1]:80/"),
        (("::", 80, 0, 0), "http://127.0.0.1:80/"),
    ],
)
def test_the_url_is_one_that_a_browser_can_open(place, url):
    assert url_of(Bound(*place)) == url
