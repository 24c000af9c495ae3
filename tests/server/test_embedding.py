"""Servers that programs make and stop."""

import gc
import urllib.request
from asyncio import to_thread

import pytest

from beamfast.errors import ConfigError, InvalidState
from beamfast.server.config import HostConfig, ServerConfig
from beamfast.server.server import Server


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.status, answer.read()


async def test_a_folder_is_served_between_enter_and_exit(tmp_path):
    (tmp_path / "page.html").write_text("<h1>x</h1>")
    async with Server(tmp_path, port=0) as server:
        url = f"{server.url}/page.html"
        assert await to_thread(get, url) == (200, b"<h1>x</h1>")
        assert server.hub.connections() == []
    with pytest.raises(OSError, match="refused"):
        await to_thread(get, url)
    with pytest.raises(InvalidState):
        _ = server.hub
    assert server.url == ""


async def test_without_a_source_nothing_but_handlers_is_served():
    async with Server(port=0) as server:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await to_thread(get, f"{server.url}/index.html")
        folder = server.config.hosts[0].root
        assert list(folder.iterdir()) == []
    del server
    gc.collect()
    assert not folder.exists()


def test_address_and_port_are_those_that_are_given(tmp_path):
    config = ServerConfig((HostConfig(tmp_path),), port=1)
    assert Server(config).config.port == 1
    changed = Server(config, address="::1", port=2).config
    assert (changed.address, changed.port) == ("::1", 2)


def test_what_is_unsafe_or_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        Server(tmp_path / "missing")
    with pytest.raises(ConfigError, match="reachable from other machines"):
        Server(tmp_path, address="0.0.0.0")


async def test_two_servers_cannot_have_the_same_folder(tmp_path):
    async with Server(tmp_path, port=0):
        with pytest.raises(ConfigError, match="is served already"):
            await Server(tmp_path, port=0).__aenter__()


async def test_a_port_in_use_is_reported(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with Server(tmp_path / "a", port=0) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await Server(tmp_path / "b", port=port).__aenter__()
