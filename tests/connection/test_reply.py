import asyncio

import pytest

from beamfast._fanout import TopicRegistry
from beamfast.connection import reply
from beamfast.connection.exchange import Exchange
from beamfast.connection.service import Service
from beamfast.http import EventStream, Headers, Request, Response, Upgrade
from beamfast.protocol.driver import State

DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


@pytest.fixture
async def service():
    loop = asyncio.get_running_loop()
    topics = TopicRegistry(loop)
    return Service(lambda _: Response(204), loop, topics, clock=lambda: 784111777.9)


def make(method="GET", *, version="1.1", keep_alive=True):
    request = Request(
        method, "/", url="/", path="/", headers=Headers(), http_version=version
    )
    return Exchange(None, request, keep_alive=keep_alive)


async def several(*parts):
    for part in parts:
        yield part


async def sent(service, exchange, response, *parts):
    body = several(*parts)
    return [piece async for piece in reply.pieces(service, exchange, response, body)]


# Heads


async def test_the_connection_adds_length_and_date(service):
    response = Response(200, "hi")
    assert reply.head(service, make(), response, 2) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Length: 2\r\n\r\n"
    )


async def test_fields_of_a_plugin_stay(service):
    fields = [("Content-Length", "7"), ("Date", "x"), ("Server", "y")]
    service.name_server("beamfast")
    response = Response(200, headers=fields)
    assert reply.head(service, make("HEAD"), response, 0) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nDate: x\r\nServer: y\r\n\r\n"
    )


async def test_the_server_is_named_when_it_has_a_name(service):
    service.name_server("beamfast")
    head = reply.head(service, make(), Response(200), 0)
    assert head.count(b"\r\nServer: beamfast\r\n") == 1


async def test_the_server_is_not_named_where_a_host_wants_no_name(service):
    service.name_server("beamfast")
    response = Response(200, headers=[("Server", "")])
    assert b"Server" not in reply.head(service, make(), response, 0)


@pytest.mark.parametrize("status", [101, 204, 304])
async def test_an_answer_without_content_has_no_length(service, status):
    head = reply.head(service, make(), Response(status), 0)
    assert b"Content-Length" not in head


@pytest.mark.parametrize(
    ("status", "version", "keep_alive", "value"),
    [
        (200, "1.1", True, None),
        (200, "1.0", True, "keep-alive"),
        (200, "1.1", False, "close"),
        (200, "1.0", False, "close"),
        (101, "1.1", False, None),
    ],
)
async def test_the_client_is_told_whether_the_connection_stays(
    service, status, version, keep_alive, value
):
    response = Response(status)
    reply.head(service, make(version=version, keep_alive=keep_alive), response, 0)
    assert response.headers.get("Connection") == value


# Bodies that come piece by piece


async def test_a_body_of_unknown_length_is_chunked(service):
    head, *rest = await sent(service, make(), Response(200), b"one", b"", b"two")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head
    assert b"".join(rest) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_a_body_of_known_length_is_sent_as_it_is(service):
    response = Response(200, headers=[("Content-Length", "6")])
    head, *rest = await sent(service, make(), response, b"one", b"two")
    assert b"Transfer-Encoding" not in head
    assert rest == [b"one", b"two"]


async def test_http_1_0_reads_until_the_connection_ends(service):
    exchange = make(version="1.0")
    head, *rest = await sent(service, exchange, Response(200), b"one", b"two")
    assert b"Transfer-Encoding" not in head
    assert b"\r\nConnection: close\r\n" in head
    assert rest == [b"one", b"two"]
    assert not exchange.keep_alive


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
async def test_an_answer_that_ends_with_its_head_asks_for_no_body(
    service, method, status
):
    (head,) = await sent(service, make(method), Response(status), b"one")
    assert b"Transfer-Encoding" not in head


@pytest.mark.parametrize("parts", [[b"1234", b"5"], [b"12345"]])
async def test_a_body_longer_than_announced_does_not_become_the_next_answer(
    service, parts
):
    response = Response(200, headers=[("Content-Length", "4")])
    out = []
    with pytest.raises(ValueError, match="longer than 4"):
        async for piece in reply.pieces(service, make(), response, several(*parts)):
            out.append(piece)  # noqa: PERF401 - kept although the loop raises
    assert len(b"".join(out[1:])) <= 4


async def test_a_body_shorter_than_announced_is_an_error(service):
    response = Response(200, headers=[("Content-Length", "4")])
    with pytest.raises(ValueError, match="after 3 of 4"):
        await sent(service, make(), response, b"123")


# Taking the connection over

HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


@pytest.fixture
def opened():
    return []


async def test_a_websocket_takes_the_connection_over(service, transport, opened):
    exchange = make()
    exchange.request.headers = Headers(HANDSHAKE)
    upgrade = Upgrade(opened.append, "chat")
    response = Response(101, headers=[("X", "y")], upgrade=upgrade)
    taken = reply.become_websocket(transport, service, exchange.request, response)
    assert opened == [taken]
    assert transport.protocol is taken
    assert transport.written.startswith(
        b"HTTP/1.1 101 Switching Protocols\r\nX: y\r\nUpgrade: websocket\r\n"
    )
    service.heartbeat.forget(taken)


async def test_a_refused_handshake_writes_nothing(service, transport, opened):
    response = Response(101, upgrade=Upgrade(opened.append))
    taken = reply.become_websocket(transport, service, make().request, response)
    assert isinstance(taken, Response)
    assert taken.status == 400
    assert transport.written == b""
    assert opened == []


async def test_an_event_stream_takes_the_connection_over(service, transport, opened):
    exchange = make()
    response = Response(200, stream=EventStream(opened.append))
    taken = reply.become_event_source(transport, service, exchange, response)
    assert opened == [taken]
    assert transport.protocol is taken
    assert b"\r\nContent-Type: text/event-stream; charset=utf-8" in transport.written
    assert not exchange.keep_alive
    service.heartbeat.forget(taken)


async def test_what_takes_the_connection_over_ends_with_the_session_of_its_user(
    service, transport, opened
):
    exchange = make()
    exchange.request.headers = Headers(HANDSHAKE)
    exchange.request.expires = 1.0
    response = Response(101, upgrade=Upgrade(opened.append))
    reply.become_websocket(transport, service, exchange.request, response)
    exchange = make()
    exchange.request.expires = 1.0
    response = Response(200, stream=EventStream(opened.append))
    reply.become_event_source(transport, service, exchange, response)
    service.expiry._turn()
    websocket, source = opened
    assert websocket.state is State.LOCAL_CLOSING
    assert b"\x88\x18\x11\x31authentication expired" in bytes(transport.written)
    assert source.is_closing
    assert len(service.expiry) == 0
    for one in opened:
        service.heartbeat.forget(one)
