"""How messages reach the program: by a handler, by callback, or not at all."""

import asyncio
import logging
from functools import partial

import pytest

from beamfast._frames import build_frame
from beamfast.errors import ConnectionClosed, InvalidState
from beamfast.http import Response, Upgrade
from beamfast.protocol.rfc6455 import State

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def masked(opcode, payload=b"", **options):
    return build_frame(opcode, payload, mask=b"mask", **options)


def close_payload(code, reason=b""):
    return code.to_bytes(2, "big") + reason


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def idle(websocket):
    await websocket.wait_closed()


class Reader:
    """A handler that does what the test tells it, step by step."""

    def __init__(self):
        self.seen = []
        self.ended = None
        self._turns = asyncio.Semaphore(0)

    async def __call__(self, websocket):
        try:
            while True:
                await self._turns.acquire()
                self.seen.append(await websocket.recv())
        except ConnectionClosed as end:
            self.ended = (end.code, end.reason)

    def read(self, count=1):
        for _ in range(count):
            self._turns.release()


# Handlers


async def test_a_handler_echoes_what_it_iterates_over(peer, tasks):
    await peer.open(echo)
    await peer.send(masked(TEXT, "h\u00e9".encode()), masked(BINARY, b"\x00"))
    assert peer.frames() == [(TEXT, "h\u00e9"), (BINARY, b"\x00")]
    await peer.send(masked(TEXT, b"again"))
    assert peer.frames() == [(TEXT, "again")]
    assert tasks() == 1
    await peer.send(masked(CLOSE, close_payload(1000)))
    assert tasks() == 0


async def test_the_handler_knows_what_it_was_asked(peer):
    seen = []

    async def handler(websocket):
        seen.append((websocket.request.target, websocket.url, websocket.response))
        await websocket.wait_closed()

    await peer.open(handler)
    assert seen == [("/chat", "ws://a/chat", None)]


async def test_a_subscriber_knows_the_path_only(peer):
    websocket = await peer.open()
    assert (websocket.request, websocket.url) == (None, "/chat")


async def test_a_handler_that_returns_closes_with_1000(peer, tasks):
    async def greet(websocket):
        await websocket.send("hi")

    await peer.open(greet)
    assert peer.frames() == [(TEXT, "hi"), (CLOSE, close_payload(1000))]
    assert tasks() == 0
    await peer.send(masked(TEXT, b"dropped"), masked(CLOSE, close_payload(1000)))
    assert peer.closes == [(1000, "")]


async def test_a_handler_that_fails_closes_with_1011(peer, caplog):
    async def fail(websocket):
        await websocket.recv()
        raise ZeroDivisionError

    await peer.open(fail)
    with caplog.at_level(logging.ERROR, "beamfast.websocket"):
        await peer.send(masked(TEXT, b"go"))
    assert peer.frames() == [(CLOSE, close_payload(1011, b"internal error"))]
    assert "handler" in caplog.text


async def test_a_handler_that_lets_the_end_pass_is_no_fault(peer, caplog, tasks):
    async def forever(websocket):
        while True:
            await websocket.recv()

    await peer.open(forever)
    with caplog.at_level(logging.ERROR, "beamfast.websocket"):
        await peer.client.lose(ConnectionResetError())
    assert tasks() == 0
    assert caplog.text == ""


async def test_a_cancelled_handler_says_1001(peer):
    await peer.open(idle)
    (task,) = peer.client.service.handlers
    task.cancel()
    await peer.client.send()
    assert task.cancelled()
    assert peer.frames() == [(CLOSE, close_payload(1001))]


@pytest.mark.parametrize("payload", [close_payload(1000), close_payload(1001), b""])
async def test_the_loop_ends_when_the_peer_closes_normally(peer, payload):
    ended = []

    async def handler(websocket):
        ended.extend([message async for message in websocket])
        ended.append(websocket.close_code)

    await peer.open(handler)
    await peer.send(masked(TEXT, b"last"), masked(CLOSE, payload))
    assert ended == ["last", int.from_bytes(payload[:2], "big") or 1005]


