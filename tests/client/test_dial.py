"""Ways to a server: the environment's proxy, a real proxy, TLS inside."""

import asyncio
import base64
import contextlib
import os
import ssl
import subprocess

import pytest

from beamfast import connect
from beamfast.client.dial import Route
from beamfast.errors import ConnectError
from beamfast.http import Response, Upgrade
from beamfast.protocol.url import parse_websocket_url


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


def answer(request):
    return Response(101, upgrade=Upgrade(echo))


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "ws://a/", None),
        ({"http_proxy": "http://p:1"}, "ws://a/", "http://p:1"),
        ({"https_proxy": "http://q:2"}, "ws://a/", None),
        ({"https_proxy": "http://q:2"}, "wss://a/", "http://q:2"),
        ({"https_proxy": "http://q:2", "no_proxy": "a"}, "wss://a/", None),
        ({"http_proxy": "http://p:1"}, "ws://127.0.0.1/", None),
        ({"http_proxy": "http://p:1"}, "ws://localhost/", None),
        ({"http_proxy": "http://p:1"}, "ws://[::1]/", None),
        ({"https_proxy": "http://q:2", "no_proxy": "a:8"}, "wss://a:9/", "http://q:2"),
    ],
)
def test_the_environment_names_the_proxy(monkeypatch, environment, url, proxy):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Route(proxy="env").proxy_for(parse_websocket_url(url)) == proxy
    assert Route().proxy_for(parse_websocket_url(url)) is None


def test_the_default_context_checks_everything_and_is_made_once():
    route = Route()
    context = route.context(None)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert route.context(None) is context
    own = ssl.create_default_context()
    assert route.context(own) is own


# A real proxy

USER = base64.b64encode(b"ann:pw").decode()


@contextlib.asynccontextmanager
async def tinyproxy(program, folder, *settings):
    """Run tinyproxy on a free port; give the port."""
    with contextlib.closing(await asyncio.start_server(print, "127.0.0.1", 0)) as free:
        port = free.sockets[0].getsockname()[1]
    config = folder / "tinyproxy.conf"
    config.write_text(
        "\n".join(
            [
                f"Port {port}",
                "Listen 127.0.0.1",
                "Timeout 60",
                "MaxClients 20",
                "Allow 127.0.0.1",
                *settings,
                "",
            ]
        )
    )
    process = subprocess.Popen(
        [program("tinyproxy-bin"), "-d", "-c", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.system("tinyproxy-bin")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_real_proxy_lets_us_through(serve, trusting, program, tmp_path, tls):
    async with serve(answer, tls=tls) as site, tinyproxy(program, tmp_path) as port:
        url = site.url(scheme="wss" if tls else "ws", host="localhost")
        options = {"ssl": trusting} if tls else {}
        proxy = f"http://127.0.0.1:{port}"
        async with connect(url, proxy=proxy, **options) as websocket:
            await websocket.send("through")
            assert await websocket.recv() == "through"


@pytest.mark.system("tinyproxy-bin")
async def test_a_real_proxy_wants_a_password(serve, trusting, program, tmp_path):
    async with (
        serve(answer, tls=True) as site,
        tinyproxy(program, tmp_path, "BasicAuth ann pw") as port,
    ):
        url = site.url(scheme="wss", host="localhost")
        for user in ("", "ann:wrong@"):
            with pytest.raises(ConnectError, match="did not connect") as caught:
                await connect(url, ssl=trusting, proxy=f"http://{user}127.0.0.1:{port}")
            assert caught.value.status in (401, 407)
        proxy = f"http://ann:pw@127.0.0.1:{port}"
        async with connect(url, ssl=trusting, proxy=proxy) as websocket:
            await websocket.send("through")
            assert await websocket.recv() == "through"
        assert len(site.requests) == 1
        assert "proxy-authorization" not in site.requests[0].headers


@pytest.mark.system("tinyproxy-bin")
async def test_the_name_checked_in_a_tunnel_is_the_servers(
    serve, trusting, program, tmp_path
):
    async with serve(answer, tls=True) as site, tinyproxy(program, tmp_path) as port:
        url = site.url(scheme="wss", host="127.1")
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            await connect(url, ssl=trusting, proxy=f"http://localhost:{port}")


@pytest.mark.system("tinyproxy-bin")
async def test_a_server_that_a_proxy_does_not_reach_is_an_error(program, tmp_path):
    async with tinyproxy(program, tmp_path) as port:
        with pytest.raises(ConnectError) as caught:
            await connect("ws://127.0.0.1:9/", proxy=f"http://127.0.0.1:{port}")
    assert caught.value.status in (500, 502, 503)


# A proxy that speaks TLS itself


async def forward(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS in TLS"])
async def test_a_proxy_behind_tls(serve, trusting, tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("tests/data/localhost.pem")
    heads = []

    async def proxy_one(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        port = int(head.split()[1].rpartition(b":")[2])
        there = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(forward(reader, there[1]), forward(there[0], writer))

    server = await asyncio.start_server(proxy_one, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with serve(answer, tls=tls) as site, server:
        url = site.url(scheme="wss" if tls else "ws", host="localhost")
        options = {"ssl": trusting} if tls else {}
        async with connect(
            url,
            proxy=f"https://ann:pw@localhost:{port}",
            proxy_ssl=trusting,
            proxy_headers=[("X-Test", "1")],
            **options,
        ) as websocket:
            await websocket.send("through")
            assert await websocket.recv() == "through"
    assert b"Proxy-Authorization: Basic " + USER.encode() in heads[0]
    assert b"X-Test: 1" in heads[0]


async def test_garbage_of_a_proxy_is_an_error():
    async def garble(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"what?\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(garble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectError, match="did not connect"):
            await connect("ws://a/", proxy=f"http://127.0.0.1:{port}")
