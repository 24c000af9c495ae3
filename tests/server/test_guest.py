"""What is served on the loop of somebody else's server."""

import pytest

from beamfast.errors import ConfigError
from beamfast.http import Request, Response
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig
from beamfast.server.guest import Guest


def request(path):
    return Request("GET", path, url=path, path=path)


async def test_requests_are_answered_until_it_is_stopped(tmp_path):
    (tmp_path / "page.html").write_text("<h1>x</h1>")
    guest = Guest(ServerConfig((HostConfig(tmp_path),)))
    response = guest.service.application(request("/page.html"))
    assert isinstance(response, Response)
    assert (response.status, response.body) == (200, b"<h1>x</h1>")
    assert guest.hub.connections() == []
    await guest.stop()
    # The root is free again.
    await Guest(ServerConfig((HostConfig(tmp_path),))).stop()


async def test_what_cannot_start_leaves_the_root_to_others(tmp_path):
    broken = PluginConfig("log-view", {"urls": ("/logs",), "file": {"a": "b"}})
    host = HostConfig(tmp_path, plugins=(broken,))
    with pytest.raises(ConfigError, match="anybody could read the logs"):
        Guest(ServerConfig((host,)))
    await Guest(ServerConfig((HostConfig(tmp_path),))).stop()
