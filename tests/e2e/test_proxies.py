"""Behind nginx and HAProxy: what they cut, what they claim, what they hold back."""

import asyncio
import contextlib
import socket
import subprocess
from dataclasses import replace

import pytest

from beamfast import Server, connect, event_source

#: Seconds of silence after which the proxies cut a connection.
PATIENCE = 4
#: Pings that take longer than that to come.
PINGS = 5

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection;
      proxy_set_header X-Forwarded-For 203.0.113.7;
      proxy_read_timeout {patience}s;
    }}
  }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client {patience}s
  timeout server {patience}s
  timeout tunnel {patience}s
frontend front
  bind 127.0.0.1:{port}
  http-request set-header X-Forwarded-For 203.0.113.7
  default_backend back
backend back
  server beamfast 127.0.0.1:{upstream}
"""
PROXIES = [
    pytest.param("nginx", NGINX, ["-c"], marks=pytest.mark.system("nginx")),
    pytest.param("haproxy", HAPROXY, ["-f"], marks=pytest.mark.system("haproxy")),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def proxied(program, text, arguments, folder, upstream):
    """Run a proxy in front of ``upstream``, and return its port."""
    port = free_port()
    file = folder / "proxy.conf"
    values = {"folder": folder, "port": port, "upstream": upstream}
    file.write_text(text.format(patience=PATIENCE, **values))
    process = subprocess.Popen([program, *arguments, file], stderr=subprocess.DEVNULL)
    try:
        while True:
            assert process.poll() is None, "the proxy did not start"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def make_server(pings, trusted=()):
    server = Server(port=0)
    server.config = replace(server.config, trusted_proxies=trusted)

    @server.websocket("/talk", ping_interval=pings)
    async def talk(websocket):
        await websocket.send(websocket.request.remote_addr)
        async for message in websocket:
            await websocket.send(message)

    @server.event_source("/events")
    async def events(source):
        await source.send("at once")
        await source.wait_closed()

    return server


def port_of(server):
    return int(server.url.rpartition(":")[2])


@pytest.mark.parametrize(("name", "text", "arguments"), PROXIES)
async def test_180_pings_keep_an_idle_connection_that_a_proxy_would_cut(
    tmp_path, program, name, text, arguments
):
    path = program(name)
    async with (
        make_server(1.0) as server,
        proxied(path, text, arguments, tmp_path, port_of(server)) as port,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /talk HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        kinds = []
        while kinds.count(9) < PINGS:
            first, size = await reader.readexactly(2)
            payload = await reader.readexactly(size)
            kinds.append(first & 15)
            if kinds[-1] == 9:
                # The same payload, with a mask of zeros (RFC 6455, 5.5.3).
                writer.write(bytes([0x8A, 0x80 | size]) + bytes(4) + payload)
        writer.write(b"\x81\x82" + bytes(4) + b"hi")
        while await reader.readexactly(2) != b"\x81\x02":
            pass
        assert await reader.readexactly(2) == b"hi"
        writer.close()


@pytest.mark.parametrize(("name", "text", "arguments"), PROXIES)
async def test_without_pings_the_proxy_cuts_it(
    tmp_path, program, name, text, arguments
):
    async with (
        make_server(0.0) as server,
        proxied(program(name), text, arguments, tmp_path, port_of(server)) as port,
        connect(f"ws://127.0.0.1:{port}/talk", ping_interval=0.0) as websocket,
    ):
        await asyncio.wait_for(websocket.wait_closed(), 30)
        assert websocket.close_code == 1006


@pytest.mark.parametrize(("name", "text", "arguments"), PROXIES)
async def test_180_what_a_proxy_says_counts_only_when_it_is_trusted(
    tmp_path, program, name, text, arguments
):
    for trusted, address in (((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.7")):
        async with (
            make_server(25.0, trusted) as server,
            proxied(program(name), text, arguments, tmp_path, port_of(server)) as port,
            connect(f"ws://127.0.0.1:{port}/talk") as websocket,
        ):
            assert await websocket.recv() == address
            await websocket.send("over there")
            assert await websocket.recv() == "over there"


@pytest.mark.parametrize(("name", "text", "arguments"), PROXIES)
async def test_events_are_not_held_back(tmp_path, program, name, text, arguments):
    async with (
        make_server(25.0) as server,
        proxied(program(name), text, arguments, tmp_path, port_of(server)) as port,
        event_source(f"http://127.0.0.1:{port}/events") as events,
    ):
        assert (await anext(aiter(events))).data == "at once"
