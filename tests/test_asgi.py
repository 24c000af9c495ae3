"""The application inside real ASGI servers, and the corners that few of them show."""

import asyncio
import urllib.error
import urllib.request
from asyncio import to_thread

import pytest

from beamfast import ConnectError, connect, event_source
from beamfast.asgi import App
from beamfast.errors import ConfigError, Unsupported

from .asgi_servers import SERVERS, running

PROGRAM = """
from beamfast.asgi import App

app = App("site", ordered=True)


@app.websocket("/talk", protocols=["b", "a"], headers=[("X-Made-By", "hand")])
async def talk(websocket):
    async for message in websocket:
        if message == "close":
            await websocket.close(4001, "as you wish")
        elif message == "fail":
            raise RuntimeError("secret")
        elif message == "ping":
            try:
                await websocket.ping()
            except Exception as error:
                await websocket.send(f"{type(error).__name__}: {error}")
        elif message == "feeders":
            await websocket.send(str(app.hub.subscribers("feed")))
        elif message == "feed":
            app.hub.publish("feed", "food")
        elif message == "facts":
            (facts,) = app.hub.connections()
            told = facts.path, facts.remote_addr, facts.subprotocol
            await websocket.send(" ".join(map(str, told)))
        else:
            await websocket.send(message)


@app.websocket("/news")
def news(websocket):
    app.hub.subscribe(websocket, "news")
    websocket.on_message = lambda text: app.hub.publish("news", text, exclude=websocket)


@app.websocket("/both")
def both(websocket):
    def publish(text):
        for topic in ("odd", "even", "odd", "even"):
            app.hub.publish(topic, f"{text} {topic}")

    app.hub.subscribe(websocket, "odd")
    app.hub.subscribe(websocket, "even")
    websocket.on_message = publish


@app.event_source("/feed")
def feed(source):
    app.hub.subscribe(source, "feed")
"""
PAGE = "<!DOCTYPE html>\n<h1>Old</h1>\n<ul id=list><li>one</ul>\n"


@pytest.fixture(scope="module", params=SERVERS)
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("asgi")
    (folder / "site").mkdir()
    (folder / "site" / "page.html").write_text(PAGE)
    with running(request.param, folder, PROGRAM) as server:
        server.folder = folder
        yield server


