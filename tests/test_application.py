"""Corners of ASGI applications that the frameworks do not have."""

import asyncio

import pytest

from beamfast.application import HttpExchange, Lifespan, Talk
from beamfast.errors import HandshakeError
from beamfast.http import Request


@pytest.fixture
async def exchange():
    return HttpExchange(Request("GET", "/", url="/", path="/"))


START = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}


async def run(exchange, app):
    task = asyncio.ensure_future(exchange.run(app, {"path": "/"}))
    return await exchange.response(), task


async def test_an_application_that_does_not_answer_answers_500(exchange):
    async def silent(scope, receive, send):
        """Return at once."""

    response, task = await run(exchange, silent)
    await task
    assert response.status == 500


async def test_a_body_that_is_not_ended_breaks_off(exchange):
    async def half(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})

    response, task = await run(exchange, half)
    await task
    with pytest.raises(RuntimeError, match="did not end"):
        assert [piece async for piece in response.body] == []


async def test_an_application_waits_for_a_slow_client(exchange):
    sent = []

    async def fast(scope, receive, send):
        await send(START)
        for number in range(100):
            more = {"type": "http.response.body", "body": b"%d," % number}
            await send({**more, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    response, task = await run(exchange, fast)
    for _ in range(50):
        await asyncio.sleep(0)
    assert 0 < len(sent) < 30
    body = b"".join([piece async for piece in response.body])
    await task
    assert body == b"".join(b"%d," % number for number in range(100))


async def test_what_follows_the_answer_is_a_disconnect(exchange):
    seen = []

    async def curious(scope, receive, send):
        seen.append(await receive())
        await send(START)
        await send({"type": "http.response.body", "body": b"x"})

    response, task = await run(exchange, curious)
    await task
    assert (response.status, response.body) == (200, b"x")
    assert seen == [{"type": "http.request", "body": b"", "more_body": False}]
    assert await exchange._receive() == {"type": "http.disconnect"}


async def test_a_field_that_would_end_its_line_is_no_answer(exchange):
    async def smuggler(scope, receive, send):
        bad = [(b"a", b"b\r\nc: d")]
        await send({**START, "headers": bad})
        await send({"type": "http.response.body", "body": b"x"})

    response, task = await run(exchange, smuggler)
    await task
    assert response.status == 500


async def test_an_application_without_lifespan_is_ready():
    async def refuse(scope, receive, send):
        raise NotImplementedError

    lifespan = Lifespan(refuse)
    task = asyncio.ensure_future(lifespan.run())
    assert await lifespan.started() == {}
    lifespan.end()
    await lifespan.ended()
    await task


async def test_an_application_that_cannot_start_is_not_available():
    async def broken(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    lifespan = Lifespan(broken)
    task = asyncio.ensure_future(lifespan.run())
    for _ in range(2):
        with pytest.raises(HandshakeError, match="Not available"):
            await lifespan.started()
    await task


async def test_a_refusal_of_a_websocket_may_have_a_body():
    async def refuse(scope, receive, send):
        assert (await receive())["type"] == "websocket.connect"
        prefix = "websocket.http.response"
        await send({"type": f"{prefix}.start", "status": 402, "headers": []})
        await send({"type": f"{prefix}.body", "body": b"pay ", "more_body": True})
        await send({"type": f"{prefix}.body", "body": b"first"})

    talk = Talk(100)
    task = asyncio.ensure_future(talk.run(refuse, {"path": "/"}))
    response = await talk.response()
    await task
    assert (response.status, response.body) == (402, b"pay first")


async def test_an_application_that_does_not_decide_refuses():
    async def silent(scope, receive, send):
        """Return at once."""

    talk = Talk(100)
    await talk.run(silent, {"path": "/"})
    with pytest.raises(HandshakeError) as refusal:
        await talk.response()
    assert refusal.value.status == 403
