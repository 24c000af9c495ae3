"""Requests and responses in order. How connections end: ``test_http_endings.py``."""

import asyncio

import pytest
from hypothesis import given, settings, strategies as st

from beamfast.connection.exchange import DISCARD_LIMIT, HIGH_WATER
from beamfast.http import Response
from beamfast.protocol.http11 import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HELLO = b"PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def get(target, *fields):
    lines = [f"GET {target} HTTP/1.1", "Host: a", *fields, "", ""]
    return "\r\n".join(lines).encode()


def plain(request):
    """Answer at once, without a look at the body."""
    return Response(200, f"{request.method} {request.target}")


async def echo(request):
    """Answer with the body, once it is complete."""
    body = await request.body()
    return Response(200, f"{request.method} {request.target} ".encode() + body)


def bodies(replies):
    return [reply.body for reply in replies]


class Held:
    """An application that answers when it is told to."""

    def __init__(self):
        self.begun = {}

    def __call__(self, request):
        return self.answer(request)

    async def answer(self, request):
        self.begun[request.target] = asyncio.get_running_loop().create_future()
        return await self.begun[request.target]

    async def release(self, target, client, response=None):
        self.begun[target].set_result(response or Response(200, target))
        await client.send()


# One after the other


@pytest.mark.parametrize("application", [plain, echo])
async def test_a_request_is_answered_and_the_connection_stays(connect, application):
    client = connect(application)
    for _ in range(3):
        await client.send(GET)
        (reply,) = client.replies()
        assert (reply.status, reply.body.strip()) == (200, b"GET /")
        assert client.is_idle
        assert not client.transport.closing


@pytest.mark.parametrize("application", [plain, echo])
async def test_a_request_is_answered_however_it_is_cut(connect, application):
    client = connect(application)
    await client.send(*(bytes([byte]) for byte in HELLO + GET))
    assert [body.split()[1] for body in bodies(client.replies())] == [b"/hello", b"/"]
    assert client.is_idle


async def test_a_request_knows_where_it_comes_from(connect):
    client = connect(plain)
    await client.send(GET)
    (request,) = client.requests
    assert request.remote_addr == "192.0.2.1"
    assert not request.is_secure
    assert request.started > 0


async def test_a_request_over_tls_is_secure(connect):
    client = connect(plain, is_tls=True)
    await client.send(GET)
    assert client.requests[0].is_secure


async def test_a_unix_socket_has_no_address(connect):
    client = connect(plain)
    client.transport._extra["peername"] = ""
    client.connection.connection_made(client.transport)
    await client.send(GET)
    assert client.requests[0].remote_addr == "-"


async def test_empty_lines_between_requests_are_passed_over(connect):
    client = connect(plain)
    await client.send(b"\r\n", GET, b"\r\n\r\n", GET)
    assert len(client.replies()) == 2


# Pipelines (RFC 9112, 9.3.2)


@pytest.mark.parametrize("application", [plain, echo])
async def test_a_pipeline_is_answered_in_order(connect, application):
    client = connect(application)
    await client.send(b"".join(get(f"/{number}") for number in range(200)))
    answered = [int(body.split()[1][1:]) for body in bodies(client.replies())]
    assert answered == list(range(200))
    assert client.is_idle


async def test_followers_keep_their_bodies(connect):
    client = connect(echo)
    chunked = (
        b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n"
    )
    await client.send(HELLO + chunked + GET + HELLO)
    assert bodies(client.replies()) == [
        b"PUT /hello hello",
        b"POST /chunked one two",
        b"GET / ",
        b"PUT /hello hello",
    ]


async def test_one_request_is_in_work_at_a_time(connect):
    held = Held()
    client = connect(held)
    await client.send(get("/1") + get("/2"), get("/3"))
    assert list(held.begun) == ["/1"]
    for target in ("/1", "/2", "/3"):
        await held.release(target, client)
    assert bodies(client.replies()) == [b"/1", b"/2", b"/3"]


async def test_nothing_more_is_read_while_a_follower_waits(connect):
    held = Held()
    client = connect(held)
    await client.send(get("/1"))
    assert client.transport.reading
    await client.send(get("/2"))
    assert not client.transport.reading
    await held.release("/1", client)
    assert client.transport.reading
    await held.release("/2", client)


async def test_answers_stay_in_order_when_some_take_time(connect):
    def application(request):
        return plain(request) if request.target.endswith("now") else echo(request)

    client = connect(application)
    targets = ["/1-now", "/2", "/3-now", "/4", "/5", "/6-now"]
    await client.send(b"".join(map(get, targets)))
    answered = [body.split()[1].decode() for body in bodies(client.replies())]
    assert answered == targets


