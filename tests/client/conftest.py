"""Servers of our own in the process of the test, plain and with TLS."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from beamfast._fanout import TopicRegistry
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service

CERTIFICATE = Path(__file__).parent.parent / "data" / "localhost.pem"


class Site:
    """
    A running server.

    Attributes:
        port: that it listens on.
        requests: everything it was asked.
        service: of its connections.
    """

    def __init__(self, application, loop):
        self.application = application
        self.requests = []
        self.service = Service(self._answer, loop, TopicRegistry(loop))
        self.port = 0

    def _answer(self, request):
        self.requests.append(request)
        return self.application(request)

    def url(self, path="/", *, scheme="ws", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(application, *, tls=False, port=0):
    """Serve ``application``; nothing of it may be left at the end."""
    loop = asyncio.get_running_loop()
    site = Site(application, loop)
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    server = await loop.create_server(
        lambda: HttpConnection(site.service), "127.0.0.1", port, ssl=context
    )
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await site.service.cancel_handlers()
        for connection in site.service.heartbeat.connections():
            connection.abort()
        while len(site.service.heartbeat):
            await asyncio.sleep(0)
        site.service.heartbeat.close()


@pytest.fixture
def serve():
    return serving


@pytest.fixture
def trusting():
    """A TLS context that trusts the certificate of the tests, and only that."""
    return ssl.create_default_context(cafile=CERTIFICATE)


@pytest.fixture
def no_leftovers():
    """Return what waits until nothing but the test itself is left on the loop."""

    async def check():
        for _ in range(50):
            await asyncio.sleep(0)
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            if not rest:
                return
        raise AssertionError(rest)

    return check
