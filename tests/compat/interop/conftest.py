"""Peers that others wrote: their packages, and certificates for them."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from beamfast._fanout import TopicRegistry
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import Response, Upgrade

CERTIFICATE = Path(__file__).parents[2] / "data" / "localhost.pem"

#: What goes there and back: text, binary, nothing, and every length form. What is
#: longer than 64 KiB and deflates to less than a hundredth is refused (a bomb).
MESSAGES = [
    "hello",
    "h\u00f6re \U0001f600",
    b"\x00\xff",
    "",
    b"",
    "x" * 126,
    b"y" * 65536,
    " ".join(map(str, range(50_000))),
]


class Peers:
    """What every test here needs."""

    messages = MESSAGES
    certificate = CERTIFICATE

    @staticmethod
    def server_context():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context

    @staticmethod
    def client_context():
        return ssl.create_default_context(cafile=CERTIFICATE)


@pytest.fixture
def peers():
    return Peers


class EchoServer:
    """Our server with a handler that echoes; how connections ended is noted."""

    def __init__(self):
        self.ended = []
        self.server = None
        self.service = None
        self.url = ""

    async def echo(self, websocket):
        latency = await websocket.ping()
        try:
            async for message in websocket:
                if message == "in pieces":
                    await websocket.send(["in", " ", "pieces"])
                else:
                    await websocket.send(message)
            assert await latency >= 0
        finally:
            self.ended.append((websocket.close_code, websocket.close_reason))

    async def start(self, context=None):
        loop = asyncio.get_running_loop()
        upgrade = Upgrade(self.echo, max_size=2**24, subprotocol=None)
        self.service = Service(
            lambda request: Response(101, upgrade=upgrade), loop, TopicRegistry(loop)
        )
        self.server = await loop.create_server(
            lambda: HttpConnection(self.service), "127.0.0.1", 0, ssl=context
        )
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"{'ws' if context is None else 'wss'}://localhost:{port}/"

    async def stop(self):
        self.server.close()
        async with asyncio.timeout(20):
            while len(self.service.heartbeat) or self.service.handlers:
                await asyncio.sleep(0)
        self.service.heartbeat.close()


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
async def our_server(request):
    """Our server; all of its connections have ended at the end."""
    server = EchoServer()
    await server.start(Peers.server_context() if request.param else None)
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def node(program, pytestconfig):
    """Return a function that runs a script with ``ws`` of the Debian package."""
    cache = pytestconfig.rootpath / "tests" / ".cache" / "debian"
    target = cache / "node-ws"
    if not target.exists():
        scratch = cache / "node-ws.part"
        scratch.mkdir(parents=True, exist_ok=True)
        command = ["apt-get", "download", "-q", "node-ws"]
        subprocess.run(command, cwd=scratch, check=True, capture_output=True)
        (archive,) = scratch.glob("*.deb")
        unpacked = scratch / "files"
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
        unpacked.rename(target)

    def start(script, *arguments):
        return subprocess.Popen(
            [program("nodejs"), "-e", script, "--", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={
                "NODE_PATH": str(target / "usr/share/nodejs"),
                "NODE_EXTRA_CA_CERTS": str(CERTIFICATE),
            },
        )

    return start
