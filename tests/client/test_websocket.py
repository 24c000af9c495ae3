"""``connect``: the way to a WebSocket, and again after a break."""

import asyncio
import ssl

import pytest

from beamfast import connect
from beamfast.connection.websocket import WebSocket
from beamfast.errors import ConnectError, ConnectionClosed
from beamfast.http import Response, Upgrade
from beamfast.protocol.rfc6455 import State

LONG = " ".join(map(str, range(150_000)))


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


def answer_echo(request):
    if not request.is_websocket:
        return Response(404, "Only WebSockets here")
    return Response(101, upgrade=Upgrade(echo))


async def test_what_is_sent_comes_back(serve):
    async with serve(answer_echo) as site, connect(site.url("/a?b=c")) as websocket:
        assert type(websocket) is WebSocket
        assert (websocket.url, websocket.path) == (site.url("/a?b=c"), "/a?b=c")
        assert websocket.response.status == 101
        assert websocket.request is None
        for message in ("h\u00e9", b"\x00\xff", "", LONG.encode(), " " * 10**6):
            await websocket.send(message)
            assert await websocket.recv() == message
        assert await (await websocket.ping()) >= 0
        await websocket.send(["in ", "pieces"])
        assert await websocket.recv() == "in pieces"
    assert (websocket.state, websocket.close_code) == (State.CLOSED, 1000)


async def test_a_connection_can_be_awaited_and_closed_later(serve):
    async with serve(answer_echo) as site:
        websocket = await connect(site.url())
        await websocket.close(4000, "enough")
        assert (websocket.close_code, websocket.close_reason) == (4000, "")
        with pytest.raises(ConnectionClosed):
            await websocket.recv()


async def test_iteration_ends_when_the_server_closes(serve):
    async def count(websocket):
        for number in range(3):
            await websocket.send(str(number))

    def answer(request):
        return Response(101, upgrade=Upgrade(count))

    async with serve(answer) as site, connect(site.url()) as websocket:
        assert [message async for message in websocket] == ["0", "1", "2"]
        assert websocket.close_code == 1000


async def test_the_request_has_what_was_asked_for(serve):
    def answer(request):
        return Response(101, upgrade=Upgrade(echo, subprotocol="chat"))

    async with (
        serve(answer) as site,
        connect(
            f"ws://ann:p%40ss@127.0.0.1:{site.port}/",
            subprotocols=["other", "chat"],
            headers=[("X-Test", "1")],
            origin="http://example.com",
        ) as websocket,
    ):
        assert websocket.subprotocol == "chat"
        headers = site.requests[0].headers
        assert headers["authorization"] == "Basic YW5uOnBAc3M="
        assert headers["x-test"] == "1"
        assert headers["origin"] == "http://example.com"
        assert headers["host"] == f"127.0.0.1:{site.port}"
        assert "permessage-deflate" in headers["sec-websocket-extensions"]


@pytest.mark.parametrize(
    "options",
    [
        {"subprotocols": ["a", "a"]},
        {"headers": [("Host", "x")]},
        {"headers": [("X", "a\r\nb")]},
        {"proxy": "socks5://localhost"},
        {"queue": 0},
        {"unknown": 1},
    ],
)
async def test_what_makes_no_sense_is_said_at_once(options):
    with pytest.raises((ValueError, TypeError)):
        connect("ws://localhost/", **options)


@pytest.mark.parametrize("url", ["ftp://a/", "ws:///", "ws://a/#b", "ws://a b/"])
async def test_a_url_that_is_none_is_said_at_once(url):
    with pytest.raises(ValueError):
        connect(url)


# Refusals


async def test_a_refusal_says_what_the_server_said(serve):
    def answer(request):
        return Response(403, "Not you", headers=[("X-Why", "because")])

    async with serve(answer) as site:
        with pytest.raises(ConnectError, match="403") as caught:
            await connect(site.url())
    assert caught.value.status == 403
    assert caught.value.response.headers["x-why"] == "because"
    assert bytes(caught.value.response.body) == b"Not you"


