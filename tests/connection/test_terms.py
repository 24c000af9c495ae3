import asyncio
import gc

import pytest

from beamfast._frames import build_frame
from beamfast.connection.alone import Alone
from beamfast.connection.terms import terms_of
from beamfast.connection.websocket import WebSocket
from beamfast.http import Request, Upgrade
from beamfast.protocol.delivery import CommonHandler
from beamfast.protocol.rfc6455 import Rfc6455Driver, State

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def masked(opcode, payload=b"", **options):
    return build_frame(opcode, payload, mask=b"mask", **options)


def has_driver(websocket):
    return any(isinstance(o, Rfc6455Driver) for o in gc.get_referents(websocket))


async def ping_round(peer, *, behind=b""):
    """Let the server ping; the pong and what follows it come in one read."""
    await peer.time_out()
    (frame,) = peer.frames()
    assert frame[0] == PING
    await peer.send(masked(PONG, frame[1]) + behind)


def test_equal_upgrades_have_the_same_terms():
    one, two = Upgrade(print, "chat"), Upgrade(id, "chat")
    terms = terms_of(one, is_renewable=True)
    assert terms is terms_of(two, is_renewable=True)
    assert terms != terms_of(one, is_renewable=False)
    assert (terms.subprotocol, terms.ping_interval) == ("chat", 25.0)


class OtherSocket(WebSocket):
    __slots__ = ()


async def test_sockets_that_agreed_on_the_same_share_nothing_else(monkeypatch):
    monkeypatch.setattr("beamfast.connection.websocket.MODELS", 2)
    requests = [Request("GET", f"/{n}", url=f"/{n}", path=f"/{n}") for n in range(3)]
    requests[0].user = "ann"
    alone = Alone(asyncio.get_running_loop())
    upgrades = Upgrade(print, "a"), Upgrade(print, "b"), Upgrade(print, "c")
    kinds = WebSocket, OtherSocket, WebSocket
    made = [
        (upgrade, kind.of_request(request, upgrade, alone))
        for upgrade in upgrades
        for request, kind in zip(requests, kinds, strict=True)
    ]
    assert len(alone.models) <= 2
    for number, (upgrade, websocket) in enumerate(made):
        request = requests[number % 3]
        assert type(websocket) is kinds[number % 3]
        assert (websocket.path, websocket.user) == (request.path, request.user)
        assert websocket.subprotocol == upgrade.subprotocol
        websocket.on_message = websocket.path = None
    assert len({id(websocket) for _, websocket in made}) == 9


async def test_a_subscriber_that_only_listens_needs_no_driver(peer):
    websocket = await peer.open()
    for _ in range(3):
        assert not has_driver(websocket)
        assert (websocket.state, websocket.close_code) == (State.OPEN, None)
        await ping_round(peer)
    await peer.client.lose()
    assert not has_driver(websocket)
    assert peer.closes == [(1006, "")]
    assert (websocket.state, websocket.close_code) == (State.CLOSED, 1006)
    assert not websocket.close_nowait()
    assert not websocket.send_nowait("late")


async def test_a_driver_stays_while_messages_come_and_goes_with_the_next_pong(peer):
    seen = []
    websocket = await peer.open(lambda ws: setattr(ws, "on_message", seen.append))
    await peer.send(masked(TEXT, b"a"), masked(BINARY, b"b"))
    assert has_driver(websocket)
    await ping_round(peer)
    assert not has_driver(websocket)
    await peer.send(masked(TEXT, b"c"))
    assert seen == ["a", b"b", "c"]


MESSAGE = [
    masked(TEXT, b"one ", fin=False),
    masked(0, b"message", fin=False),
    masked(0, b"!"),
]


@pytest.mark.parametrize("cut", range(1, len(b"".join(MESSAGE))))
async def test_a_pong_anywhere_in_a_message_loses_nothing_of_it(peer, cut):
    seen = []
    await peer.open(lambda ws: setattr(ws, "on_message", seen.append))
    data = b"".join(MESSAGE)
    ends = [sum(map(len, MESSAGE[:count])) for count in range(len(MESSAGE))]
    # Between frames the pong comes first and behind it what is cut.
    start = max(end for end in ends if end <= cut)
    await peer.send(data[:start])
    await ping_round(peer, behind=data[start:cut])
    await peer.send(data[cut:])
    assert seen == ["one message!"]


async def test_what_a_peer_does_wrong_is_found_by_a_new_driver_too(peer):
    await peer.open(max_size=5, subprotocol="chat")
    await ping_round(peer)
    await peer.send(masked(TEXT, b"longer"))
    assert [payload[:2] for _, payload in peer.frames()] == [(1009).to_bytes(2, "big")]


async def test_a_peer_that_does_not_read_gets_its_pong_from_a_new_driver_too(peer):
    websocket = await peer.open()
    await ping_round(peer)
    peer.transport.block()
    websocket.send_nowait("waits")
    await peer.send(masked(PING, b"1"), masked(PING, b"2"))
    assert peer.frames() == [(TEXT, "waits")]
    peer.transport.read()
    await peer.client.send()
    assert peer.frames() == [(PONG, b"2")]


async def test_the_close_of_a_peer_is_answered_without_a_driver_at_hand(peer):
    await peer.open()
    await ping_round(peer)
    await peer.send(masked(CLOSE, (1001).to_bytes(2, "big") + b"away"))
    assert peer.frames() == [(CLOSE, (1001).to_bytes(2, "big"))]
    assert peer.closes == [(1001, "away")]


async def test_a_shared_handler_gets_the_socket_with_each_message(peer):
    seen = []

    async def receive(websocket, message):
        seen.append((websocket, message))

    handler = CommonHandler(receive)
    websocket = await peer.open(lambda ws: setattr(ws, "on_message", handler))
    assert not has_driver(websocket)
    await peer.send(masked(TEXT, b"a"), masked(TEXT, b"b"))
    assert seen == [(websocket, "a"), (websocket, "b")]


async def test_dedicated_compression_keeps_the_driver_that_remembers(peer):
    websocket = await peer.open(
        fields=b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
        compression="dedicated",
    )
    assert has_driver(websocket)
    await ping_round(peer)
    assert has_driver(websocket)