async def test_the_loop_raises_when_the_connection_breaks(peer):
    ended = []

    async def handler(websocket):
        try:
            while True:
                ended.append(await anext(websocket))
        except ConnectionClosed as error:
            ended.append((error.code, websocket.close_code, websocket.close_reason))

    await peer.open(handler)
    await peer.send(masked(TEXT, b"last"))
    await peer.client.lose()
    assert ended == ["last", (1006, 1006, "")]


async def test_what_came_before_the_end_can_still_be_read(peer):
    reader = Reader()
    await peer.open(reader)
    await peer.send(
        masked(TEXT, b"1"), masked(TEXT, b"2"), masked(CLOSE, close_payload(4001, b"x"))
    )
    reader.read(3)
    await peer.client.send()
    assert reader.seen == ["1", "2"]
    assert reader.ended == (4001, "x")


async def test_text_can_be_received_as_bytes(peer):
    seen = []

    async def handler(websocket):
        seen.extend([await websocket.recv(decode=False) for _ in range(2)])

    await peer.open(handler)
    await peer.send(masked(TEXT, "\u00e9".encode()), masked(BINARY, b"\xff"))
    assert seen == ["\u00e9".encode(), b"\xff"]


async def test_messages_have_one_reader(peer):
    faults = []

    async def handler(websocket):
        first = asyncio.ensure_future(websocket.recv())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two tasks"):
            await websocket.recv()
        faults.append(await first)

    await peer.open(handler)
    await peer.send(masked(TEXT, b"one"))
    assert faults == ["one"]


async def test_a_cancelled_recv_loses_no_message(peer):
    seen = []

    async def handler(websocket):
        waiting = asyncio.ensure_future(websocket.recv())
        await asyncio.sleep(0)
        waiting.cancel()
        seen.extend([await websocket.recv(), await websocket.recv()])

    await peer.open(handler)
    await peer.send(masked(TEXT, b"1"), masked(TEXT, b"2"))
    assert seen == ["1", "2"]


async def test_a_subscriber_cannot_be_read_from(peer):
    websocket = await peer.open()
    with pytest.raises(InvalidState):
        await websocket.recv()
    with pytest.raises(InvalidState):
        await anext(websocket)


async def test_an_idle_subscriber_has_neither_task_nor_buffer(peer, tasks):
    websocket = await peer.open(lambda websocket: None)
    assert tasks() == 0
    assert websocket._conversation is None


# Back-pressure on what arrives


@pytest.mark.parametrize(
    ("size", "count"), [(1, 16), (32 * 1024, 2)], ids=["messages", "bytes"]
)
async def test_the_reader_stops_while_the_handler_does_not_read(peer, size, count):
    reader = Reader()
    await peer.open(reader)
    for _ in range(count - 1):
        await peer.send(masked(BINARY, b"x" * size))
        assert peer.transport.reading
    await peer.send(masked(BINARY, b"x" * size))
    assert not peer.transport.reading
    reader.read(count)
    await peer.client.send()
    assert peer.transport.reading
    assert len(reader.seen) == count


async def test_reading_can_be_paused_and_resumed(peer):
    websocket = await peer.open()
    websocket.pause_reading()
    websocket.pause_reading()
    assert not peer.transport.reading
    websocket.resume_reading()
    assert peer.transport.reading


async def test_while_nothing_is_read_no_pong_is_missed(peer):
    websocket = await peer.open()
    websocket.pause_reading()
    for _ in range(3):
        await peer.time_out()
        ((opcode, _),) = peer.frames()
        assert opcode == PING
        assert 20 < peer.seconds_left <= 25
    assert websocket.state is State.OPEN


async def test_a_full_buffer_does_not_stop_the_closing_handshake(peer):
    websocket = await peer.open(Reader())
    for _ in range(16):
        await peer.send(masked(TEXT, b"x"))
    assert not peer.transport.reading
    websocket.close_nowait()
    assert peer.transport.reading
    await peer.send(masked(TEXT, b"y") * 50, masked(CLOSE, close_payload(1000)))
    assert peer.closes == [(1000, "")]


