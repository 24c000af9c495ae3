"""Python functions at addresses of a real server."""

import asyncio
import contextlib
import logging

import pytest

from beamfast import ConnectError, connect, event_source
from beamfast.errors import InvalidState
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig
from beamfast.server.handlers import Handlers
from beamfast.server.server import Server


def address(server, path):
    return server.url.replace("http", "ws", 1) + path


async def test_a_coroutine_receives_until_the_client_leaves_or_it_returns():
    server = Server(port=0)

    @server.websocket("/echo")
    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)
            if message == "enough":
                return

    async with server:
        async with connect(address(server, "/echo")) as client:
            await client.send("text")
            await client.send(b"bytes")
            assert [await client.recv(), await client.recv()] == ["text", b"bytes"]
        async with connect(address(server, "/echo")) as client:
            await client.send("enough")
            assert [message async for message in client] == ["enough"]
            assert client.close_code == 1000


async def test_a_function_sets_a_callback():
    server = Server(port=0)

    @server.websocket("/upper")
    def upper(websocket):
        websocket.on_message = lambda text: websocket.send_nowait(text.upper())

    async with server, connect(address(server, "/upper")) as client:
        await client.send("text")
        assert await client.recv() == "TEXT"


async def test_a_handler_that_fails_closes_with_1011_and_keeps_its_secrets(caplog):
    server = Server(port=0)

    @server.websocket("/fail")
    async def fail(websocket):
        raise RuntimeError("secret")

    async with server, connect(address(server, "/fail")) as client:
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1011, "internal error")
    assert "secret" in caplog.text


async def test_subprotocol_and_headers_are_those_of_the_handler():
    server = Server(port=0)

    @server.websocket("/", protocols=["b", "a"], headers=[("X-Made-By", "hand")])
    async def handler(websocket):
        await websocket.send(websocket.subprotocol or "none")

    async with server:
        for offered, chosen in ((["a", "b"], "a"), (["c"], "none")):
            async with connect(address(server, "/"), subprotocols=offered) as client:
                assert await client.recv() == chosen
                assert client.response.headers["X-Made-By"] == "hand"


async def test_a_topic_reaches_whoever_was_subscribed_and_leaves_out_the_sender():
    server = Server(port=0)

    @server.websocket("/news")
    def news(websocket):
        server.hub.subscribe(websocket, "news")
        websocket.on_message = lambda text: server.hub.publish(
            "news", text, exclude=websocket
        )

    async with (
        server,
        connect(address(server, "/news")) as one,
        connect(address(server, "/news")) as two,
    ):
        while server.hub.subscribers("news") < 2:
            await asyncio.sleep(0.001)
        await one.send("from one")
        assert await two.recv() == "from one"
        await two.send("from two")
        assert await one.recv() == "from two"
        server.hub.publish_threadsafe("news", b"\x00")
        assert await one.recv() == b"\x00"
        first, second = server.hub.connections()
        assert (first.kind, first.path, first.remote_addr, first.state) == (
            *("WebSocket", "/news"),
            *("127.0.0.1", "open"),
        )
        assert (first.topics, second.topics) == (("news",), ("news",))
        assert first.opened > 0


async def test_several_can_be_left_out_and_the_others_are_counted():
    server, members = Server(port=0), []

    @server.websocket("/news")
    async def news(websocket):
        server.hub.subscribe(websocket, "news")
        members.append(websocket)
        async for text in websocket:
            count = server.hub.publish("news", text, exclude=members[:2])
            await websocket.send(f"{count} got it")

    async with server, contextlib.AsyncExitStack() as stack:
        clients = []
        for number in range(4):
            client = await stack.enter_async_context(connect(address(server, "/news")))
            clients.append(client)
            while len(members) <= number:
                await asyncio.sleep(0.001)
        await clients[0].send("hello")
        assert await clients[0].recv() == "2 got it"
        assert [await one.recv() for one in clients[2:]] == ["hello", "hello"]
        server.hub.publish("news", "to all")
        assert [await one.recv() for one in clients] == ["to all"] * 4


