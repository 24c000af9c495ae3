"""Starlette, FastAPI and Django inside a real server."""

import asyncio
import contextlib
import json
import sys
import types
import urllib.error
import urllib.request
from asyncio import to_thread

import pytest
from starlette.applications import Starlette
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, WebSocketRoute

from beamfast import ConnectError, Server, connect
from beamfast.errors import ConfigError
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig
from beamfast.server.plugin_types import load_plugin


def ask(url, method="GET", body=None, **headers):
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers, refusal.read()


@contextlib.asynccontextmanager
async def mounted(folder, app, path="/api", **options):
    """A server with documents, and an application under a path."""
    (folder / "page.html").write_text("<h1>document</h1>")
    plugins = (
        PluginConfig("asgi-mount", {"path": path, "app": app, **options}),
        PluginConfig("file-handler"),
    )
    config = ServerConfig((HostConfig(folder, plugins=plugins),), port=0)
    async with Server(config) as server:
        yield server


class Life:
    """A Starlette application, and what happened to it."""

    def __init__(self):
        self.events = []
        self.disconnected = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/hello/{name}", self.hello),
                Route("/mirror", self.mirror, methods=["POST"]),
                Route("/count", self.count),
                Route("/endless", self.endless),
                Route("/fail", self.fail),
                Route("/cookies", self.cookies),
                WebSocketRoute("/talk", self.talk),
                WebSocketRoute("/closed", self.closed),
            ],
            lifespan=self.lifespan,
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, app):
        self.events.append("startup")
        yield {"greeting": "hello"}
        self.events.append("shutdown")

    async def hello(self, request):
        return JSONResponse(
            {
                "greeting": request.state.greeting,
                "name": request.path_params["name"],
                "query": dict(request.query_params),
                "url": str(request.url_for("hello", name="x").path),
                "client": request.client.host,
            }
        )

    async def mirror(self, request):
        return Response(await request.body(), media_type="application/x-mirror")

    async def count(self, request):
        async def numbers():
            for number in range(1000):
                yield f"{number}\n"

        return StreamingResponse(numbers(), media_type="text/plain")

    async def endless(self, request):
        async def numbers():
            try:
                while True:
                    yield "x" * 1000
                    await asyncio.sleep(0)
            finally:
                self.disconnected.set()

        return StreamingResponse(numbers())

    async def fail(self, request):
        raise RuntimeError("secret")

    async def cookies(self, request):
        response = PlainTextResponse("two")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async def talk(self, websocket):
        await websocket.accept(subprotocol="b", headers=[(b"x-made-by", b"hand")])
        async for text in websocket.iter_text():
            if text == "close":
                await websocket.close(4001, "as you wish")
                return
            if text == "fail":
                raise RuntimeError("secret")
            await websocket.send_text(text.upper())
            await websocket.send_bytes(text.encode())
        self.events.append("left")

    async def closed(self, websocket):
        await websocket.close()


@pytest.fixture
async def life():
    return Life()


async def test_an_application_answers_below_its_path_and_documents_elsewhere(
    tmp_path, life
):
    async with mounted(tmp_path, life.app) as server:
        status, _, body = await to_thread(ask, server.url + "/api/hello/anna?a=b%20c")
        assert status == 200
        assert json.loads(body) == {
            "greeting": "hello",
            "name": "anna",
            "query": {"a": "b c"},
            "url": "/api/hello/x",
            "client": "127.0.0.1",
        }
        assert (await to_thread(ask, server.url + "/page.html"))[0] == 200
        assert (await to_thread(ask, server.url + "/api/missing"))[0] == 404
        assert (await to_thread(ask, server.url + "/apiary"))[0] == 404
        _, headers, _ = await to_thread(ask, server.url + "/api/cookies")
        assert len(headers.get_all("Set-Cookie")) == 2
        assert life.events == ["startup"]
    assert life.events == ["startup", "shutdown"]


async def test_bodies_go_in_and_come_out_whole(tmp_path, life):
    async with mounted(tmp_path, life.app) as server:
        large = bytes(range(256)) * 4000
        status, headers, body = await to_thread(
            ask, server.url + "/api/mirror", "POST", large
        )
        assert (status, body == large) == (200, True)
        assert headers["Content-Type"] == "application/x-mirror"
        status, headers, body = await to_thread(ask, server.url + "/api/count")
        assert body.split() == [b"%d" % number for number in range(1000)]
        assert headers["Transfer-Encoding"] == "chunked"


