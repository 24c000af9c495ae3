"""Sending, pings and the end."""

import asyncio

import pytest

from beamfast._frames import build_frame
from beamfast.errors import ConnectionClosed, InvalidState
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
