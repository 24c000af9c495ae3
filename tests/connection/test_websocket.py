"""Messages asked for by a handler coroutine, and everything that is awaited."""

import asyncio
import logging

import pytest

from beamfast._frames import build_frame
from beamfast.errors import ConnectionClosed, InvalidState
from beamfast.http import Response, Upgrade
from beamfast.protocol.rfc6455 import State
from beamfast.pubsub.hub import Hub

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


# Sending


async def test_replies_to_one_read_leave_in_one_write(peer, monkeypatch):
    writes = []
    await peer.open(echo)
    write = peer.transport.write
    monkeypatch.setattr(
        peer.transport, "write", lambda data: (writes.append(data), write(data))
    )
    await peer.send(*(masked(TEXT, b"%d" % number) for number in range(9)))
    assert len(writes) == 1
    assert peer.frames() == [(TEXT, str(number)) for number in range(9)]


async def test_replies_are_not_held_while_the_handler_waits_for_something(peer):
    gate = asyncio.Event()

    async def handler(websocket):
        async for message in websocket:
            await websocket.send(message)
            await gate.wait()

    await peer.open(handler)
    await peer.send(masked(TEXT, b"1"), masked(TEXT, b"2"))
    assert peer.frames() == [(TEXT, "1")]
    gate.set()
    await peer.client.send()
    assert peer.frames() == [(TEXT, "2")]


async def test_send_waits_for_a_slow_peer(peer):
    sent = []

    async def handler(websocket):
        peer.transport.block()
        for number in range(5):
            await websocket.send(f"{number}")
            sent.append(number)

    await peer.open(handler)
    assert sent == []
    peer.transport.read()
    await peer.client.send()
    assert sent == [0, 1, 2, 3, 4]


async def test_a_cancelled_send_takes_nothing_back(peer):
    async def handler(websocket):
        peer.transport.block()
        websocket.send_nowait("first")
        assert websocket.buffered_amount > 0
        sending = asyncio.ensure_future(websocket.send("second"))
        await asyncio.sleep(0)
        sending.cancel()
        await websocket.wait_closed()

    websocket = await peer.open(handler)
    peer.transport.read()
    await peer.client.send()
    assert peer.frames() == [(TEXT, "first"), (TEXT, "second")]
    assert websocket.buffered_amount == 0


async def test_who_waits_for_a_slow_peer_is_never_too_slow(peer):
    large = b"x" * 3_000_000

    async def handler(websocket):
        peer.transport.block()
        sends = (websocket.send(large) for _ in range(3))
        await asyncio.gather(*sends, *(websocket.send(b"") for _ in range(2000)))

    await peer.open(handler)
    while peer.transport.unsent:
        peer.transport.read(peer.transport.unsent)
        await peer.client.send()
    frames = peer.frames()
    assert frames[:3] == [(BINARY, large)] * 3
    assert frames[3:] == [(BINARY, b"")] * 2000 + [(CLOSE, close_payload(1000))]


async def test_sending_on_a_closed_connection_raises(peer):
    websocket = await peer.open(idle)
    websocket.close_nowait()
    with pytest.raises(ConnectionClosed):
        await websocket.send("late")
    with pytest.raises(ConnectionClosed):
        await websocket.send(["la", "te"])
    with pytest.raises(ConnectionClosed):
        await websocket.ping()
    await peer.client.lose()
    with pytest.raises(ConnectionClosed):
        await websocket.drain()


async def test_a_wait_for_a_slow_peer_ends_with_the_connection(peer):
    ended = []

    async def handler(websocket):
        peer.transport.block()
        websocket.send_nowait("first")
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as caught:
                await websocket.send("more")
            ended.append(caught.value.code)

    await peer.open(handler)
    await peer.client.lose()
    assert ended == [1006, 1006]


@pytest.mark.parametrize("message", [None, 5, [5], [None]])
async def test_only_text_and_bytes_are_messages(peer, message):
    websocket = await peer.open(idle)
    with pytest.raises(TypeError):
        await websocket.send(message)
    await websocket.send(memoryview(b"ok"))
    assert peer.frames() == [(BINARY, b"ok")]


# Messages in pieces (RFC 6455, 5.4)


async def pieces(*parts):
    for part in parts:
        await asyncio.sleep(0)
        yield part


@pytest.mark.parametrize("kind", [list, pieces])
async def test_an_iterable_is_one_message_in_fragments(peer, kind):
    websocket = await peer.open(idle)
    source = kind("abc") if kind is list else pieces(*"abc")
    await websocket.send(source)
    expected = [
        build_frame(TEXT, "a", fin=False),
        build_frame(CONTINUATION, "b", fin=False),
        build_frame(CONTINUATION, "c"),
    ]
    assert peer.transport.written == b"".join(expected)


