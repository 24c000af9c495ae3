"""Chat rooms: who hears what, what newcomers are told, what is refused."""

import asyncio
import json

import pytest

from beamfast.errors import ConfigError
from beamfast.plugins.chat import clean_name
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec_WebSocket_Version": "13",
}


@pytest.fixture
def make_chat(make_site, make_viewer):
    """A site with rooms, and sockets to join them."""

    class Socket(make_viewer):
        """A WebSocket as a plugin sees it."""

        def __init__(self, site):
            super().__init__(site)
            self.on_message = None
            self.closed = None

        @staticmethod
        def frame_message(message):
            return f"{message}\n".encode()

        def close_nowait(self, code, reason):
            self.closed = code, reason

        def leave(self):
            super().connection_lost(None)
            self.on_close(self, 1001, "")

    class Chat:
        def __init__(self, **options):
            given = {"urls": ("/chat", "/other"), "announce": False, **options}
            self.site = make_site(
                *(PluginConfig("chat", given), PluginConfig("websocket")),
                *(PluginConfig("selector-handler"), PluginConfig("file-handler")),
            )

        async def join(self, name="", path="/chat/connect", **fields):
            answer = await self.site.ask(
                "GET", f"{path}?name={name}", **HANDSHAKE, **fields
            )
            assert answer.status == 101
            socket = Socket(self.site)
            answer.upgrade.on_open(socket)
            return socket

    return Chat


async def test_167_others_get_name_and_text_and_the_sender_nothing(make_chat):
    chat = make_chat()
    anna, ben, eve = [await chat.join(name) for name in ("Anna", "Ben", "Eve")]
    anna.on_message("hello")
    ben.on_message(b"caf\xc3\xa9")
    assert await anna.lines() == ["Ben: caf\N{LATIN SMALL LETTER E WITH ACUTE}"]
    assert await ben.lines() == ["Anna: hello"]
    assert await eve.lines() == [*await ben.lines(), *await anna.lines()]


async def test_a_sender_gets_the_own_messages_when_that_is_configured(make_chat):
    anna = await make_chat(exclude_sender=False).join("Anna")
    anna.on_message("hello")
    assert await anna.lines() == ["Anna: hello"]


async def test_168_a_joiner_gets_the_history_which_is_capped(make_chat):
    chat = make_chat(history=3, burst=100)
    anna = await chat.join("Anna")
    for number in range(5):
        anna.on_message(str(number))
    ben = await chat.join("Ben")
    assert await ben.lines() == ["Anna: 2", "Anna: 3", "Anna: 4"]
    anna.on_message("5")
    assert (await ben.lines())[3:] == ["Anna: 5"]
    assert await (await make_chat(history=0).join()).lines() == []


async def test_169_too_many_messages_are_dropped(make_chat):
    chat = make_chat(burst=3, rate=0.001)
    anna, ben = await chat.join("Anna"), await chat.join("Ben")
    for number in range(5):
        anna.on_message(str(number))
    assert await ben.lines() == ["Anna: 0", "Anna: 1", "Anna: 2"]
    assert anna.closed is None


async def test_169_or_close_the_connection_when_that_is_configured(make_chat):
    anna = await make_chat(burst=1, rate=0.001, on_excess="close").join("Anna")
    anna.on_message("one")
    assert anna.closed is None
    anna.on_message("two")
    assert anna.closed == (1008, "too many messages")


async def test_170_two_chat_urls_are_two_rooms(make_chat):
    chat = make_chat()
    anna = await chat.join("Anna")
    ben = await chat.join("Ben", path="/other")
    anna.on_message("hello")
    ben.on_message("anybody?")
    assert (await anna.lines(), await ben.lines()) == ([], [])


async def test_166_rooms_of_two_hosts_do_not_hear_each_other(make_chat, make_viewer):
    chat = make_chat()
    anna = await chat.join("Anna")
    chat.site.hub.publish("/chat", "an outsider's topic")
    chat.site.hub.publish("chat", "another one")
    assert await anna.lines() == []


async def test_joins_and_leaves_are_announced(make_chat):
    chat = make_chat(announce=True)
    anna = await chat.join("Anna")
    ben = await chat.join("Ben")
    ben.leave()
    assert await anna.lines() == ["* Ben joins", "* Ben leaves"]
    # Who comes later hears what was said, not who passed by.
    assert await (await chat.join("Eve")).lines() == []


async def test_the_json_format_says_what_each_line_is(make_chat):
    chat = make_chat(format="json", announce=True)
    anna = await chat.join("Anna")
    anna.on_message("<b>hello</b>")
    ben = await chat.join("Ben")
    ben.on_message("hi")
    ben.leave()
    (past,) = map(json.loads, await ben.lines())
    assert (past["type"], past["name"], past["text"]) == (
        *("history", "Anna"),
        "<b>hello</b>",
    )
    seen = [json.loads(line) for line in await anna.lines()]
    assert [(one["type"], one["name"]) for one in seen] == [
        *(("join", "Ben"), ("message", "Ben"), ("leave", "Ben")),
    ]
    assert past["id"] < seen[0]["id"] < seen[1]["id"] < seen[2]["id"]
    assert past["time"] <= seen[0]["time"]


