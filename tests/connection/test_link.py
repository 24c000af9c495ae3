import logging
import weakref

import pytest

from beamfast._frames import FrameParser, build_frame
from beamfast.connection.conversation import CLOSE_TIMEOUT
from beamfast.connection.link import LINGER, OVERFLOW_TIMEOUT
from beamfast.connection.terms import Terms
from beamfast.connection.websocket import WebSocket
from beamfast.http import Headers, Request, Upgrade
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side, State
from beamfast.pubsub.hub import Hub

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def masked(opcode, payload=b""):
    return build_frame(opcode, payload, mask=b"mask")


def close_payload(code, reason=b""):
    return code.to_bytes(2, "big") + reason


# Opening


async def test_of_the_request_only_path_and_user_stay(peer):
    seen = []

    def setup(websocket):
        seen.append((websocket.path, websocket.user, websocket.state))

    await peer.open(setup)
    assert seen == [("/chat", None, State.OPEN)]


async def test_the_user_of_the_request_is_known(connect):
    request = Request("GET", "/a", url="/a", path="/a", headers=Headers())
    request.user = "ann"
    client = connect(None)
    websocket = WebSocket.of_request(request, Upgrade(print, "chat"), client.service)
    assert (websocket.user, websocket.subprotocol) == ("ann", "chat")


async def test_a_plugin_that_fails_while_opening_closes_with_1011(peer, caplog):
    def setup(websocket):
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "beamfast.websocket"):
        await peer.open(setup)
    assert peer.frames() == [(CLOSE, close_payload(1011, b"internal error"))]
    assert "could not be opened" in caplog.text
    await peer.client.send_eof()
    assert peer.closes == [(1006, "")]


async def test_a_plugin_may_close_while_opening(peer):
    await peer.open(lambda websocket: websocket.close_nowait(4401, "expired"))
    assert peer.frames() == [(CLOSE, close_payload(4401, b"expired"))]
    assert peer.websocket.state is State.LOCAL_CLOSING


# Messages


async def test_messages_reach_the_callback_as_str_and_bytes(peer):
    seen = []
    await peer.open(lambda websocket: setattr(websocket, "on_message", seen.append))
    await peer.send(masked(TEXT, "h\u00e9".encode()), masked(BINARY, b"\x00"))
    assert seen == ["h\u00e9", b"\x00"]


async def test_without_a_callback_messages_are_checked_and_dropped(peer):
    await peer.open()
    await peer.send(masked(TEXT, b"hi"), masked(BINARY, b"\xff"))
    assert peer.frames() == []
    await peer.send(masked(TEXT, b"\xff"))
    assert [frame[1][:2] for frame in peer.frames()] == [close_payload(1007)]


async def test_the_callback_is_fixed_when_the_connection_has_opened(peer):
    seen = []
    websocket = await peer.open()
    websocket.on_message = seen.append
    await peer.send(masked(TEXT, b"hi"))
    assert seen == []


async def test_messages_are_sent_by_their_type(peer):
    websocket = await peer.open()
    assert websocket.send_nowait("h\u00e9")
    assert websocket.send_nowait(b"\x00")
    assert peer.frames() == [(TEXT, "h\u00e9"), (BINARY, b"\x00")]


async def test_a_client_masks_what_it_sends(connect, transport):
    service = connect(None).service
    driver = Rfc6455Driver(Side.CLIENT)
    websocket = WebSocket(driver, "/", service, Terms())
    websocket.attach(transport, service.registry.state)
    assert websocket.send_nowait("h\u00e9")
    assert websocket.send_nowait(b"\x00")
    seen = []
    parser = FrameParser(masked=True)
    parser.feed(bytes(transport.written), seen.append, print)
    assert seen == ["h\u00e9", b"\x00"]
    driver.fail(1011)
    assert not websocket.send_nowait("late")
    service.heartbeat.forget(websocket)


