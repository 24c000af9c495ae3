"""Files by sendfile(2), on real sockets and loops of both kinds."""

import asyncio
import os
import random
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from beamfast._fanout import TopicRegistry
from beamfast.connection import sendfile
from beamfast.connection.http import HttpConnection
from beamfast.connection.sendfile import takes_files
from beamfast.connection.service import Service
from beamfast.http import FileBody, Response

SIZE = 5 * 2**20 + 11
CONTENT = random.Random(5).randbytes(SIZE)
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


class Part(FileBody):
    def __init__(self, path, first, size):
        self.path, self.first, self.size = path, first, size
        self.was_read = False

    def open(self):
        return self.path.open("rb")

    async def __aiter__(self):
        self.was_read = True
        with self.path.open("rb") as stream:
            stream.seek(self.first)
            yield stream.read(self.size)


class Site:
    """Serves a part of one file: the target names first byte and size."""

    def __init__(self, path):
        self.path = path
        self.parts = []

    def __call__(self, request):
        first, _, size = request.path[1:].partition("+")
        self.parts.append(Part(self.path, int(first or 0), int(size or SIZE)))
        length = [("Content-Length", size or str(SIZE))]
        return Response(200, self.parts[-1], headers=length)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "large").write_bytes(CONTENT)
    return Site(tmp_path / "large")


@asynccontextmanager
async def serving(site):
    loop = asyncio.get_running_loop()
    service = Service(site, loop, TopicRegistry(loop))
    server = await loop.create_server(lambda: HttpConnection(service), "127.0.0.1", 0)
    try:
        yield service, server.sockets[0].getsockname()
    finally:
        server.close()
        for connection in service.heartbeat.connections():
            connection.abort()
        while len(service.heartbeat):
            await asyncio.sleep(0.001)
        service.heartbeat.close()


@asynccontextmanager
async def connected(address, receive_buffer=2**16):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, address)
    reader, writer = await asyncio.open_connection(sock=client, limit=2**14)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(reader, writer, target=b"", method=b"GET"):
    writer.write(GET.replace(b"GET", method) % target)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")


def test_a_file_arrives_whole_and_the_connection_stays(run, site):
    async def scenario():
        async with serving(site) as (_, address), connected(address) as peer:
            for target, expected in [
                (b"", CONTENT),
                (b"7+3000000", CONTENT[7:3000007]),
                (b"5000000+1", CONTENT[5000000:5000001]),
            ]:
                await ask(*peer, target)
                assert await peer[0].readexactly(len(expected)) == expected
        assert not any(part.was_read for part in site.parts)

    run(scenario())


def test_a_client_that_reads_in_bits_gets_every_byte_in_order(run, site):
    async def scenario():
        async with serving(site) as (_, address), connected(address, 4096) as peer:
            writer = peer[1]
            # The next request waits until the file is out.
            writer.write(GET % b"" + GET % b"3+5")
            await peer[0].readuntil(b"\r\n\r\n")
            got = bytearray()
            while len(got) < SIZE:
                got += await peer[0].read(min(7000, SIZE - len(got)))
            assert got == CONTENT
            await peer[0].readuntil(b"\r\n\r\n")
            assert await peer[0].readexactly(5) == CONTENT[3:8]

    run(scenario())


def descriptors():
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_a_client_that_goes_away_leaves_nothing_open(run, site, caplog):
    async def scenario():
        async with serving(site) as (service, address):
            before, tasks = descriptors(), len(asyncio.all_tasks())
            async with connected(address, 4096) as (reader, writer):
                await ask(reader, writer)
                await reader.readexactly(100_000)
                writer.transport.abort()
            while len(service.heartbeat) or descriptors() > before:
                await asyncio.sleep(0.001)
            assert len(asyncio.all_tasks()) == tasks
        assert caplog.records == []

    run(scenario())


def test_a_file_that_is_cut_meanwhile_cuts_the_connection(run, site, caplog):
    async def scenario():
        async with serving(site) as (_, address), connected(address, 4096) as peer:
            await ask(*peer)
            await peer[0].readexactly(100_000)
            os.truncate(site.path, 200_000)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await peer[0].readexactly(SIZE - 100_000)
        assert "broke off" in caplog.text

    run(scenario())


def test_a_file_that_is_gone_cuts_the_connection(run, site, caplog):
    async def scenario():
        site.path.unlink()
        async with serving(site) as (_, address), connected(address) as peer:
            await ask(*peer)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await peer[0].readexactly(1)
        assert "broke off" in caplog.text

    run(scenario())


def test_a_head_request_opens_no_file(run, site):
    async def scenario():
        site.path.unlink()
        async with serving(site) as (_, address), connected(address) as peer:
            for _ in range(2):
                await ask(*peer, method=b"HEAD")

    run(scenario())


def test_a_full_socket_is_waited_for_by_the_transport(run, site, monkeypatch):
    calls = []

    def send(socket, file, at, size):
        calls.append(at)
        raise BlockingIOError

    monkeypatch.setattr(sendfile.os, "sendfile", send)

    async def scenario():
        async with serving(site) as (_, address), connected(address) as peer:
            await ask(*peer, b"9+200000")
            assert await peer[0].readexactly(200_000) == CONTENT[9:200_009]
        assert calls == list(range(9, 200_009, sendfile.PIECE))

    run(scenario())


@pytest.mark.parametrize("known", [{}, {"ssl_object": object(), "socket": object()}])
def test_other_transports_get_pieces(known):
    transport = asyncio.Transport(known)
    assert not takes_files(transport)
    assert takes_files(asyncio.Transport({"socket": object()}))