def ask(server, method, path, body=None, **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        server.url + path, data=body, method=method, headers=fields
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers, refusal.read()


def address(server, path):
    return server.url.replace("http", "ws", 1) + path


def edit(server, text):
    field = {"Range": "selector=h1"}
    return ask(server, "PUT", "/page.html", f"<h1>{text}</h1>".encode(), **field)


def test_177_documents_are_read_and_edited(server):
    assert ask(server, "GET", "/page.html")[0] == 200
    status, headers, body = edit(server, "New")
    assert (status, body) == (206, b"<h1>New</h1>")
    assert headers["Beam-Edit"] == "splice"
    status, headers, body = ask(server, "HEAD", "/page.html")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0
    assert ask(server, "GET", "/missing.html")[0] == 404
    assert ask(server, "PUT", "/page.html", b"x", Range="selector=h9")[0] == 404
    assert ask(server, "PUT", "/new.txt", b"x" * 200_000)[0] == 201
    assert ask(server, "GET", "/new.txt")[2] == b"x" * 200_000
    assert ask(server, "PUT", "/big.txt", b"x" * (8 * 2**20 + 1))[0] == 413
    foreign = {"Origin": "http://evil.example"}
    assert ask(server, "PUT", "/page.html", b"x", **foreign)[0] == 403
    assert ask(server, "GET", "/page.html", Host="evil.example")[0] == 421


async def test_177_edits_are_seen_over_websocket_and_event_stream(server):
    async with (
        connect(address(server, "/page.html")) as socket,
        event_source(server.url + "/page.html") as events,
    ):
        stream = aiter(events)
        reading = asyncio.ensure_future(anext(stream))
        # The stream is open when it says what to resume from.
        while not events.last_event_id:
            await asyncio.sleep(0.01)
        await to_thread(edit, server, "Live")
        assert '<span itemprop="method">PUT</span>' in await socket.recv()
        event = await reading
        assert "<h1>Live</h1>" in event.data
    version = event.last_event_id
    await to_thread(edit, server, "Later")
    async with event_source(server.url + "/page.html", last_event_id=version) as events:
        assert "<h1>Later</h1>" in (await anext(aiter(events))).data


async def test_topics_have_one_order_where_that_is_asked_for(server):
    async with connect(address(server, "/both")) as socket:
        await socket.send("one")
        got = [await socket.recv() for _ in range(4)]
    assert got == ["one odd", "one even"] * 2


async def test_177_messages_subprotocol_and_close_codes(server):
    async with connect(address(server, "/talk"), subprotocols=["a", "b"]) as socket:
        assert socket.subprotocol == "a"
        large = "".join(f"{number} " for number in range(50_000))
        for message in ("text", b"\x00bytes", "", large):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send("facts")
        assert await socket.recv() == "/talk 127.0.0.1 a"
        await socket.send("close")
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (4001, "as you wish")


async def test_what_the_other_server_keeps_to_itself_is_refused_clearly(server):
    async with connect(address(server, "/talk")) as socket:
        await socket.send("ping")
        assert "Unsupported: pings belong to the server" in await socket.recv()


async def test_177_a_handler_that_fails_closes_with_1011(server):
    async with connect(address(server, "/talk")) as socket:
        await socket.send("fail")
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (1011, "internal error")


async def test_177_a_topic_leaves_out_the_sender(server):
    async with (
        connect(address(server, "/news")) as one,
        connect(address(server, "/news")) as two,
    ):
        await one.send("first")
        assert await two.recv() == "first"
        for number in range(100):
            await two.send(str(number))
        assert [await one.recv() for _ in range(100)] == [str(n) for n in range(100)]


async def test_177_a_foreign_origin_is_rejected_with_403(server):
    with pytest.raises(ConnectError, match="403"):
        headers = [("Origin", "http://evil.example")]
        await connect(address(server, "/talk"), headers=headers)


async def test_177_a_viewer_that_disconnects_leaves_its_topics(server):
    async with connect(address(server, "/talk")) as socket:

        async def feeders():
            await socket.send("feeders")
            return await socket.recv()

        async with event_source(server.url + "/feed") as events:
            reading = asyncio.ensure_future(anext(aiter(events)))
            while await feeders() != "1":
                await asyncio.sleep(0.01)
            await socket.send("feed")
            assert (await reading).data == "food"
        while await feeders() != "0":
            await asyncio.sleep(0.01)


async def test_lifespan_starts_and_stops_the_application(tmp_path):
    app = App(tmp_path)
    messages = asyncio.Queue()
    for kind in ("startup", "shutdown"):
        messages.put_nowait({"type": f"lifespan.{kind}"})
    sent = []

    async def send(message):
        sent.append(message["type"])
        if message["type"].endswith("startup.complete"):
            assert app.hub.connections() == []

    await app({"type": "lifespan"}, messages.get, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(Exception, match="not running"):
        _ = app.hub


async def test_a_root_that_somebody_else_serves_fails_the_startup(tmp_path):
    first, second = App(tmp_path), App(tmp_path)
    sent = []

    async def send(message):
        sent.append(message)

    async def startup():
        return {"type": "lifespan.startup"}

    async def nothing():
        return {"type": "http.disconnect"}

    await first(scope("/x"), nothing, send)
    sent.clear()
    await second({"type": "lifespan"}, startup, send)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "is served already" in sent[0]["message"]
    await first.close()


def scope(path, kind="http", **more):
    return {
        "type": kind,
        "method": "GET",
        "path": path,
        "headers": [(b"host", b"localhost")],
        **more,
    }


async def call(app, scope, *messages):
    """Call an application with these messages, and return what it sent."""
    waiting, sent = list(messages), []

    async def receive():
        if not waiting:
            await asyncio.get_running_loop().create_future()
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


@pytest.fixture
async def app(tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    app = App(tmp_path)
    yield app
    await app.close()


async def test_the_mount_point_is_taken_off_the_path(app):
    whole = scope("/docs/page.html", root_path="/docs")
    start, body = await call(app, whole)
    assert (start["status"], body["body"]) == (200, PAGE.encode())


async def test_a_path_that_cannot_be_read_is_refused(app):
    start, _ = await call(app, scope("/x", raw_path=b"/%ff"))
    assert start["status"] == 400


async def test_a_refusal_without_the_extension_closes_before_it_opens(app):
    asked = scope("/x", "websocket", headers=[(b"origin", b"http://evil.example")])
    sent = await call(app, asked, {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]
    asked["extensions"] = {"websocket.http.response": {}}
    start, body = await call(app, asked, {"type": "websocket.connect"})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
    assert body["body"] == b"Origin not allowed"


async def test_a_client_that_goes_away_while_it_sends_is_no_error(app):
    half = {"type": "http.request", "body": b"x", "more_body": True}
    put = scope("/new.txt", method="PUT")
    start, _ = await call(app, put, half, {"type": "http.disconnect"})
    assert start["status"] == 400


async def test_other_kinds_of_connection_are_refused(app):
    with pytest.raises(Unsupported, match="'mqtt' are not served"):
        await call(app, scope("/x", "mqtt"))


async def test_an_application_is_reloaded_by_the_server_around_it(app):
    await call(app, scope("/page.html"))
    (host,) = app._guest._hosting.hosts
    assert "reloaded by that server" in (await host.status.reload())[0]


def test_what_is_unsafe_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        App(tmp_path / "missing")