async def test_an_application_learns_that_the_client_went_away(tmp_path, life):
    async with mounted(tmp_path, life.app) as server:
        port = int(server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /api/endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readexactly(10_000)
        writer.transport.abort()
        await asyncio.wait_for(life.disconnected.wait(), 30)


async def test_a_failure_is_500_without_its_text(tmp_path, life, caplog):
    async with mounted(tmp_path, life.app) as server:
        status, _, body = await to_thread(ask, server.url + "/api/fail")
        assert status == 500
        assert b"secret" not in body
    assert "secret" in caplog.text


async def test_websockets_talk_close_and_fail(tmp_path, life):
    async with mounted(tmp_path, life.app) as server:
        url = server.url.replace("http", "ws") + "/api"
        async with connect(url + "/talk", subprotocols=["a", "b"]) as socket:
            assert socket.subprotocol == "b"
            assert socket.response.headers["X-Made-By"] == "hand"
            await socket.send("hello")
            assert [await socket.recv(), await socket.recv()] == ["HELLO", b"hello"]
            await socket.send("close")
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (4001, "as you wish")
        async with connect(url + "/talk", subprotocols=["b"]) as socket:
            await socket.send("fail")
            await socket.wait_closed()
            assert socket.close_code == 1011
        async with connect(url + "/talk", subprotocols=["b"]) as socket:
            await socket.send("bye")
            assert [await socket.recv(), await socket.recv()] == ["BYE", b"bye"]
        while "left" not in life.events:
            await asyncio.sleep(0.001)
        for path, headers in (
            ("/closed", []),
            ("/talk", [("Origin", "http://evil.example")]),
        ):
            with pytest.raises(ConnectError, match="403"):
                await connect(url + path, headers=headers)


async def test_fastapi_runs_as_it_is(tmp_path):
    from fastapi import FastAPI, WebSocket

    app = FastAPI()

    @app.get("/items/{number}")
    async def item(number: int, extra: str = "none"):
        return {"number": number, "extra": extra}

    @app.websocket("/echo")
    async def echo(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    async with mounted(tmp_path, app) as server:
        url = server.url + "/api"
        _, _, body = await to_thread(ask, url + "/items/7?extra=x")
        assert json.loads(body) == {"number": 7, "extra": "x"}
        assert (await to_thread(ask, url + "/items/seven"))[0] == 422
        assert b"/api/openapi.json" in (await to_thread(ask, url + "/docs"))[2]
        async with connect(url.replace("http", "ws") + "/echo") as socket:
            await socket.send("text")
            assert await socket.recv() == "text"


async def test_django_runs_as_it_is(tmp_path, monkeypatch):
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.urls import path

    async def view(request, name):
        return HttpResponse(f"{request.method} {request.path} {name} {request.body}")

    urls = types.ModuleType("urls_of_the_test")
    urls.urlpatterns = [path("<str:name>/", view)]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    settings.configure(ROOT_URLCONF=urls.__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
    django.setup()
    async with mounted(tmp_path, get_asgi_application(), "/site") as server:
        status, _, body = await to_thread(
            ask, server.url + "/site/anna/", "POST", b"data"
        )
        assert (status, body) == (200, b"POST /site/anna/ anna b'data'")
        assert (await to_thread(ask, server.url + "/site/none"))[0] == 404


async def test_an_application_can_be_named(tmp_path, monkeypatch, life):
    module = types.ModuleType("app_of_the_test")
    module.app = life.app
    monkeypatch.setitem(sys.modules, module.__name__, module)
    async with mounted(tmp_path, "app_of_the_test:app", path="/") as server:
        assert (await to_thread(ask, server.url + "/hello/x"))[0] == 200


@pytest.mark.parametrize(
    "options",
    [
        {"app": "no.such.module:app"},
        {"app": "json:no_such_name"},
        {"app": ""},
        {"app": "json:loads", "path": "api"},
    ],
)
def test_what_cannot_be_mounted_is_refused(options):
    with pytest.raises(ConfigError):
        load_plugin(PluginConfig("asgi-mount", options))
