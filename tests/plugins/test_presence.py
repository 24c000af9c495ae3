"""Who looks at a page, asked over HTTP and told over sockets and streams."""

import asyncio
import json

import pytest
import turbohtml

from beamfast.documents.streamitem import parse
from beamfast.server.config import PluginConfig

from .live import listening

PLUGINS = (
    "websocket",
    "eventsource",
    "presence",
    "selector-handler",
    "file-handler",
)


@pytest.fixture
async def live(make_site):
    site = make_site(*map(PluginConfig, PLUGINS))
    async with listening(site) as live:
        yield live


async def ask(live, path="/page.html", method="GET"):
    answer = await live.site.ask(method, path, Range="presence")
    assert answer.status == 206
    assert answer.headers["Content-Range"] == "presence"
    assert answer.headers["Content-Type"].startswith("application/json")
    return json.loads(answer.body)


async def until_count(live, count):
    async with asyncio.timeout(20):
        while (await ask(live))["count"] != count:
            await asyncio.sleep(0.001)


async def presence_of(socket):
    """Return number, who came and who went, of the next PRESENCE item."""
    text = await socket.text()
    assert parse(text).method == "PRESENCE"
    return fields_of(text)


def fields_of(text):
    (item,) = turbohtml.parse_fragment(text.strip(), "div").children
    found = {child.attr("itemprop"): child.text for child in item.children}
    return int(found["count"]), json.loads(found["joined"]), json.loads(found["left"])


async def test_a_get_tells_who_follows_a_document(live):
    assert await ask(live) == {"url": "/page.html", "count": 0, "members": []}
    await live.open()
    await live.stream()
    found = await ask(live)
    assert found["count"] == 2
    assert [set(member) for member in found["members"]] == [{"id", "user", "since"}] * 2
    assert (await ask(live, "/other.html"))["count"] == 0
    assert (await ask(live, "/"))["url"] == "/index.html"


async def test_who_has_closed_is_not_there(live):
    socket = await live.open()
    status, _ = await live.stream()
    assert status == 200
    await until_count(live, 2)
    await socket.client.close()
    await until_count(live, 1)


async def test_who_follows_another_document_has_left_this_one(live):
    socket = await live.open()
    await socket.subscribe("*", "/other.html")
    assert (await ask(live))["count"] == 0
    assert (await ask(live, "/other.html"))["count"] == 1
    await socket.subscribe("*", action="unsubscribe")
    assert (await ask(live, "/other.html"))["count"] == 0


async def test_a_versioned_socket_that_asks_is_told_who_comes_and_goes(live):
    socket = await live.open("/page.html?presence", subprotocols=["beam.v1"])
    assert (await socket.item()).method == "VERSION"
    count, joined, left = await presence_of(socket)
    if not count:
        # Its own arrival is told to all at the end of that turn of the loop.
        count, joined, left = await presence_of(socket)
    assert (count, len(joined), left) == (1, 1, [])
    other = await live.open()
    count, (member,), left = await presence_of(socket)
    assert (count, member["user"], left) == (2, None, [])
    await other.client.close()
    count, joined, (gone,) = await presence_of(socket)
    assert (count, joined, gone) == (1, [], member)


async def test_an_event_stream_that_asks_gets_events_without_an_id(live):
    _, reader = await live.stream("/page.html?presence")
    async with asyncio.timeout(20):
        text = (await reader.readuntil(b"event: presence\r\n")).decode()
        data = (await reader.readline()).decode()
        end = await reader.readline()
    assert text.count("id:") == 1
    assert fields_of(data.removeprefix("data: "))[0] in (0, 1)
    assert end == b"\r\n"


@pytest.mark.parametrize("options", [{}, {"subprotocols": ["beam.v1"]}])
async def test_nobody_else_is_told(live, options):
    path = "/page.html" if options else "/page.html?presence"
    socket = await live.open(path, **options)
    if options:
        assert (await socket.item()).method == "VERSION"
    await live.open()
    await live.site.ask("PUT", "/page.html", b"<h1>x</h1>", "h1")
    assert (await socket.item()).method == "PUT"


async def test_users_can_be_kept_back(make_site):
    options = {"show_users": False}
    site = make_site(PluginConfig("presence", options), PluginConfig("websocket"))
    async with listening(site) as live:
        await live.open()
        assert await ask(live) == {"url": "/page.html", "count": 1}
        socket = await live.open("/page.html?presence", subprotocols=["beam.v1"])
        await socket.item()
        while (told := await presence_of(socket))[0] != 2:
            assert told[1:] == ([], [])
        assert told == (2, [], [])


async def test_other_ranges_and_methods_are_left_to_others(live):
    assert (await live.site.ask("GET", "/page.html", Range="bytes=0-1")).status == 200
    answer = await live.site.ask("DELETE", "/page.html", Range="presence")
    assert answer.headers.get("Content-Range") is None
    assert (await live.site.ask("HEAD", "/", Range="Presence")).status == 206


async def test_without_the_plugin_nobody_is_counted(make_site):
    site = make_site(PluginConfig("websocket"), PluginConfig("file-handler"))
    async with listening(site) as live:
        socket = await live.open("/page.html?presence", subprotocols=["beam.v1"])
        assert (await socket.item()).method == "VERSION"
        assert site.host.committer.audience is None
        answer = await site.ask("GET", "/page.html", Range="presence")
        assert answer.status == 200
