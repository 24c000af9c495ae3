"""Accepting on bound sockets: plain, encrypted, behind proxies, and all of it."""

import asyncio
import contextlib
import socket
import ssl
import struct
from pathlib import Path

import pytest

from beamfast.connection.admission import Admission
from beamfast.server import binding, listener as module
from beamfast.server.binding import bind_tcp, bind_unix
from beamfast.server.certificates import Certificates
from beamfast.server.config import HostConfig
from beamfast.server.forwarded import TrustedProxies
from beamfast.server.listener import listen


@pytest.fixture
async def serve(make_service):
    """Listen; return where."""
    with contextlib.ExitStack() as stack:

        async def serve(bound: socket.socket | None = None, **options):
            stack.enter_context(bound := bound or bind_tcp("127.0.0.1", 0))
            admission = Admission(make_service(), most=0, per_address=0, per_second=0)
            stack.callback((await listen(bound, admission, **options)).close)
            return bound.getsockname()

        yield serve


async def test_what_connects_is_served(serve, ask):
    assert (await ask(await serve())).endswith(b"\r\n\r\n127.0.0.1 False")


if binding.SPREADS:

    def room(listener):
        """Return how many connections may wait: ``tcpi_sacked`` of a listener."""
        about = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return struct.unpack_from("I", about, 28)[0]

    async def test_2048_connections_may_wait_or_what_the_system_allows(serve):
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
        for bound in binding.bind_tcp_for(2, "127.0.0.1", 0):
            assert room(bound) == min(2048, most)
            await serve(bound)
            # The loop listens once more, with a number of its own.
            assert room(bound) == min(2048, most)


async def test_a_unix_socket_is_served(serve, ask, tmp_path):
    place = await serve(bind_unix(tmp_path / "s", 0o600))
    assert (await ask(place)).endswith(b"\r\n\r\n- False")


@pytest.fixture
def tls(authority, tmp_path):
    """Certificates of a host, for the server."""
    file = authority.issue("site.example")
    return Certificates([HostConfig(tmp_path, ssl_cert=file)]).context


async def test_an_encrypted_connection_is_secure(serve, ask, authority, tls):
    place = await serve(tls=tls)
    answer = await ask(place, ssl=authority.client(), server_hostname="site.example")
    assert answer.endswith(b"127.0.0.1 True")


HEADER = b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n"


@pytest.fixture
def proxies():
    return TrustedProxies(["127.0.0.0/8", "unix"])


async def test_line_52_a_proxy_says_who_the_client_is(serve, ask, proxies, tmp_path):
    place = await serve(proxies=proxies)
    answer = await ask(place, prefix=HEADER)
    assert answer.endswith(b"192.0.2.1 False")
    path = await serve(bind_unix(tmp_path / "s", 0o600), proxies=proxies)
    assert (await ask(path, prefix=HEADER)).endswith(b"192.0.2.1 False")
    answer = await ask(place, prefix=b"PROXY UNKNOWN\r\n")
    assert answer.endswith(b"127.0.0.1 False")


async def test_line_52_a_header_may_come_in_pieces(serve, proxies):
    reader, writer = await asyncio.open_connection(*await serve(proxies=proxies))
    for byte in HEADER:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"192.0.2.1 False")
    writer.close()


async def test_line_52_the_header_stands_in_front_of_tls(
    serve, authority, tls, proxies
):
    place = await serve(tls=tls, proxies=proxies)

    def talk() -> bytes:
        with socket.create_connection(place[:2]) as plain:
            plain.sendall(HEADER)
            with authority.client().wrap_socket(
                plain, server_hostname="site.example"
            ) as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                return secure.recv(4096)

    assert (await asyncio.to_thread(talk)).endswith(b"192.0.2.1 True")


@pytest.mark.parametrize("prefix", [b"", b"PROXY TCP4 nobody"], ids=["none", "wrong"])
async def test_line_52_without_a_header_nobody_is_served(
    serve, ask, proxies, prefix, caplog
):
    with contextlib.suppress(ConnectionResetError):
        assert await ask(await serve(proxies=proxies), prefix=prefix) == b""
    assert "a proxy's connection was refused" in caplog.text


async def test_line_52_others_than_the_listed_are_refused(serve, ask, caplog):
    place = await serve(proxies=TrustedProxies(["192.0.2.0/24"]))
    with contextlib.suppress(ConnectionResetError):
        assert await ask(place, prefix=HEADER) == b""
    assert "127.0.0.1 is no trusted proxy" in caplog.text


async def test_a_header_that_does_not_come_is_not_waited_for(
    serve, proxies, monkeypatch
):
    monkeypatch.setattr(module, "HEADER_TIMEOUT", 0.01)
    reader, writer = await asyncio.open_connection(*await serve(proxies=proxies))
    assert await reader.read() == b""
    writer.close()


async def test_a_handshake_that_fails_behind_a_proxy_is_dropped(serve, tls, proxies):
    place = await serve(tls=tls, proxies=proxies)
    reader, writer = await asyncio.open_connection(*place)
    writer.write(HEADER + b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        await reader.read()
    writer.close()


def test_old_versions_of_tls_are_not_spoken(tls):
    assert tls.minimum_version is ssl.TLSVersion.TLSv1_2