async def test_replies_of_one_read_leave_in_one_write(peer, monkeypatch):
    writes = []
    await peer.open(
        lambda websocket: setattr(
            websocket, "on_message", lambda text: websocket.send_nowait(text * 2)
        )
    )
    write = peer.transport.write
    monkeypatch.setattr(
        peer.transport, "write", lambda data: (writes.append(data), write(data))
    )
    await peer.send(*(masked(TEXT, b"%d" % number) for number in range(5)))
    assert len(writes) == 1
    assert peer.frames() == [(TEXT, str(number) * 2) for number in range(5)]


async def test_text_without_a_utf_8_form_is_the_callers_fault(peer):
    websocket = await peer.open()
    with pytest.raises(ValueError):
        websocket.send_nowait("\ud800")
    assert websocket.send_nowait("still open")


async def test_a_callback_that_fails_closes_with_1011(peer, caplog):
    def fail(message):
        raise ZeroDivisionError

    await peer.open(lambda websocket: setattr(websocket, "on_message", fail))
    with caplog.at_level(logging.ERROR, "beamfast.websocket"):
        await peer.send(masked(TEXT, b"1"), masked(TEXT, b"2"))
    assert peer.frames() == [(CLOSE, close_payload(1011, b"internal error"))]
    assert len(caplog.records) == 1


async def test_an_item_is_framed_as_text(peer):
    frame = WebSocket.frame_item("<p>", "1-0123456789abcdef", "reset")
    assert frame == build_frame(TEXT, "<p>")


# Ping and pong (RFC 6455, 5.5.2)


async def test_a_ping_is_answered_with_its_payload(peer):
    await peer.open()
    await peer.send(masked(PING, b"hi"))
    assert peer.frames() == [(PONG, b"hi")]


async def test_a_ping_is_answered_before_the_message_behind_it(peer):
    def echo(websocket):
        websocket.on_message = websocket.send_nowait

    await peer.open(echo)
    await peer.send(
        build_frame(TEXT, b"be", fin=False, mask=b"mask"),
        masked(PING, b"beam"),
        build_frame(0, b"am", mask=b"mask"),
    )
    assert peer.frames() == [(PONG, b"beam"), (TEXT, "beam")]


async def test_a_peer_that_does_not_read_gets_one_pong_for_its_latest_ping(peer):
    websocket = await peer.open()
    peer.transport.block()
    websocket.send_nowait("waits")
    await peer.send(*(masked(PING, b"%d" % number) for number in range(100)))
    await peer.send(masked(PING, b"last"))
    assert peer.frames() == [(TEXT, "waits")]
    peer.transport.read()
    await peer.client.send()
    assert peer.frames() == [(PONG, b"last")]


async def test_the_server_pings_and_a_pong_keeps_the_connection(peer):
    await peer.open()
    for _ in range(3):
        assert 20 < peer.seconds_left <= 25
        await peer.time_out()
        ((opcode, payload),) = peer.frames()
        assert opcode == PING
        assert 15 < peer.seconds_left <= 20
        await peer.send(masked(PONG, payload))
    assert peer.websocket.state is State.OPEN


async def test_a_missing_pong_closes_with_1011(peer):
    await peer.open(ping_interval=5, ping_timeout=3)
    await peer.time_out()
    assert 2 < peer.seconds_left <= 3
    peer.frames()
    await peer.time_out()
    assert peer.frames() == [(CLOSE, close_payload(1011, b"keepalive ping timeout"))]
    await peer.time_out()
    assert peer.transport.aborted
    assert peer.closes == [(1006, "")]


async def test_pings_can_be_turned_off(peer):
    await peer.open(ping_interval=0)
    assert peer.websocket.deadline == float("inf")
    assert list(peer.client.service.heartbeat.connections()) == [peer.websocket]


# Closing (RFC 6455, 7)


async def test_the_peers_close_is_echoed_and_tcp_closed(peer):
    await peer.open()
    await peer.send(masked(CLOSE, close_payload(1000, b"bye")), masked(PING))
    assert peer.frames() == [(CLOSE, close_payload(1000))]
    assert peer.transport.closing
    assert peer.closes == [(1000, "bye")]