async def test_a_topic_refuses_what_it_cannot_send_to():
    server, other = Server(port=0), Server(port=0)
    kept = []

    @other.websocket("/")
    async def keep(websocket):
        kept.append(websocket)
        await websocket.wait_closed()

    async def subscribed_elsewhere():
        async with server:
            with pytest.raises(ValueError, match="another event loop"):
                server.hub.subscribe(kept[0], "news")

    async with other, connect(address(other, "/")) as client:
        while not kept:
            await asyncio.sleep(0.001)
        with pytest.raises(ValueError, match="a socket of connect"):
            other.hub.subscribe(client, "news")
        with pytest.raises(TypeError, match="not to 'object'"):
            other.hub.subscribe(object(), "news")
        await asyncio.to_thread(asyncio.run, subscribed_elsewhere())
        assert other.hub.subscribe(kept[0], "news") == 1


async def test_events_are_sent_by_a_coroutine_and_by_a_topic():
    server = Server(port=0)

    @server.event_source("/count")
    async def count(source):
        start = int(source.last_event_id or 0)
        for number in range(start + 1, start + 4):
            await source.send(f"number {number}", event="count", id=str(number))

    @server.event_source("/news")
    def news(source):
        server.hub.subscribe(source, "news")

    async with server:
        async with event_source(server.url + "/count", last_event_id="7") as events:
            event = await anext(aiter(events))
            assert (event.type, event.data, event.last_event_id) == (
                *("count", "number 8"),
                "8",
            )
        async with event_source(server.url + "/news") as events:
            while not server.hub.subscribers("news"):
                await asyncio.sleep(0.001)
            server.hub.publish("news", "two\nlines")
            assert (await anext(aiter(events))).data == "two\nlines"


async def test_documents_and_handlers_live_side_by_side(tmp_path):
    (tmp_path / "page.html").write_text("<h1>x</h1>")
    server = Server(tmp_path, port=0)

    @server.websocket("/page.html")
    async def greet(websocket):
        await websocket.send("the handler was first")

    async with server:
        async with connect(address(server, "/page.html")) as client:
            assert await client.recv() == "the handler was first"
        async with connect(address(server, "/other.html")) as client:
            assert client.state.ready_state == 1


async def test_foreign_origins_and_other_paths_are_refused():
    server = Server(port=0)

    @server.websocket("/", allowed_origins=["http://friend.example"])
    async def handler(websocket):
        await websocket.send("welcome")

    async with server:
        for path, origin in (("/", "http://evil.example"), ("/x", "")):
            headers = [("Origin", origin)] if origin else []
            with pytest.raises(ConnectError):
                await connect(address(server, path), headers=headers)
        friend = [("Origin", "http://friend.example")]
        async with connect(address(server, "/"), headers=friend) as client:
            assert await client.recv() == "welcome"


def test_handlers_stand_behind_the_guards_and_before_the_documents(tmp_path):
    def pipeline(*plugins):
        host = HostConfig(tmp_path, plugins=tuple(map(PluginConfig, plugins)))
        inserted = handlers.insert(ServerConfig((host,))).hosts[0].plugins
        return [plugin.name.rpartition(":")[2] for plugin in inserted]

    handlers = Handlers()
    assert pipeline("websocket") == ["websocket"]
    handlers = Handlers()
    handlers.websocket("/")(print)
    guarded = pipeline("authorization", "websocket", "file-handler")
    assert guarded == ["authorization", "HandlerPlugin", "websocket", "file-handler"]
    assert pipeline() == ["HandlerPlugin"]
    with pytest.raises(InvalidState, match="before the server starts"):
        handlers.websocket("/late")(print)


async def test_a_reload_keeps_the_handlers():
    server = Server(port=0)

    @server.websocket("/")
    async def handler(websocket):
        await websocket.send("still here")

    async with server:
        assert await server.reload() == ()
        async with connect(address(server, "/")) as client:
            assert await client.recv() == "still here"


@pytest.mark.parametrize("register", [Handlers.websocket, Handlers.event_source])
def test_what_cannot_be_registered_is_refused(register):
    with pytest.raises(ValueError, match="does not begin with a slash"):
        register(Handlers(), "x")(print)
    with pytest.raises(ValueError, match="belongs to the handshake"):
        register(Handlers(), "/", headers=[("Upgrade", "x")])


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Handlers that fail on purpose are logged."""
    caplog.set_level(logging.ERROR)
