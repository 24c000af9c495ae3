"""Sockets of old drafts on the connections of a server."""

import asyncio

import pytest

from beamfast._frames import build_frame
from beamfast.connection import legacy
from beamfast.connection.legacy import HixieWebSocket
from beamfast.connection.websocket import WebSocket
from beamfast.http import Response, Upgrade
from beamfast.protocol.rfc6455 import State
from beamfast.pubsub.hub import Hub

HIXIE_75 = (
    b"GET /demo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Origin: http://a\r\n\r\n"
)
HIXIE_76 = HIXIE_75[:-2] + (
    b"Sec-WebSocket-Key1: 1   38 wZ3f9 23O0 3l 0r\r\n"
    b"Sec-WebSocket-Key2: 27   0E 6 2  1665:< ;U 1H\r\n\r\n"
)
DIGITS = bytes.fromhex("91253ed3a9e76a88")
DIGEST = bytes.fromhex("b49c6e4053040426e51bbf6cb79f1df9")
HYBI = (
    b"GET /demo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: %d\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


@pytest.fixture
async def client(connect):
    """A connection to a server that echoes and speaks the drafts."""
    upgrade = Upgrade(echo, legacy_drafts=True)
    return connect(lambda _: Response(101, upgrade=upgrade))


def split(client):
    """Return the head of the answer, and what came behind it."""
    head, _, rest = bytes(client.transport.written).partition(b"\r\n\r\n")
    return head, rest


async def test_hixie_75_is_spoken(client):
    await client.send(HIXIE_75 + b"\x00early\xff")
    await client.send(b"\x00h\xc3\xa9\xff")
    head, rest = split(client)
    assert head.startswith(b"HTTP/1.1 101 Web Socket Protocol Handshake")
    assert b"\r\nWebSocket-Location: ws://a/demo" in head
    assert rest == b"\x00early\xff\x00h\xc3\xa9\xff"
    assert type(client.transport.protocol) is HixieWebSocket
    assert client.is_idle


async def test_hixie_76_is_spoken_and_its_last_bytes_may_come_late(client):
    await client.send(HIXIE_76)
    assert split(client)[1] == b""
    await client.send(DIGITS[:3])
    await client.send(DIGITS[3:] + b"\x00hi\xff")
    assert split(client)[1] == DIGEST + b"\x00hi\xff"
    await client.send(b"\xff\x00")
    assert split(client)[1] == DIGEST + b"\x00hi\xff\xff\x00"
    assert client.transport.closing


async def test_last_bytes_that_do_not_come_are_not_waited_for(client, monkeypatch):
    monkeypatch.setattr(legacy, "HANDSHAKE_TIMEOUT", 0.01)
    await client.send(HIXIE_76 + DIGITS[:3])
    while not client.transport.aborted:
        await asyncio.sleep(0)
    await client.send()
    assert client.service.handlers == set()


async def test_a_server_that_stops_does_not_wait_for_them_either(client, tasks):
    await client.send(HIXIE_76)
    await client.service.cancel_handlers()
    await client.send()
    assert client.transport.aborted
    assert tasks() == 0


@pytest.mark.parametrize("version", [7, 8])
async def test_versions_7_and_8_are_spoken(client, version):
    await client.send(HYBI % version + build_frame(1, "hi", mask=b"mask"))
    head, rest = split(client)
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert rest == build_frame(1, "hi")
    assert type(client.transport.protocol) is WebSocket


async def test_version_13_goes_its_usual_way(client):
    await client.send(HYBI % 13)
    assert type(client.transport.protocol) is WebSocket
    assert client.service.handlers


@pytest.mark.parametrize(
    "head", [HIXIE_76.replace(b"3f9", b"3f8"), HIXIE_76.replace(b"Key2", b"Key3")]
)
async def test_a_broken_handshake_is_refused(client, head, tasks):
    await client.send(head + DIGITS)
    assert split(client)[0].startswith(b"HTTP/1.1 400 ")
    assert client.transport.closing
    assert tasks() == 0


@pytest.mark.parametrize(
    ("head", "status"), [(HIXIE_75, 400), (HIXIE_76, 400), (HYBI % 8, 426)]
)
async def test_they_are_refused_where_nobody_asked_for_them(connect, head, status):
    client = connect(lambda _: Response(101, upgrade=Upgrade(echo)))
    await client.send(head)
    assert b" %d " % status in split(client)[0].partition(b"\r\n")[0]


async def test_publications_reach_both_kinds_in_their_own_frames(connect):
    sockets, received = [], []

    def on_open(websocket):
        websocket.on_message = received.append
        sockets.append(websocket)
        hub.subscribe(websocket, "topic", websocket.frame_message)

    upgrade = Upgrade(on_open, legacy_drafts=True)
    client = connect(lambda _: Response(101, upgrade=upgrade))
    hub = Hub(client.service.loop)
    hub.registry = client.service.registry
    await client.send(HIXIE_75 + b"\x00in\xff")
    hub.publish("topic", "h\u00e9")
    hub.publish("topic", b"\xff")
    await client.send()
    assert split(client)[1] == b"\x00h\xc3\xa9\xff\x00\xef\xbf\xbd\xff"
    assert received == ["in"]
    assert sockets[0].deadline == float("inf")
    item = sockets[0].frame_item("<p>", "1-0", None)
    assert item == b"\x00<p>\xff"
    assert sockets[0].close_nowait()
    await client.send()
    assert sockets[0].state is State.CLOSED


async def test_a_callback_that_fails_on_an_early_message_closes(connect, caplog):
    def on_open(websocket):
        websocket.on_message = lambda message: 1 / 0

    upgrade = Upgrade(on_open, legacy_drafts=True)
    client = connect(lambda _: Response(101, upgrade=upgrade))
    await client.send(HIXIE_75 + b"\x00in\xff")
    assert "callback" in caplog.text
    assert client.transport.eof_written
