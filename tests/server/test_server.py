"""Start, serve, drain and stop, on the loop of the test."""

import asyncio

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed

from beamfast.errors import ConfigError
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig
from beamfast.server.server import Server


@pytest.fixture
async def running(tmp_path):
    (tmp_path / "index.html").write_text("<p id=p>x</p>")
    config = ServerConfig.for_folder(tmp_path, port=0)
    server = Server(config)
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(server.serve(ready.set_result))
    url = await ready
    yield server, url, task
    server.stop()
    server.stop()
    await task


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


async def test_a_stop_ends_sockets_with_1001_and_streams_with_a_retry(running):
    server, url, task = running
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    writer.write(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    )
    await reader.readuntil(b"id: ")
    async with websockets.asyncio.client.connect(f"ws{url[4:]}") as socket:
        server.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1001
    assert b"retry: " in await reader.read()
    writer.close()
    await asyncio.wait_for(task, 10)


async def test_idle_connections_close_and_a_request_in_work_is_answered(running):
    server, url, task = running
    place = ("127.0.0.1", port_of(url))
    idle_reader, idle_writer = await asyncio.open_connection(*place)
    busy_reader, busy_writer = await asyncio.open_connection(*place)
    busy_writer.write(
        b"PUT /new.html HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
    )
    await asyncio.sleep(0.05)
    server.stop()
    assert await idle_reader.read() == b""
    busy_writer.write(b"<p>ok")
    answer = await busy_reader.read()
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"Connection: close" in answer
    for writer in (idle_writer, busy_writer):
        writer.close()
    await asyncio.wait_for(task, 10)


async def test_a_second_stop_cuts_what_is_still_open(running):
    server, url, task = running
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    writer.write(b"PUT /n HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
    await asyncio.sleep(0.05)
    server.stop()
    await asyncio.sleep(0.05)
    assert not task.done()
    server.stop()
    await asyncio.wait_for(task, 10)
    with pytest.raises(ConnectionResetError):
        assert await reader.read() == b""
        raise ConnectionResetError
    writer.close()


def test_an_unsafe_configuration_is_refused_before_anything_is_opened(tmp_path):
    with pytest.raises(ConfigError):
        Server(ServerConfig((HostConfig(tmp_path),), address="0.0.0.0"))


def test_an_unknown_plugin_is_refused_before_anything_is_opened(tmp_path):
    host = HostConfig(tmp_path, plugins=(PluginConfig("nothing"),))
    with pytest.raises(ConfigError, match="nothing"):
        Server(ServerConfig((host,), port=0))