async def test_what_came_before_the_peers_close_is_answered(peer):
    await peer.open()
    await peer.send(masked(PING, b"hi"), masked(CLOSE, close_payload(1000)))
    assert peer.frames() == [(PONG, b"hi"), (CLOSE, close_payload(1000))]


async def test_an_empty_close_is_1005(peer):
    await peer.open()
    await peer.send(masked(CLOSE))
    assert peer.frames() == [(CLOSE, b"")]
    assert peer.closes == [(1005, "")]


async def test_an_own_close_waits_for_the_peers(peer):
    websocket = await peer.open()
    assert websocket.close_nowait(4000, "done")
    assert peer.frames() == [(CLOSE, close_payload(4000, b"done"))]
    assert not peer.transport.closing
    assert peer.seconds_left <= CLOSE_TIMEOUT
    assert not websocket.close_nowait()
    assert not websocket.send_nowait("late")
    await peer.send(masked(CLOSE, close_payload(4000)))
    assert peer.frames() == []
    assert peer.transport.closing
    assert peer.closes == [(4000, "")]


async def test_messages_still_arrive_while_the_close_is_on_its_way(peer):
    seen = []
    websocket = await peer.open(
        lambda websocket: setattr(websocket, "on_message", seen.append)
    )
    websocket.close_nowait()
    await peer.send(masked(TEXT, b"crossed"), masked(CLOSE, close_payload(1000)))
    assert seen == ["crossed"]


async def test_a_peer_that_does_not_answer_a_close_is_cut(peer):
    websocket = await peer.open()
    await peer.time_out()
    peer.frames()
    websocket.close_nowait()
    # A pong is no close, however many come.
    await peer.send(masked(PONG, b"1"), masked(PONG, b"2"))
    assert peer.seconds_left <= CLOSE_TIMEOUT
    await peer.time_out()
    assert peer.transport.aborted
    assert peer.closes == [(1006, "")]


@pytest.mark.parametrize(
    ("code", "reason"), [(1005, ""), (1002, ""), (1000, "x" * 124)]
)
async def test_a_close_that_may_not_be_sent_is_the_callers_fault(peer, code, reason):
    websocket = await peer.open()
    with pytest.raises(ValueError):
        websocket.close_nowait(code, reason)
    assert websocket.state is State.OPEN


async def test_a_server_that_stops_says_1001(peer):
    websocket = await peer.open()
    websocket.on_drain()
    assert peer.frames() == [(CLOSE, close_payload(1001, b"server stops"))]
    websocket.on_drain()
    assert peer.frames() == []


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (build_frame(TEXT, b"not masked"), 1002),
        (b"\x83\x80mask", 1002),
        (bytes([0xC1, 0x80]) + b"mask", 1002),
        (masked(TEXT, b"\xc3\x28"), 1007),
        (masked(CLOSE, close_payload(1005)), 1002),
        (b"GET / HTTP/1.1\r\n\r\n", 1002),
    ],
)
async def test_what_breaks_the_protocol_is_closed_with_the_right_code(
    peer, frame, code
):
    await peer.open()
    await peer.send(frame)
    ((opcode, payload),) = peer.frames()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
    await peer.client.send_eof()
    assert peer.closes == [(1006, "")]


async def test_a_message_over_the_limit_is_1009(peer):
    await peer.open(max_size=8)
    await peer.send(masked(TEXT, b"12345678"))
    assert peer.frames() == []
    await peer.send(masked(TEXT, b"123456789"))
    ((_, payload),) = peer.frames()
    assert payload[:2] == close_payload(1009)


async def test_a_message_in_too_many_fragments_is_1008(peer):
    await peer.open(max_fragments=2)
    fragment = build_frame(0, b"", fin=False, mask=b"mask")
    await peer.send(build_frame(TEXT, b"a", fin=False, mask=b"mask"), fragment)
    assert peer.frames() == []
    await peer.send(fragment)
    ((_, payload),) = peer.frames()
    assert payload[:2] == close_payload(1008)


