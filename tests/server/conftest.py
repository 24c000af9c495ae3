"""An authority for certificates, and services to let connections in to."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from beamfast.connection.service import Service
from beamfast.http import Response
from beamfast.pubsub.hub import Hub


class Authority:
    """A certificate authority that nobody knows but its tests."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder

    def issue(self, *names: str, file: str = "host.pem") -> Path:
        """Write a certificate and its key; in one step, as tools for it do."""
        path = self._folder / file
        made = self._folder / "new.pem"
        self._authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(
            str(made)
        )
        made.rename(path)
        return path

    def client(self) -> ssl.SSLContext:
        """Return what a client trusts."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context


@pytest.fixture
def authority(tmp_path) -> Authority:
    """A fresh authority."""
    return Authority(tmp_path)


@pytest.fixture
async def make_service():
    """Make services that answer with the client's address and scheme."""
    made = []

    def answer(request):
        return Response(200, f"{request.remote_addr} {request.is_secure}")

    def make(**options) -> Service:
        loop = asyncio.get_running_loop()
        made.append(Service(answer, loop, Hub(loop).registry, **options))
        return made[-1]

    yield make
    for service in made:
        for connection in service.heartbeat.connections():
            connection.abort()
        await asyncio.sleep(0)
        service.heartbeat.close()


REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def ask() -> Callable:
    """Return what a server answers, all of it."""

    async def ask(place, *, prefix: bytes = b"", **options) -> bytes:
        if isinstance(place, tuple):
            reader, writer = await asyncio.open_connection(*place[:2], **options)
        else:
            reader, writer = await asyncio.open_unix_connection(place, **options)
        try:
            writer.write(prefix + REQUEST)
            return await reader.read()
        finally:
            writer.close()

    return ask
