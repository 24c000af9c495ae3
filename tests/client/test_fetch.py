"""Requests over real sockets."""

import asyncio

import pytest

from beamfast.client.dial import Route
from beamfast.client.fetch import fetch
from beamfast.errors import ConnectError
from beamfast.http import Response


async def test_content_of_any_size_comes_whole(serve):
    async def pieces():
        for _ in range(200):
            yield b"x" * 10_000

    async with serve(lambda request: Response(200, pieces())) as site:
        exchange = await fetch("GET", site.url(scheme="http"), Route())
        assert exchange.response.status == 200
        assert await exchange.content() == b"x" * 2_000_000
        exchange.close()


async def test_what_nobody_reads_stops_the_server(serve):
    made = []

    async def pieces():
        while True:
            made.append(1)
            yield b"x" * 65536

    async with serve(lambda request: Response(200, pieces())) as site:
        exchange = await fetch("GET", site.url(scheme="http"), Route())
        before = -1
        while before != len(made):
            before = len(made)
            for _ in range(100):
                await asyncio.sleep(0)
        async for chunk in exchange.chunks():
            assert set(chunk) == {ord("x")}
            if len(made) > before:
                break
        exchange.close()


@pytest.mark.parametrize(("method", "answer"), [("GET", 200), ("PUT", 307)])
async def test_only_what_may_be_repeated_follows_redirects(serve, method, answer):
    def application(request):
        if request.path == "/a":
            return Response(307, headers=[("Location", "/b")])
        return Response(200, "here")

    async with serve(application) as site:
        url = site.url("/a", scheme="http")
        exchange = await fetch(method, url, Route(), headers=[("X", "y")], body=b"")
        assert exchange.response.status == answer
        exchange.close()
    assert all(request.headers["x"] == "y" for request in site.requests)


async def test_a_circle_of_redirects_ends(serve):
    away = Response(302, headers=[("Location", "/")])
    async with serve(lambda request: away) as site:
        with pytest.raises(ConnectError, match="more than 2"):
            await fetch("GET", site.url(scheme="http"), Route(), max_redirects=2)


@pytest.mark.parametrize(
    "data", [b"", b"what?\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_a_broken_answer_is_an_error(data):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectError) as caught:
            exchange = await fetch("GET", f"http://127.0.0.1:{port}/", Route())
            await exchange.content()
    assert caught.value.status is None