async def test_a_failed_connection_lets_the_peer_read_why(peer):
    await peer.open()
    await peer.send(b"\xff" * 1000)
    assert peer.transport.eof_written
    assert not peer.transport.closing
    assert peer.seconds_left <= LINGER
    await peer.send(b"\xff" * 1000)
    assert peer.seconds_left <= LINGER
    assert len(peer.frames()) == 1
    assert not peer.websocket.send_nowait("late")
    await peer.time_out()
    assert peer.transport.closing


async def test_a_failed_connection_over_tls_is_closed_at_once(tls_peer):
    await tls_peer.open()
    await tls_peer.send(b"\xff" * 10)
    assert len(tls_peer.frames()) == 1
    assert tls_peer.transport.closing


# Lost connections


async def test_a_lost_connection_is_1006_and_reported_once(peer):
    websocket = await peer.open()
    await peer.client.lose(ConnectionResetError())
    assert peer.closes == [(1006, "")]
    assert websocket.state is State.CLOSED
    assert not websocket.send_nowait("late")
    assert not websocket.close_nowait()
    websocket.on_drain()
    websocket.abort()
    assert len(peer.client.service.heartbeat) == 0


async def test_a_peer_that_ends_tcp_is_1006(peer):
    await peer.open()
    await peer.client.send_eof()
    assert peer.transport.closing
    assert peer.closes == [(1006, "")]


async def test_a_callback_that_fails_at_the_end_is_logged(peer, caplog):
    def fail(*_):
        raise ZeroDivisionError

    websocket = await peer.open()
    websocket.on_close = fail
    with caplog.at_level(logging.ERROR, "beamfast.websocket"):
        await peer.client.lose()
    assert "on_close" in caplog.text


async def test_without_on_close_the_end_is_silent(peer):
    websocket = await peer.open()
    websocket.on_close = None
    await peer.client.lose()
    assert websocket.state is State.CLOSED


async def test_a_lost_connection_is_freed_without_the_collector(peer):
    class Watched:
        def __init__(self, websocket):
            self.websocket = websocket

        def receive(self, message):
            """Refer to the connection, as a bound method of a plugin does."""

    watched = []

    def setup(websocket):
        websocket.on_message = Watched(websocket).receive
        watched.append(weakref.ref(websocket.on_message.__self__))

    await peer.open(setup)
    peer.websocket.on_close = None
    await peer.client.lose()
    peer.websocket = peer.client.transport.protocol = None
    assert watched[0]() is None


# Slow peers and topics


async def test_a_peer_that_does_not_read_is_closed_with_1013(peer, caplog):
    websocket = await peer.open()
    websocket.queue_items_limit = 10
    peer.transport.block()
    with caplog.at_level(logging.WARNING, "beamfast.websocket"):
        for number in range(20):
            websocket.send_nowait(f"{number}")
    assert "too slow" in caplog.text
    assert peer.seconds_left <= OVERFLOW_TIMEOUT
    frames = peer.frames()
    assert frames[-1] == (CLOSE, close_payload(1013, b"too slow"))
    assert len(frames) < 10
    await peer.time_out()
    assert peer.transport.aborted
    assert peer.closes == [(1006, "")]


async def test_nothing_follows_a_close_frame_not_even_publications(peer):
    websocket = await peer.open()
    hub = Hub(peer.client.service.loop)
    hub.registry = peer.client.service.registry
    hub.subscribe(websocket, "topic", lambda text: build_frame(TEXT, text))
    hub.publish("topic", "before")
    websocket.close_nowait()
    hub.publish("topic", "after")
    await peer.client.send()
    assert [opcode for opcode, _ in peer.frames()] == [TEXT, CLOSE]
    assert hub.subscribers("topic") == 0
