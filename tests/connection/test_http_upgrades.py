"""HTTP connections that become something else, or do not."""

import re

import pytest

from beamfast._frames import build_frame
from beamfast.connection.eventsource import EventSource
from beamfast.connection.websocket import WebSocket
from beamfast.http import EventStream, Response, Upgrade
from beamfast.protocol.eventsource import encode_retry

GET = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PING = build_frame(0x9, b"hi", mask=b"abcd")
PONG = b"\x8a\x02hi"


def now(answer):
    return answer


def later(answer):
    async def answer_later(request):
        return answer(request)

    return answer_later


both = pytest.mark.parametrize("when", [now, later])


class Site:
    """Takes every WebSocket and event stream that it is asked for."""

    def __init__(self):
        self.opened = []

    def __call__(self, request):
        if request.is_websocket:
            return Response(101, upgrade=Upgrade(self.opened.append, "chat"))
        if request.accepts_event_stream:
            return Response(200, stream=EventStream(self.opened.append))
        return Response(200, request.target)


@pytest.fixture
def site():
    return Site()


def head_of(client):
    head, _, rest = bytes(client.transport.written).partition(b"\r\n\r\n")
    return head, rest


# Upgrades that are taken


@both
async def test_an_upgrade_is_answered_with_101(connect, site, when):
    client = connect(when(site))
    await client.send(HANDSHAKE)
    head, rest = head_of(client)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert b"Sec-WebSocket-Protocol: chat" in head
    assert b"Content-Length" not in head
    assert rest == b""
    (websocket,) = site.opened
    assert client.transport.protocol is websocket
    assert (websocket.path, websocket.subprotocol) == ("/chat", "chat")


@both
async def test_frames_behind_the_head_reach_the_websocket(connect, site, when):
    client = connect(when(site))
    await client.send(HANDSHAKE + PING)
    assert head_of(client)[1] == PONG
    await client.send(PING)
    assert head_of(client)[1] == PONG * 2


async def test_frames_that_come_before_the_answer_reach_the_websocket(connect, site):
    client = connect(later(site))
    for byte in HANDSHAKE:
        client.transport.receive(bytes([byte]))
    assert not client.transport.reading
    client.transport.receive(PING[:3])
    await client.send()
    assert client.transport.reading
    await client.send(PING[3:])
    assert head_of(client)[1] == PONG


@both
async def test_requests_before_an_upgrade_are_answered_first(connect, site, when):
    client = connect(when(site))
    await client.send(GET * 2 + HANDSHAKE + PING)
    written = bytes(client.transport.written)
    assert written.count(b"HTTP/1.1 200 OK") == 2
    assert written.index(b"101 Switching") > written.rindex(b"200 OK")
    assert written.endswith(b"\r\n\r\n" + PONG)
    assert isinstance(client.transport.protocol, WebSocket)


@both
async def test_an_upgraded_connection_keeps_nothing_of_http(connect, site, when, tasks):
    client = connect(when(site))
    await client.send(HANDSHAKE)
    assert client.is_idle
    assert list(client.service.heartbeat.connections()) == site.opened
    assert tasks() == 0


# Upgrades that are not taken (RFC 9110, 7.8)


@both
async def test_an_upgrade_that_is_not_taken_goes_on_as_http(connect, when):
    client = connect(when(lambda request: Response(200, request.target)))
    await client.send(HANDSHAKE + GET, GET)
    assert [reply.body for reply in client.replies()] == [b"/chat", b"/next", b"/next"]
    assert client.is_idle
    assert client.transport.reading


@both
async def test_a_fault_behind_an_upgrade_that_is_not_taken_is_refused(connect, when):
    client = connect(when(lambda _: Response(200)))
    await client.send(HANDSHAKE + b"\x00\x01\x02\r\n\r\n")
    assert [reply.status for reply in client.replies()] == [200, 400]