request_kinds = st.sampled_from(
    [
        (b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /now"),
        (b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n", b"/later"),
        (
            b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            b"abc",
        ),
        (
            b"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n",
            b"abcd",
        ),
        (
            b"PUT /now HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            b"PUT /now",
        ),
        (
            b"GET /later HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\n\r\n",
            b"/later",
        ),
    ]
)


async def mixed(request):
    if request.target == "/echo":
        return Response(200, await request.body())
    await asyncio.sleep(0)
    return Response(200, request.target)


@settings(max_examples=60)
@given(st.lists(request_kinds, max_size=8), st.lists(st.integers(1, 400), max_size=8))
def test_any_pipeline_cut_anywhere_is_answered_in_order(on_fake, kinds, cuts):
    def application(request):
        return plain(request) if request.target == "/now" else mixed(request)

    async def scenario(connect):
        client = connect(application)
        data = b"".join(sent for sent, _ in kinds)
        for size in [*cuts, len(data)]:
            if data[:size]:
                await client.send(data[:size])
            data = data[size:]
        assert bodies(client.replies()) == [answer for _, answer in kinds]
        assert client.is_idle

    on_fake(scenario)


# Bodies


async def test_a_body_that_nobody_reads_is_dropped(connect):
    client = connect(plain)
    await client.send(HELLO + GET)
    assert bodies(client.replies()) == [b"PUT /hello", b"GET /"]
    await client.send(HELLO[:-2])
    assert len(client.replies()) == 1
    assert not client.is_idle
    await client.send(HELLO[-2:] + GET)
    assert bodies(client.replies()) == [b"GET /"]
    assert client.is_idle


async def test_a_body_that_is_only_half_read_is_dropped(connect):
    async def first_piece(request):
        return Response(200, await anext(request.chunks()))

    client = connect(first_piece)
    await client.send(HELLO[:-2], HELLO[-2:] + HELLO)
    assert bodies(client.replies()) == [b"hel", b"hello"]
    assert client.is_idle


async def test_a_body_is_read_as_fast_as_the_application_does(connect):
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return Response(200, str(len(await request.body())))

    client = connect(slow)
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    await client.send(head % (HIGH_WATER * 2), b"x" * (HIGH_WATER - 1))
    assert client.transport.reading
    await client.send(b"x")
    assert not client.transport.reading
    gate.set()
    await client.send()
    assert client.transport.reading
    await client.send(b"x" * HIGH_WATER)
    assert bodies(client.replies()) == [b"%d" % (HIGH_WATER * 2)]


async def test_a_body_over_the_limit_is_413(connect):
    client = connect(limited, limits=Limits(max_body=8))
    await client.send(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"6\r\n123456\r\n",
    )
    assert client.replies() == []
    await client.send(b"6\r\n123456\r\n")
    (reply,) = client.replies()
    assert (reply.status, reply.headers["Connection"]) == (413, "close")
    assert client.transport.eof_written


async def limited(request):
    """Answer as the pipeline does: what the body raises has a status."""
    try:
        return Response(200, await request.body())
    except Exception as error:
        return Response(error.status, str(error))


async def test_an_unread_body_over_the_limit_of_patience_ends_the_connection(connect):
    client = connect(plain)
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    await client.send(head % (DISCARD_LIMIT * 2), b"x" * DISCARD_LIMIT)
    assert len(client.replies()) == 1
    assert not client.transport.eof_written
    await client.send(b"x", b"x" * 100)
    assert client.transport.eof_written
    assert client.transport.reading


# 100 Continue (RFC 9110, 10.1.1)

EXPECT = (
    b"PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
)


async def test_100_continue_is_sent_when_the_body_is_asked_for(connect):
    client = connect(echo)
    await client.send(EXPECT)
    assert bytes(client.transport.written) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"hello")
    assert bodies(client.replies()) == [b"PUT /e hello"]
    assert client.is_idle


async def test_100_continue_waits_for_its_turn(connect):
    held = Held()

    def application(request):
        return held(request) if request.method == "GET" else echo(request)

    client = connect(application)
    await client.send(GET + EXPECT)
    assert client.transport.written == b""
    await held.release("/", client)
    assert client.transport.written.endswith(b"\r\n\r\n/HTTP/1.1 100 Continue\r\n\r\n")
    await client.send(b"hello")
    assert bodies(client.replies()) == [b"/", b"PUT /e hello"]


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_refused_body_is_not_asked_for(connect, is_slow):
    async def refuse_later(request):
        return refuse(request)

    def refuse(request):
        return Response(403)

    client = connect(refuse_later if is_slow else refuse)
    await client.send(EXPECT)
    (reply,) = client.replies()
    assert (reply.status, reply.headers["Connection"]) == (403, "close")
    assert client.transport.eof_written


async def test_a_body_that_comes_with_its_head_is_not_asked_for(connect):
    client = connect(echo)
    await client.send(EXPECT + b"hello" + GET)
    assert client.transport.written.count(b"100 Continue") == 0
    assert bodies(client.replies()) == [b"PUT /e hello", b"GET / "]


async def test_100_continue_never_comes_behind_the_answer(connect):
    def application(request):
        return Response(200, request.chunks())

    client = connect(application)
    await client.send(EXPECT)
    assert b"100 Continue" not in client.transport.written
    await client.send(b"hello")
    assert bodies(client.replies()) == [b"hello"]


# Responses without content, and old clients


@pytest.mark.parametrize("application", [plain, echo])
async def test_head_is_answered_like_get_without_the_content(connect, application):
    client = connect(application)
    await client.send(GET.replace(b"GET", b"HEAD") + GET)
    first, second = client.replies("HEAD")
    assert (first.status, first.body) == (200, b"")
    assert second.headers["Content-Length"] in ("5", "6")


@pytest.mark.parametrize("status", [204, 304])
async def test_204_and_304_have_no_content(connect, status):
    client = connect(lambda _: Response(status, b"ignored"))
    await client.send(GET + GET)
    replies = client.replies()
    assert [reply.status for reply in replies] == [status, status]
    assert "Content-Length" not in replies[0].headers


async def test_http_1_0_closes(connect):
    client = connect(plain)
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    (reply,) = client.replies()
    assert reply.headers["Connection"] == "close"
    assert client.transport.closing


async def test_http_1_0_may_ask_for_another(connect):
    client = connect(plain)
    old = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    await client.send(old + old)
    replies = client.replies()
    assert [reply.headers["Connection"] for reply in replies] == ["keep-alive"] * 2
    assert not client.transport.closing


@pytest.mark.parametrize("application", [plain, echo])
async def test_connection_close_is_granted(connect, application):
    client = connect(application)
    await client.send(get("/", "Connection: close") + GET)
    (reply,) = client.replies()
    assert reply.headers["Connection"] == "close"
    assert client.transport.closing
    assert not client.transport.aborted


# Bodies of responses that come piece by piece


async def parts(*pieces):
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_streamed_answer_is_followed_by_the_next(connect, is_slow, tasks):
    def stream(request):
        return Response(200, parts(b"one ", request.target.encode()))

    async def stream_later(request):
        return stream(request)

    client = connect(stream_later if is_slow else stream)
    await client.send(get("/1") + get("/2"))
    assert bodies(client.replies()) == [b"one /1", b"one /2"]
    assert client.is_idle
    assert tasks() == 0


async def test_a_streamed_answer_waits_for_a_slow_client(connect):
    asked = []

    async def large():
        for number in range(100):
            asked.append(number)
            yield b"x" * 2**14

    client = connect(lambda _: Response(200, large()))
    client.transport.block()
    await client.send(GET)
    assert len(asked) < 10
    client.transport.read()
    await client.send()
    (reply,) = client.replies()
    assert len(reply.body) == 100 * 2**14
    assert client.is_idle


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_client_that_asks_and_does_not_read_is_not_answered(connect, is_slow):
    def large(request):
        return Response(200, b"x" * 2**17)

    async def large_later(request):
        return large(request)

    client = connect(large_later if is_slow else large)
    client.transport.block()
    await client.send(get("/1") + get("/2"), get("/3"))
    assert client.targets == ["/1"]
    assert not client.transport.reading
    client.connection.on_drain()
    client.transport.read()
    await client.send()
    assert client.targets == ["/1", "/2", "/3"]
    assert len(client.replies()) == 3
    assert client.transport.reading
    assert client.is_idle


async def test_an_echo_that_starts_before_the_body_is_complete(connect):
    client = connect(lambda request: Response(200, request.chunks()))
    await client.send(HELLO[:-2])
    assert client.transport.written.endswith(b"3\r\nhel\r\n")
    await client.send(HELLO[-2:] + GET)
    assert bodies(client.replies()) == [b"hello", b""]
    assert client.is_idle
