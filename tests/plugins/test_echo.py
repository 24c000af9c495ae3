"""Echo: only where it is configured, and the same type back."""

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec_WebSocket_Version": "13",
}


@pytest.fixture
async def site(make_site):
    options = {"urls": ("/echo",), "message_size_limit": 99}
    return make_site(PluginConfig("echo", options), PluginConfig("file-handler"))


class Socket:
    """A WebSocket as a plugin sees it."""

    def __init__(self):
        self.on_message = None
        self.sent = []

    def send_nowait(self, message):
        self.sent.append(message)


@pytest.mark.parametrize("path", ["/echo", "/echo/connect"])
async def test_176_echo_returns_the_same_type(site, path):
    answer = await site.ask("GET", path, **HANDSHAKE)
    assert (answer.status, answer.upgrade.max_size) == (101, 99)
    socket = Socket()
    answer.upgrade.on_open(socket)
    socket.on_message("text")
    socket.on_message(b"\x00bytes")
    assert socket.sent == ["text", b"\x00bytes"]


async def test_176_echo_is_off_by_default(make_site):
    site = make_site(PluginConfig("echo"), PluginConfig("file-handler"))
    assert (await site.ask("GET", "/echo", **HANDSHAKE)).status == 404


async def test_a_browser_gets_a_page_to_try_it_from(site):
    assert b"page.js" in (await site.ask("GET", "/echo")).body
    assert b"WebSocket" in (await site.ask("GET", "/echo/page.js")).body
    assert (await site.ask("GET", "/page.html")).status == 200


async def test_pages_of_other_origins_cannot_connect(site):
    fields = {**HANDSHAKE, "Origin": "http://evil.example"}
    assert (await site.ask("GET", "/echo", **fields)).status == 403


async def test_a_wrong_handshake_is_refused(site):
    fields = {**HANDSHAKE, "Sec_WebSocket_Version": "12"}
    answer = await site.ask("GET", "/echo", **fields)
    assert (answer.status, answer.headers["Sec-WebSocket-Version"]) == (426, "13")


def test_an_address_has_to_begin_with_a_slash():
    with pytest.raises(ConfigError, match="begin with a slash"):
        load_plugin(PluginConfig("echo", {"urls": ("echo",)}))
