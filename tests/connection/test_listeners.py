"""Event-style callbacks, alone and on a socket."""

import asyncio
import logging

import pytest

from beamfast._frames import build_frame
from beamfast._inbox import MESSAGES
from beamfast.connection.listeners import Listeners
from beamfast.errors import InvalidState

TEXT, CLOSE = 0x1, 0x8


def masked(opcode, payload=b""):
    return build_frame(opcode, payload, mask=b"mask")


@pytest.fixture
async def listeners():
    failures = []
    one = Listeners(asyncio.ensure_future, failures.append)
    return one, failures


async def test_everybody_who_listens_is_called_in_order(listeners):
    emitter, _ = listeners
    seen = []
    emitter.add("message", lambda text: seen.append(("a", text)))
    emitter.add("message", lambda text: seen.append(("b", text)))
    emitter.emit("message", "1")
    assert seen == [("a", "1"), ("b", "1")]


async def test_an_event_without_a_listener_waits_for_one(listeners):
    emitter, _ = listeners
    seen, late = [], []
    emitter.emit("error", "1")
    emitter.emit("error", "2")
    emitter.add("error", seen.append)
    emitter.add("error", late.append)
    assert (seen, late) == (["1", "2"], [])
    emitter.remove("error", seen.append)
    emitter.remove("error", late.append)


async def test_a_listener_may_remove_itself(listeners):
    emitter, _ = listeners
    seen = []

    def once(text):
        emitter.remove("message", once)
        seen.append(text)

    emitter.add("message", once)
    emitter.add("message", seen.append)
    emitter.emit("message", "1")
    emitter.emit("message", "2")
    assert seen == ["1", "1", "2"]
    emitter.remove("message", once)


@pytest.mark.parametrize("call", ["has", "add", "remove"])
async def test_unknown_events_are_the_callers_fault(listeners, call):
    emitter, _ = listeners
    arguments = ("tick",) if call == "has" else ("tick", print)
    with pytest.raises(ValueError, match="only open, message"):
        getattr(emitter, call)(*arguments)


async def test_coroutines_run_one_after_the_other_and_keep_the_order(listeners):
    emitter, failures = listeners
    seen, gate = [], asyncio.Event()

    async def slow(text):
        seen.append(text)
        await gate.wait()
        seen.append(text * 2)

    emitter.add("message", slow)
    emitter.add("close", lambda code, reason: seen.append(code))
    emitter.emit("message", "a")
    emitter.emit("message", "b")
    emitter.emit("close", 1000, "")
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen == ["a"]
    gate.set()
    while asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.sleep(0)
    assert seen == ["a", "aa", "b", "bb", 1000]
    emitter.emit("close", 1001, "")
    assert seen[-1] == 1001
    assert failures == []


async def test_a_coroutine_that_fails_is_reported(listeners):
    emitter, failures = listeners

    async def fail(text):
        raise ZeroDivisionError

    emitter.add("message", fail)
    emitter.emit("message", "a")
    for _ in range(5):
        await asyncio.sleep(0)
    assert [type(one) for one in failures] == [ZeroDivisionError]


# On a socket


async def test_a_socket_tells_its_listeners_everything(peer):
    seen = []

    def setup(websocket):
        @websocket.on("message")
        def receive(message):
            seen.append(message)
            websocket.send_nowait(message)

        assert callable(receive)
        websocket.on("open", lambda: seen.append("open"))
        websocket.on("close", lambda code, reason: seen.append((code, reason)))

    websocket = await peer.open(setup)
    await peer.send(masked(TEXT, b"hi"), masked(CLOSE, b"\x03\xe8bye"))
    assert seen == ["open", "hi", (1000, "bye")]
    assert peer.frames() == [(TEXT, "hi"), (CLOSE, b"\x03\xe8")]
    assert websocket.request.path == "/chat"


async def test_messages_wait_for_a_listener_in_a_bounded_buffer(peer):
    websocket = await peer.open(lambda websocket: websocket.on("open", bool))
    for number in range(MESSAGES):
        assert peer.transport.reading
        await peer.send(masked(TEXT, b"%d" % number))
    assert not peer.transport.reading
    seen = []
    websocket.on("message", seen.append)
    assert seen == [str(number) for number in range(MESSAGES)]
    assert peer.transport.reading
    await peer.send(masked(TEXT, b"more"))
    assert seen[-1] == "more"
    websocket.off("message", seen.append)
    await peer.send(masked(TEXT, b"kept"))
    websocket.on("message", seen.append)
    assert seen[-1] == "kept"


async def test_what_came_before_the_end_reaches_who_listens_after_it(peer):
    websocket = await peer.open(lambda websocket: websocket.on("open", bool))
    await peer.send(masked(TEXT, b"last"))
    await peer.client.lose(ConnectionResetError("gone"))
    seen = []
    for event in ("message", "error", "close"):
        websocket.on(event, lambda *values: seen.append(values))
    assert seen == [("last",), ("Network error: /chat: gone",), (1006, "")]


async def test_a_broken_frame_is_an_error_and_then_a_close(peer):
    seen = []

    def setup(websocket):
        websocket.on("error", seen.append)
        websocket.on("close", lambda *values: seen.append(values))

    await peer.open(setup)
    await peer.send(build_frame(TEXT, b"not masked"))
    await peer.client.lose(ConnectionResetError())
    assert len(seen) == 2
    assert "mask" in seen[0]
    assert seen[1] == (1006, "")


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_listener_that_fails_closes_with_1011(peer, caplog, is_async):
    async def fail_later(message):
        raise ZeroDivisionError

    def fail(message):
        raise ZeroDivisionError

    listener = fail_later if is_async else fail
    await peer.open(lambda websocket: websocket.on("message", listener))
    with caplog.at_level(logging.ERROR, "beamfast.websocket"):
        await peer.send(masked(TEXT, b"1"))
    ((opcode, payload),) = peer.frames()
    assert (opcode, payload[:2]) == (CLOSE, (1011).to_bytes(2, "big"))
    assert len(caplog.records) == 1


async def test_a_socket_with_listeners_is_not_read_from(peer):
    websocket = await peer.open(lambda websocket: websocket.on("open", bool))
    with pytest.raises(InvalidState):
        await websocket.recv()