# Coroutines as callbacks


async def test_a_coroutine_callback_gets_one_message_after_the_other(peer, tasks):
    seen, gate = [], asyncio.Event()

    async def receive(message):
        seen.append(message)
        await gate.wait()
        seen.append(message * 2)

    def setup(websocket):
        websocket.on_message = receive

    await peer.open(setup)
    assert tasks() == 0
    await peer.send(masked(TEXT, b"1"), masked(TEXT, b"2"))
    assert seen == ["1"]
    gate.set()
    await peer.client.send()
    assert seen == ["1", "11", "2", "22"]
    assert tasks() == 0


class Later:
    def __init__(self, seen):
        self.seen = seen

    async def receive(self, message, *, times=1):
        self.seen.append(message * times)


@pytest.mark.parametrize("kind", ["method", "partial"])
async def test_what_returns_a_coroutine_is_awaited(peer, kind):
    seen = []
    later = Later(seen)
    callback, sent = later.receive, "a"
    if kind == "partial":
        callback, sent = partial(later.receive, times=2), "aa"

    def setup(websocket):
        websocket.on_message = callback

    await peer.open(setup)
    await peer.send(masked(TEXT, b"a"))
    assert seen == [sent]


@pytest.mark.parametrize("error", [ZeroDivisionError(), ConnectionClosed(1006)])
async def test_a_coroutine_callback_that_fails_closes_with_1011(peer, caplog, error):
    async def fail(message):
        raise error

    def setup(websocket):
        websocket.on_message = fail

    await peer.open(setup)
    with caplog.at_level(logging.ERROR, "beamfast.websocket"):
        await peer.send(masked(TEXT, b"1"), masked(TEXT, b"2"))
    is_fault = not isinstance(error, ConnectionClosed)
    internal = [(CLOSE, close_payload(1011, b"internal error"))]
    assert peer.frames() == (internal if is_fault else [])
    assert len(caplog.records) == int(is_fault)


async def test_the_server_answers_a_request_with_a_handler(connect):
    client = connect(lambda _: Response(101, upgrade=Upgrade(echo)))
    await client.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + masked(TEXT, b"early")
    )
    assert client.transport.written.endswith(build_frame(TEXT, "early"))


# What the peer does wrong


BROKEN = build_frame(TEXT, b"not masked")


async def test_what_came_before_a_broken_frame_is_answered(peer):
    await peer.open(echo)
    await peer.send(masked(TEXT, b"1") + masked(TEXT, b"2") + BROKEN + b"more")
    *answers, (opcode, payload) = peer.frames()
    assert answers == [(TEXT, "1"), (TEXT, "2")]
    assert (opcode, payload[:2]) == (CLOSE, close_payload(1002))
    assert peer.transport.eof_written


async def test_a_broken_frame_without_a_message_before_it_fails_at_once(peer):
    ended = []

    async def handler(websocket):
        try:
            await websocket.recv()
        except ConnectionClosed as end:
            ended.append(end.code)

    await peer.open(handler)
    peer.transport.receive(BROKEN)
    ((opcode, payload),) = peer.frames()
    assert (opcode, payload[:2]) == (CLOSE, close_payload(1002))
    await peer.client.send()
    assert ended == [1006]


async def test_a_handler_that_answers_nothing_does_not_keep_a_broken_peer(peer):
    await peer.open(idle)
    await peer.send(masked(TEXT, b"unread") + BROKEN, masked(TEXT, b"ignored"))
    assert peer.frames() == []
    await peer.time_out()
    ((opcode, payload),) = peer.frames()
    assert (opcode, payload[:2]) == (CLOSE, close_payload(1002))


async def test_a_handler_that_ends_lets_a_broken_peer_fail(peer):
    async def once(websocket):
        await websocket.recv()

    await peer.open(once)
    await peer.send(masked(TEXT, b"1") + masked(TEXT, b"2") + BROKEN)
    assert peer.frames()[0][0] == CLOSE
