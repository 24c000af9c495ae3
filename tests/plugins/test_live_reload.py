"""Sockets and event streams that were opened before the configuration changed."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from websockets.exceptions import InvalidStatus

from beamfast.connection.service import Service
from beamfast.documents.change import ElementEdit
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig
from beamfast.server.hosting import Hosting

from .live import listening

PLUGINS = ("websocket", "eventsource", "selector-handler", "file-handler")


@pytest.fixture
async def live(root):
    """A site whose configuration can change; ``live.reload`` says to what."""
    loop = asyncio.get_running_loop()
    hub = Hub(loop)
    plugins = tuple(map(PluginConfig, PLUGINS))
    config = ServerConfig((HostConfig(root, plugins=plugins),))
    hosting = Hosting(config, hub, loop, shared=None, run_state=RunState())
    service = Service(hosting.application, loop, hub.registry)

    async def nothing():
        return ()

    hosting.start(service, nothing)
    site = SimpleNamespace(hub=hub, hosts=SimpleNamespace(handle=None))

    def handle(request):
        return hosting.application(request)

    site.hosts.handle = handle

    def prepare(*plugins):
        host = replace(hosting.config.hosts[0], plugins=plugins)
        return hosting.prepare(replace(hosting.config, hosts=(host,)))

    async with listening(site) as live:
        live.hosting, live.prepare = hosting, prepare
        yield live
    await hosting.stop()
    service.heartbeat.close()


async def edit(live, content):
    committer = live.hosting.hosts[0].committer
    location = live.hosting.hosts[0].store.resolve("/page.html")
    operation = Operation(Kind.REPLACE, Selector.parse("h1"), content.encode())
    await committer.commit(location, ElementEdit(operation, "PUT"), url="/page.html")


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_socket_goes_on_receives_and_may_still_ask(live):
    socket = await live.open()
    await socket.subscribe("h1")
    live.hosting.replace(live.prepare(*map(PluginConfig, PLUGINS)))
    await settle()
    await edit(live, "<h1>x</h1>")
    assert (await socket.item()).selector == "h1"
    assert (await socket.subscribe("ul"))["type"] == "subscribed"
    assert (await socket.subscribe("h1", action="unsubscribe"))["type"] == (
        "unsubscribed"
    )
    # Once more: it is handed on from one to the next.
    live.hosting.replace(live.prepare(*map(PluginConfig, PLUGINS)))
    await settle()
    assert (await socket.ask("x"))["error"] == "invalid-json"


async def test_new_rules_count_for_old_sockets_and_streams(live, tmp_path):
    socket = await live.open()
    _, stream = await live.stream()
    file = tmp_path / "nobody.html"
    file.write_text("<body>")
    guard = PluginConfig("authorization", {"authfile": file})
    live.hosting.replace(live.prepare(guard, *map(PluginConfig, PLUGINS)))
    assert await socket.closed() == 4403
    async with asyncio.timeout(20):
        await stream.read()


async def test_a_configuration_that_is_given_up_changes_nothing(live, tmp_path):
    socket = await live.open()
    file = tmp_path / "nobody.html"
    file.write_text("<body>")
    guard = PluginConfig("authorization", {"authfile": file})
    live.hosting.abandon(live.prepare(guard, *map(PluginConfig, PLUGINS)))
    await settle()
    await edit(live, "<h1>x</h1>")
    assert (await socket.item()).selector == "h1"
    assert (await socket.subscribe("ul"))["type"] == "subscribed"


async def test_without_the_plugin_its_sockets_are_told_to_go(live):
    socket = await live.open()
    live.hosting.replace(live.prepare(PluginConfig("file-handler")))
    assert await socket.closed() == 1001


async def test_limits_count_sockets_from_before(live):
    limited = (PluginConfig("websocket", {"max_connections_per_ip": 1}),)
    live.hosting.replace(live.prepare(*limited))
    await settle()
    socket = await live.open()
    live.hosting.replace(live.prepare(*limited))
    await settle()
    with pytest.raises(InvalidStatus, match="503"):
        await live.open()
    await socket.client.close()
    await live.open()
