"""What ``await websocket.send()`` awaits."""

import asyncio
import inspect
import socket
from collections.abc import Coroutine

import pytest

from beamfast._outbound import Outbound
from beamfast._sending import AtOnce
from beamfast._wire import LoopState


class Socket(Outbound):
    """The write side of a WebSocket, with a note of what needed a coroutine."""

    def __init__(self):
        self.slow = []
        self.gate = asyncio.Event()
        self.error = None

    @AtOnce
    async def send(self, message):
        """Send it."""
        self.slow.append(message)
        await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def drain(self):
        await self.wait_writable()


class Protocol(asyncio.Protocol):
    def __init__(self, outbound):
        self.outbound = outbound

    def connection_made(self, transport):
        self.outbound.attach(transport, LoopState(asyncio.get_running_loop()))
        transport.set_protocol(self)

    def pause_writing(self):
        self.outbound.pause_writing()

    def resume_writing(self):
        self.outbound.resume_writing()

    def connection_lost(self, exc):
        self.outbound.connection_lost(exc)


@pytest.fixture
async def ends():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    outbound = Socket()
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: Protocol(outbound), sock=ours)
    yield outbound, theirs
    outbound.abort()
    theirs.close()
    await asyncio.sleep(0)


async def test_a_message_leaves_when_it_is_awaited(ends):
    outbound, peer = ends
    first, second = outbound.send("hi"), outbound.send(b"\x00")
    with pytest.raises(BlockingIOError):
        peer.recv(100)
    await first
    await second
    assert peer.recv(100) == b"\x81\x02hi\x82\x01\x00"
    assert outbound.slow == []


async def test_replies_to_a_read_gather(ends):
    outbound, peer = ends
    outbound.cork()
    await outbound.send("a")
    await outbound.send("\u00e9")
    with pytest.raises(BlockingIOError):
        peer.recv(100)
    outbound.uncork()
    assert peer.recv(100) == b"\x81\x01a\x81\x02\xc3\xa9"


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("message", [bytearray(b"x"), Text("x"), ["x"], 7])
async def test_what_is_no_plain_message_needs_a_coroutine(ends, message):
    outbound, _ = ends
    outbound.gate.set()
    await outbound.send(message)
    assert outbound.slow == [message]


async def test_what_is_masked_or_comes_late_needs_a_coroutine(ends):
    outbound, _ = ends
    outbound.gate.set()
    outbound.is_plain = False
    await outbound.send("masked")
    outbound.is_plain = True
    outbound.abort()
    await outbound.send("late")
    assert outbound.slow == ["masked", "late"]


async def test_a_lone_surrogate_is_refused(ends):
    outbound, peer = ends
    with pytest.raises(ValueError, match="surrogate"):
        await outbound.send("\ud800")
    await outbound.send("fine")
    assert peer.recv(100) == b"\x81\x04fine"


async def test_a_slow_peer_is_waited_for(ends):
    outbound, peer = ends
    large = b"x" * 2**20
    sending = asyncio.ensure_future(outbound.send(large))
    await asyncio.sleep(0)
    assert not sending.done()
    # What does not leave at once is left to the coroutine.
    waiting = asyncio.ensure_future(outbound.send("more"))
    await asyncio.sleep(0)
    assert outbound.slow == ["more"]
    received = 0
    while not sending.done():
        try:
            received += len(peer.recv(2**20))
        except BlockingIOError:
            await asyncio.sleep(0.001)
    await sending
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_a_task_can_be_made_of_it(ends):
    outbound, peer = ends
    sending = outbound.send("x")
    assert isinstance(sending, Coroutine)
    await asyncio.create_task(sending)
    assert peer.recv(100) == b"\x81\x01x"
    outbound.error = KeyError("broken")
    tasks = [asyncio.create_task(outbound.send([1])) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    outbound.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in found] == [asyncio.CancelledError, KeyError]


async def test_a_cancelled_task_that_has_not_begun_sends_nothing(ends):
    outbound, peer = ends
    task = asyncio.create_task(outbound.send("x"))
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(BlockingIOError):
        peer.recv(100)


async def test_it_can_be_driven_by_hand(ends):
    outbound, peer = ends
    with pytest.raises(StopIteration):
        outbound.send("x").send(None)
    assert peer.recv(100) == b"\x81\x01x"
    slow = outbound.send(["x"])
    waiter = slow.send(None)
    outbound.gate.set()
    assert waiter.done()
    with pytest.raises(StopIteration):
        slow.send(None)
    for thrown in ((KeyError,), (KeyError, KeyError("x"))):
        with pytest.raises(KeyError):
            outbound.send("x").throw(*thrown)
    outbound.gate.clear()
    slow = outbound.send(["x"])
    next(iter(slow))
    slow.close()
    with pytest.raises(RuntimeError, match="already awaited"):
        await slow


async def test_it_looks_like_the_coroutine_function_that_it_is(ends):
    outbound, peer = ends
    assert inspect.iscoroutinefunction(outbound.send)
    assert str(inspect.signature(outbound.send)) == "(message)"
    assert (outbound.send.__name__, outbound.send.__doc__) == ("send", "Send it.")
    assert Socket.send.__qualname__ == "Socket.send"
    await Socket.send(outbound, message="x")
    assert peer.recv(100) == b"\x81\x01x"


async def test_who_forgets_to_await_it_is_told(ends):
    outbound, _ = ends
    with pytest.warns(RuntimeWarning, match=r"WebSocket\.send' was never awaited"):
        outbound.send("x")
    outbound.send("x").close()