@both
async def test_h2c_goes_on_as_http_with_its_body(connect, when):
    async def echo(request):
        return Response(200, await request.body())

    client = connect(echo if when is later else lambda r: Response(200, r.target))
    upgrade = (
        b"PUT /h2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    await client.send(upgrade + GET)
    expected = [b"hello", b""] if when is later else [b"/h2", b"/next"]
    assert [reply.body for reply in client.replies()] == expected
    assert client.is_idle


@both
async def test_a_handshake_that_cannot_be_spoken_is_refused(connect, site, when):
    client = connect(when(site))
    await client.send(HANDSHAKE.replace(b"Version: 13", b"Version: 12") + GET)
    first, second = client.replies()
    assert (first.status, first.headers["Sec-WebSocket-Version"]) == (426, "13")
    assert (second.status, second.body) == (200, b"/next")
    assert site.opened == []
    assert client.is_idle


@both
async def test_an_upgrade_for_a_request_that_asked_for_none_is_refused(connect, when):
    client = connect(when(lambda _: Response(101, upgrade=Upgrade(print))))
    await client.send(GET)
    (reply,) = client.replies()
    assert reply.status == 400
    assert client.is_idle


# However the head is cut, what is written are the same bytes


async def written(connect, application, *pieces):
    client = connect(application)
    await client.send(*pieces)
    # Heads have the time in them.
    return re.sub(rb"Date: [^\r]*\r\n", b"", bytes(client.transport.written))


def bare(request):
    return Response(101, upgrade=Upgrade(print))


def own_fields(request):
    return Response(101, upgrade=Upgrade(print), headers=[("X", "y")])


def refused(request):
    return Response(403, "Forbidden")


ANSWERS = [bare, own_fields, refused]


@both
@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_head_in_one_read_and_in_two_has_one_answer(connect, answer, when):
    wanted = await written(connect, when(answer), HANDSHAKE)
    assert wanted.startswith(b"HTTP/1.1 403" if answer is refused else b"HTTP/1.1 101")
    for cut in range(1, len(HANDSHAKE)):
        pieces = HANDSHAKE[:cut], HANDSHAKE[cut:]
        assert await written(connect, when(answer), *pieces) == wanted


@both
async def test_a_frame_behind_the_head_is_answered_wherever_it_is_cut(connect, when):
    data = HANDSHAKE + PING
    wanted = await written(connect, when(bare), HANDSHAKE) + PONG
    for cut in range(len(HANDSHAKE) - 3, len(data)):
        assert await written(connect, when(bare), data[:cut], data[cut:]) == wanted


async def test_frames_after_a_whole_head_wait_for_its_answer(connect, site):
    client = connect(later(site))
    client.transport.receive(HANDSHAKE)
    assert not client.transport.reading
    client.transport.receive(PING)
    await client.send()
    assert client.transport.reading
    assert head_of(client)[1] == PONG


async def test_a_request_after_a_head_that_is_not_upgraded_is_answered(connect):
    client = connect(later(lambda request: Response(200, request.target)))
    client.transport.receive(HANDSHAKE)
    client.transport.receive(GET)
    await client.send()
    assert [reply.body for reply in client.replies()] == [b"/chat", b"/next"]
    assert client.is_idle


# Event streams


STREAM = GET.replace(b"Host", b"Accept: text/event-stream\r\nHost")


@both
async def test_an_event_stream_is_an_answer_without_end(connect, site, when, tasks):
    client = connect(when(site))
    await client.send(STREAM)
    head, rest = head_of(client)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/event-stream; charset=utf-8" in head
    assert b"Cache-Control: no-cache, no-store" in head
    assert b"X-Accel-Buffering: no" in head
    assert b"Connection: close" in head
    assert b"Content-Length" not in head
    assert rest == encode_retry(5.0)
    (source,) = site.opened
    assert isinstance(source, EventSource)
    assert client.transport.protocol is source
    assert client.is_idle
    assert list(client.service.heartbeat.connections()) == [source]
    assert tasks() == 0


@both
async def test_what_follows_an_event_stream_is_not_read(connect, site, when):
    client = connect(when(site))
    await client.send(STREAM + GET + b"garbage", GET)
    assert client.transport.written.endswith(encode_retry(5.0))
    assert client.targets == ["/next"]
    assert not client.transport.closing
    assert client.transport.reading


async def test_requests_before_an_event_stream_are_answered_first(connect, site):
    client = connect(later(site))
    await client.send(GET + STREAM)
    assert client.transport.written.count(b"HTTP/1.1 200 OK") == 2
    assert isinstance(client.transport.protocol, EventSource)