async def test_an_empty_iterable_is_an_empty_binary_message(peer):
    websocket = await peer.open(idle)
    await websocket.send([])
    assert peer.frames() == [(BINARY, b"")]


async def test_other_messages_wait_until_a_fragmented_one_is_complete(peer):
    websocket = await peer.open(idle)
    first = asyncio.ensure_future(websocket.send(pieces("a", "b", "c")))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(websocket.send("d"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(InvalidState):
        websocket.send_nowait("between")
    await asyncio.gather(first, second)
    assert peer.frames() == [(TEXT, "abc"), (TEXT, "d")]


async def test_a_message_that_breaks_off_fails_the_connection(peer):
    async def broken():
        yield "a"
        yield "b"
        raise ZeroDivisionError

    websocket = await peer.open(idle)
    with pytest.raises(ZeroDivisionError):
        await websocket.send(broken())
    assert peer.transport.written == build_frame(TEXT, "a", fin=False) + build_frame(
        CLOSE, close_payload(1011, b"message broke off")
    )


async def test_an_iterable_that_fails_before_its_first_frame_does_no_harm(peer):
    async def broken():
        yield "never sent"
        raise ZeroDivisionError

    websocket = await peer.open(idle)
    with pytest.raises(ZeroDivisionError):
        await websocket.send(broken())
    await websocket.send("fine")
    assert peer.frames() == [(TEXT, "fine")]


async def test_publications_never_part_a_message(peer):
    websocket = await peer.open(idle)
    hub = Hub(peer.client.service.loop)
    hub.registry = peer.client.service.registry

    def frame(text):
        return build_frame(TEXT, text)

    async def publishing():
        for letter in "abc":
            yield letter
            hub.publish("topic", letter)
            await asyncio.sleep(0)

    hub.subscribe(websocket, "topic", frame)
    await websocket.send(publishing())
    await peer.client.send()
    assert peer.frames() == [(TEXT, "a"), (TEXT, "b"), (TEXT, "c"), (TEXT, "abc")]
    hub.unsubscribe(websocket, "topic")
    gate = asyncio.Event()

    async def gated():
        yield b"d"
        yield b"e"
        await gate.wait()
        yield b"f"

    sending = asyncio.ensure_future(websocket.send(gated()))
    await peer.client.send()
    with pytest.raises(RuntimeError, match="fragmented"):
        hub.subscribe(websocket, "topic", frame)
    gate.set()
    await sending
    assert peer.frames() == [(BINARY, b"def")]
    hub.subscribe(websocket, "topic", frame)
    await websocket.send([b"g", b"h"])
    assert peer.frames() == [(BINARY, b"gh")]


# Pings, and the end


async def test_a_ping_can_be_awaited(peer):
    websocket = await peer.open(idle)
    older, newer = await websocket.ping(), await websocket.ping(b"now")
    (_, _), (opcode, payload) = peer.frames()
    assert (opcode, payload) == (PING, b"now")
    assert not older.done()
    await peer.send(masked(PONG, b"now"))
    assert await older >= 0
    assert await newer >= 0
    await peer.send(masked(PONG, b"now"))
    assert websocket.state is State.OPEN


async def test_a_ping_without_a_pong_ends_with_the_connection(peer):
    websocket = await peer.open(idle)
    waiting, cancelled = await websocket.ping(b"1"), await websocket.ping(b"2")
    cancelled.cancel()
    await peer.client.lose()
    with pytest.raises(ConnectionClosed):
        await waiting


async def test_close_waits_for_the_end(peer):
    websocket = await peer.open(idle)
    closing = asyncio.ensure_future(websocket.close(4000, "done"))
    impatient = asyncio.ensure_future(websocket.wait_closed())
    await peer.client.send()
    impatient.cancel()
    assert peer.frames() == [(CLOSE, close_payload(4000, b"done"))]
    await peer.client.send()
    assert not closing.done()
    await peer.send(masked(CLOSE, close_payload(4000)))
    await closing
    await websocket.close()
    await websocket.wait_closed()
    assert (websocket.close_code, websocket.state) == (4000, State.CLOSED)


async def test_a_restart_is_announced_with_1012(peer):
    websocket = await peer.open(idle)
    websocket.on_drain(1012)
    assert peer.frames() == [(CLOSE, close_payload(1012, b"server restarts"))]


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
