"""WebSockets inside asyncio servers that are not ours."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
import websockets

from beamfast._frames import build_frame
from beamfast.connection.websocket import take_over
from beamfast.errors import HandshakeError

CERTIFICATE = Path(__file__).parent.parent / "data" / "localhost.pem"
HANDSHAKE = (
    b"GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HIXIE_76 = (
    b"GET /demo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Origin: http://a\r\n"
    b"Sec-WebSocket-Key1: 1   38 wZ3f9 23O0 3l 0r\r\n"
    b"Sec-WebSocket-Key2: 27   0E 6 2  1665:< ;U 1H\r\n\r\n"
)
TEXT = 1


def masked(text):
    return build_frame(TEXT, text, mask=b"mask")


async def begin(transport, *arguments, **options):
    taking = asyncio.ensure_future(take_over(transport, *arguments, **options))
    await asyncio.sleep(0)
    return taking


async def test_bytes_that_were_read_already_are_not_lost(transport):
    websocket = await take_over(transport, HANDSHAKE + masked("early"))
    transport.receive(masked("later"))
    assert [await websocket.recv(), await websocket.recv()] == ["early", "later"]
    assert (websocket.url, websocket.request.path) == ("ws://a/a?b", "/a")
    assert transport.written.startswith(b"HTTP/1.1 101 ")
    websocket.abort()


async def test_the_rest_of_a_request_is_read_here(transport):
    whole = HANDSHAKE + masked("early")
    taking = await begin(transport, whole[:30])
    for byte in whole[30:]:
        transport.receive(bytes([byte]))
    websocket = await taking
    assert await websocket.recv() == "early"
    websocket.abort()


async def test_a_transport_that_was_paused_is_read_again(transport):
    transport.pause_reading()
    websocket = await take_over(transport, HANDSHAKE)
    assert transport.reading
    websocket.abort()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HANDSHAKE.replace(b"Version: 13", b"Version: 12"), 426),
        (HANDSHAKE.replace(b"Host: a", b"Host: a\r\nOrigin: http://b"), 403),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"garbage\r\n\r\n", 400),
        (HIXIE_76, 400),
    ],
)
async def test_a_refusal_reaches_the_client_and_the_caller(transport, head, status):
    with pytest.raises(HandshakeError) as caught:
        await take_over(transport, head)
    assert caught.value.status == status
    assert b"HTTP/1.1 %d " % status in bytes(transport.written)
    assert transport.closing


async def test_a_client_that_goes_away_is_an_error(transport):
    taking = await begin(transport, HANDSHAKE[:20])
    transport.receive_eof()
    with pytest.raises(HandshakeError):
        await taking


async def test_a_request_that_does_not_come_is_given_up(transport):
    with pytest.raises(TimeoutError):
        await take_over(transport, HANDSHAKE[:20], open_timeout=0.01)
    assert transport.aborted


async def test_old_drafts_are_spoken_if_asked_for(transport):
    taking = await begin(transport, HIXIE_76, legacy_drafts=True)
    assert transport.written.endswith(b"\r\n\r\n")
    digits = bytes.fromhex("91253ed3a9e76a88")
    transport.receive(digits[:3])
    transport.receive(digits[3:] + b"\x00hello\xff")
    websocket = await taking
    digest = bytes.fromhex("b49c6e4053040426e51bbf6cb79f1df9")
    assert transport.written.endswith(digest)
    assert await websocket.recv() == "hello"
    await websocket.send("h\u00e9")
    assert transport.written.endswith(b"\x00h\xc3\xa9\xff")
    closing = asyncio.ensure_future(websocket.close())
    await asyncio.sleep(0)
    transport.receive(b"\xff\x00")
    await closing


# Real servers


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def serve_streams(head_first, **options):
    """An asyncio stream server that reads as much of the head as it wants."""

    async def serve_one(reader, writer):
        head = await reader.readuntil(b"\r\n" if head_first else b"\r\n\r\n")
        head += await reader.read(1) if head_first else b""
        # What the stream has buffered by itself.
        head += bytes(reader._buffer)
        await echo(await take_over(writer.transport, head))

    return await asyncio.start_server(serve_one, "127.0.0.1", 0, **options)


@pytest.mark.parametrize("head_first", [False, True])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_stream_server_hands_its_transport_over(run, head_first, tls):
    async def scenario():
        options, client, scheme = {}, {}, "ws"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            options["ssl"], scheme = context, "wss"
            client["ssl"] = ssl.create_default_context(cafile=CERTIFICATE)
        async with await serve_streams(head_first, **options) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"{scheme}://localhost:{port}/"
            async with websockets.connect(
                url, compression=None, proxy=None, **client
            ) as peer:
                for message in ("h\u00e9", b"\x00" * 100_000):
                    await peer.send(message)
                    assert await peer.recv() == message

    run(scenario())


def test_an_aiohttp_handler_hands_its_transport_over(run):
    from aiohttp import web

    async def handler(request):
        lines = [f"{request.method} {request.path_qs} HTTP/1.1".encode()]
        lines += [name + b": " + value for name, value in request.raw_headers]
        head = b"\r\n".join([*lines, b"", b""])
        websocket = await take_over(request.transport, head)
        await echo(websocket)
        raise ConnectionResetError

    async def scenario():
        app = web.Application()
        app.router.add_get("/ws", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{port}/ws") as peer,
        ):
            await peer.send_str("hello")
            assert await peer.receive_str() == "hello"
        await runner.cleanup()

    run(scenario())