async def test_blank_messages_are_not_passed_on(make_chat):
    chat = make_chat()
    anna, ben = await chat.join("Anna"), await chat.join("Ben")
    anna.on_message(" \n")
    assert await ben.lines() == []


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ("Anna", "Anna"),
        ("  Anna\t\n B: x  ", "Anna B x"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}Anna", "Anna"),
        ("x" * 40, "x" * 32),
        (":", ""),
    ],
)
def test_a_nickname_fits_a_line(chosen, name):
    assert clean_name(chosen) == name


async def test_who_chooses_no_name_gets_one(make_chat):
    chat = make_chat()
    nobody, ben = await chat.join(), await chat.join("Ben")
    nobody.on_message("hello")
    (line,) = await ben.lines()
    assert line.startswith("guest-")


async def test_a_room_can_be_for_users_or_show_addresses(make_chat):
    users = make_chat(name="user")
    refused = await users.site.ask("GET", "/chat/connect", **HANDSHAKE)
    assert refused.status == 403
    room = make_chat(name="ip")
    anna, ben = await room.join("Anna"), await room.join("Ben")
    anna.on_message("hello")
    assert await ben.lines() == ["-: hello"]


async def test_a_message_has_a_limit(make_chat):
    chat = make_chat(max_message=10)
    answer = await chat.site.ask("GET", "/chat/connect", **HANDSHAKE)
    assert answer.upgrade.max_size == 10


async def test_pages_of_other_origins_cannot_join(make_chat):
    chat = make_chat(allowed_origins=("http://friend.example",))
    for origin, status in (("friend", 101), ("evil", 403)):
        fields = {**HANDSHAKE, "Origin": f"http://{origin}.example"}
        assert (await chat.site.ask("GET", "/chat", **fields)).status == status


async def test_the_page_knows_its_room(make_chat):
    site = make_chat(format="json").site
    page = (await site.ask("GET", "/chat")).body
    assert b'data-url="chat" data-own="shown" data-format="json"' in page
    script = (await site.ask("GET", "/chat/page.js")).body
    assert b"innerHTML" not in script
    assert (await site.ask("GET", "/elsewhere")).status == 404


DOCUMENT = {"format": "stream-item", "document": "/{room}.html", "burst": 100}


async def test_a_room_can_be_a_live_document(make_chat):
    chat = make_chat(**DOCUMENT, history=3)
    anna = await chat.join("Anna")
    for number in range(5):
        anna.on_message(f"<b>{number}</b>")
    items = await until(anna, lambda lines: "".join(lines).count("DELETE") == 2)
    assert "<li><b>Anna</b>: <span>&lt;b&gt;4&lt;/b&gt;</span></li>" in items
    await chat.site.host.committer.flush()
    page = chat.site.read("/chat.html").decode()
    assert page.count("<li>") == 3
    assert "&lt;b&gt;2&lt;/b&gt;" in page
    assert "&lt;b&gt;1&lt;/b&gt;" not in page
    # Another room is another document, and viewers of the page are in the room.
    assert not (chat.site.root / "other.html").exists()
    answer = await chat.site.ask("GET", "/chat.html", **HANDSHAKE)
    viewer = type(anna)(chat.site)
    answer.upgrade.on_open(viewer)
    anna.on_message("live")
    await until(viewer, lambda lines: "live" in "".join(lines))


async def test_a_document_room_says_who_is_there(make_chat):
    chat = make_chat(**DOCUMENT, announce=True, history=0)
    anna = await chat.join("Anna")
    anna.leave()
    await asyncio.sleep(0)
    room = await chat.join("Ben")
    await until(room, lambda lines: "Ben joins" in "".join(lines))
    await chat.site.host.committer.flush()
    page = chat.site.read("/chat.html")
    notices = [b"Anna joins", b"Anna leaves", b"Ben joins"]
    places = [page.index(b'<li class="notice">' + notice) for notice in notices]
    assert places == sorted(places)


async def test_a_message_that_cannot_be_stored_is_reported(make_chat, caplog):
    chat = make_chat(**DOCUMENT)
    (chat.site.root / "chat.html").write_text("<p>no list here")
    anna = await chat.join("Anna")
    anna.on_message("hello")
    while "a message is lost" not in caplog.text:
        await asyncio.sleep(0.001)


async def until(socket, condition) -> str:
    """Return what came, once it is as it should be."""
    while not condition(lines := await socket.lines()):
        await asyncio.sleep(0.001)
    return "\n".join(lines)


@pytest.mark.parametrize(
    "options",
    [
        {"urls": ("chat",)},
        {"rate": 0.0},
        {"burst": 0},
        {"format": "stream-item"},
        {"document": "/chat.html"},
        {"selector": "ul li"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(ConfigError):
        load_plugin(PluginConfig("chat", options))


async def test_without_urls_there_is_a_notice_in_the_log(make_site, caplog):
    make_site(PluginConfig("chat"))
    assert "there are no rooms" in caplog.text