async def start_raw(answer):
    """Serve bytes; ``answer`` gets reader and writer after the head was read."""

    async def serve_one(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await answer(reader, writer)
        writer.close()

    return await asyncio.start_server(serve_one, "127.0.0.1", 0)


def raw_url(server):
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("data", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 101 Swi"])
async def test_an_answer_that_is_none_is_an_error_without_status(data):
    async def answer(reader, writer):
        writer.write(data)

    async with await start_raw(answer) as server:
        with pytest.raises(ConnectError) as caught:
            await connect(raw_url(server))
    assert caught.value.status is None


async def test_a_server_that_says_nothing_is_given_up():
    silence = asyncio.Event()

    async def answer(reader, writer):
        await silence.wait()

    async with await start_raw(answer) as server:
        with pytest.raises(TimeoutError):
            await connect(raw_url(server), open_timeout=0.05)
        silence.set()


async def test_nobody_there_is_an_oserror(serve):
    async with serve(answer_echo) as site:
        url = site.url()
    with pytest.raises(OSError):
        await connect(url)


async def test_a_subprotocol_can_be_required(serve):
    async with serve(answer_echo) as site:
        with pytest.raises(ConnectError, match="Protocol missing"):
            await connect(site.url(), subprotocols=["a"], require_subprotocol=True)


async def test_an_end_behind_the_handshake_is_an_end(serve):
    """The connection is gone before whoever connects has its next turn."""

    def leave(websocket):
        websocket.send_nowait("bye")
        websocket.close_nowait(4000)
        websocket.abort()

    def answer(request):
        return Response(101, upgrade=Upgrade(leave))

    async with serve(answer) as site:
        websocket = await connect(site.url())
        received = []
        with pytest.raises(ConnectionClosed):
            while True:
                received.append(await websocket.recv())
        await websocket.wait_closed()


# Redirects


async def test_redirects_are_followed_and_secrets_stay(serve):
    async with serve(answer_echo) as there:

        def send_away(request):
            if request.path == "/here":
                where = f"http://localhost:{there.port}/there"
            else:
                where = "/here"
            return Response(302, headers=[("Location", where)])

        async with (
            serve(send_away) as here,
            connect(
                f"ws://ann:pw@127.0.0.1:{here.port}/first",
                headers=[("Cookie", "a=b"), ("X-Open", "yes")],
            ) as websocket,
        ):
            assert websocket.url == f"http://localhost:{there.port}/there"
        assert [one.path for one in here.requests] == ["/first", "/here"]
        assert all("authorization" in one.headers for one in here.requests)
        assert all("cookie" in one.headers for one in here.requests)
    headers = there.requests[0].headers
    assert ("authorization" in headers, "cookie" in headers) == (False, False)
    assert headers["x-open"] == "yes"


async def test_a_circle_of_redirects_ends(serve):
    def answer(request):
        return Response(307, headers=[("Location", "/")])

    async with serve(answer) as site:
        with pytest.raises(ConnectError, match="more than 3"):
            await connect(site.url(), max_redirects=3)
        assert len(site.requests) == 4


async def test_a_redirect_never_leads_from_tls_to_plain_text(serve, trusting):
    def answer(request):
        return Response(301, headers=[("Location", "ws://localhost/")])

    async with serve(answer, tls=True) as site:
        url = site.url(scheme="wss", host="localhost")
        with pytest.raises(ConnectError, match="from TLS"):
            await connect(url, ssl=trusting)


# TLS


async def test_tls_is_verified_and_works(serve, trusting):
    async with serve(answer_echo, tls=True) as site:
        url = site.url(scheme="wss", host="localhost")
        async with connect(url, ssl=trusting) as websocket:
            await websocket.send(LONG)
            assert await websocket.recv() == LONG


async def test_a_certificate_that_nobody_vouches_for_is_refused(serve):
    async with serve(answer_echo, tls=True) as site:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(site.url(scheme="wss", host="localhost"))


async def test_a_certificate_of_another_name_is_refused(serve, trusting):
    async with serve(answer_echo, tls=True) as site:
        url = site.url(scheme="wss", host="127.1")
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await connect(url, ssl=trusting)


async def test_who_wants_to_can_check_nothing(serve):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with (
        serve(answer_echo, tls=True) as site,
        connect(site.url(scheme="wss"), ssl=context) as websocket,
    ):
        await websocket.send("trusting")
        assert await websocket.recv() == "trusting"


# Dead peers, slow peers


async def test_a_peer_that_answers_no_ping_is_given_up():
    done = asyncio.Event()

    async def answer(reader, writer):
        await done.wait()

    async def handshake(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        from beamfast.protocol.handshake import accept_key

        accept = accept_key(key.decode())
        writer.write(
            b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept.encode()
        )
        await done.wait()
        writer.close()

    async with await asyncio.start_server(handshake, "127.0.0.1", 0) as server:
        options = {"ping_interval": 0.02, "ping_timeout": 0.02}
        async with connect(raw_url(server), **options) as websocket:
            with pytest.raises(ConnectionClosed) as caught:
                await websocket.recv()
            assert caught.value.code == 1006
            websocket.abort()
        done.set()


async def test_a_server_that_does_not_answer_a_close_is_cut(serve):
    def deaf(websocket):
        websocket.pause_reading()

    def answer(request):
        return Response(101, upgrade=Upgrade(deaf))

    async with serve(answer) as site:
        websocket = await connect(site.url(), close_timeout=0.05)
        await websocket.close()
        assert websocket.close_code == 1006


async def test_a_client_that_does_not_read_stops_the_server(serve):
    sockets, sent = [], []

    async def flood(websocket):
        sockets.append(websocket)
        while True:
            await websocket.send(b"x" * 65536)
            sent.append(1)

    def answer(request):
        return Response(101, upgrade=Upgrade(flood))

    async with serve(answer) as site, connect(site.url(), queue=2) as websocket:
        while not (sockets and sockets[0].is_paused):
            await asyncio.sleep(0)
        for _ in range(len(sent) + 10):
            assert len(await websocket.recv()) == 65536


# Again and again


async def test_the_iterator_connects_again_after_a_break(serve, monkeypatch):
    from beamfast.client import retry

    monkeypatch.setattr(retry.BackOff, "next", lambda self: 0)
    count = 0

    async def short(websocket):
        nonlocal count
        count += 1
        await websocket.send(str(count))
        if count == 2:
            websocket.abort()

    def answer(request):
        if len(site.requests) == 2:
            return Response(503, "later")
        return Response(101, upgrade=Upgrade(short))

    received = []
    async with serve(answer) as site:
        async for websocket in connect(site.url()):
            try:
                received.extend([message async for message in websocket])
            except ConnectionClosed:
                continue
            if len(received) >= 3:
                break
    assert received[0] == "1"
    assert received[-1] == str(count)


async def test_the_iterator_gives_up_what_stays_wrong(serve):
    def answer(request):
        return Response(403, "never")

    async with serve(answer) as site:
        with pytest.raises(ConnectError, match="403"):
            async for _ in connect(site.url()):
                raise AssertionError("connected")
        assert len(site.requests) == 1
