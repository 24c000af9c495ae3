"""Transports whose other end is a function."""

import asyncio

import pytest

from beamfast.connection.alone import Alone
from beamfast.connection.foreign import (
    ForeignTransport,
    ForeignWebSocket,
    MessagePeer,
)
from beamfast.errors import Unsupported
from beamfast.http import Request, Upgrade


class Protocol:
    """Notes what its transport tells it."""

    def __init__(self):
        self.told = []

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.told.append("lost")


class Line:
    """A transport, its protocol, and what has been handed over."""

    def __init__(self):
        self.delivered = []
        self.gate = asyncio.Event()
        self.gate.set()
        loop = asyncio.get_running_loop()
        self.transport = ForeignTransport(loop, self._deliver, ("192.0.2.1", 1))
        self.protocol = Protocol()
        self.transport.set_protocol(self.protocol)
        self.task = loop.create_task(self.transport.run())

    async def _deliver(self, data):
        await self.gate.wait()
        self.delivered.append(data)

    async def turn(self):
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def line():
    line = Line()
    yield line
    line.transport.abort()
    await line.task


async def test_what_one_turn_writes_is_handed_over_together(line):
    line.transport.write(b"a")
    line.transport.write(bytearray(b"b"))
    line.transport.write(b"")
    assert line.transport.get_write_buffer_size() == 2
    await line.turn()
    assert line.delivered == [b"ab"]
    assert line.protocol.told == ["pause", "resume"]
    assert line.transport.get_write_buffer_size() == 0


async def test_a_backlog_waits_for_the_other_end(line):
    line.gate.clear()
    line.transport.write(b"a")
    await line.turn()
    line.transport.write(b"b")
    await line.turn()
    assert (line.delivered, line.protocol.told) == ([], ["pause"])
    assert line.transport.get_write_buffer_size() == 2
    line.gate.set()
    await line.turn()
    assert (line.delivered, line.protocol.told) == ([b"a", b"b"], ["pause", "resume"])


async def test_closing_hands_over_what_was_written_and_then_ends(line):
    line.transport.write(b"last")
    line.transport.close()
    line.transport.write(b"too late")
    assert line.transport.is_closing()
    await line.task
    assert (line.delivered, line.protocol.told[-1]) == ([b"last"], "lost")


async def test_aborting_hands_over_nothing(line):
    line.transport.write(b"never")
    line.transport.abort()
    await line.task
    assert (line.delivered, line.protocol.told[-1]) == ([], "lost")


async def test_reading_stops_and_goes_on(line):
    await line.transport.readable()
    line.transport.pause_reading()
    assert not line.transport.is_reading()
    waiting = asyncio.ensure_future(line.transport.readable())
    await line.turn()
    assert not waiting.done()
    line.transport.resume_reading()
    await waiting
    line.transport.close()
    line.transport.pause_reading()
    assert line.transport.is_reading()


async def test_it_says_what_it_is(line):
    transport = line.transport
    assert transport.get_protocol() is line.protocol
    assert transport.get_extra_info("peername") == ("192.0.2.1", 1)
    assert transport.get_extra_info("socket") is None
    assert not transport.can_write_eof()


async def test_an_error_of_the_other_end_ends_the_connection(line):
    async def fail(data):
        raise OSError("gone")

    line.transport._deliver = fail
    line.transport.write(b"x")
    await line.task
    assert line.protocol.told[-1] == "lost"


class Talk:
    """A WebSocket that is carried as messages."""

    def __init__(self, handler):
        self.sent = []
        self.closed = []
        alone = Alone(asyncio.get_running_loop())
        self.peer = MessagePeer(self._send, self._close)
        self.transport = ForeignTransport(alone.loop, self.peer.deliver, None)
        request = Request("GET", "/", url="/", path="/")
        upgrade = Upgrade(handler, max_size=10, ping_interval=0.0)
        self.websocket = ForeignWebSocket.of_request(request, upgrade, alone)
        self.peer.attach(self.websocket)
        self.transport.set_protocol(self.websocket)
        self.websocket.attach(self.transport, alone.state)
        self.websocket.open(handler, request)
        self.task = alone.loop.create_task(self.transport.run())

    async def _send(self, message):
        self.sent.append(message)

    async def _close(self, code, reason):
        self.closed.append((code, reason))


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def test_messages_go_both_ways_as_what_they_are():
    talk = Talk(echo)
    talk.peer.receive("text")
    talk.peer.receive(b"\x00")
    while len(talk.sent) < 2:
        await asyncio.sleep(0)
    talk.peer.receive_close(4000, "bye")
    await talk.task
    assert (talk.sent, talk.closed) == (["text", b"\x00"], [])
    assert (talk.websocket.close_code, talk.websocket.close_reason) == (4000, "bye")


async def test_a_client_that_is_lost_ends_with_1006():
    talk = Talk(echo)
    await asyncio.sleep(0)
    talk.peer.receive_close(1006, "")
    await talk.task
    assert talk.websocket.close_code == 1006


async def test_an_end_of_our_own_is_told_with_code_and_reason():
    async def leave(websocket):
        await websocket.close(4001, "enough")

    talk = Talk(leave)
    await talk.task
    assert talk.closed == [(4001, "enough")]


async def test_a_message_above_the_limit_closes_with_1009():
    talk = Talk(echo)
    await asyncio.sleep(0)
    talk.peer.receive("x" * 11)
    await talk.task
    assert talk.closed[0][0] == 1009


async def test_a_ping_is_refused_with_the_reason():
    talk = Talk(echo)
    with pytest.raises(Unsupported, match="pings belong to the server"):
        await talk.websocket.ping()
    talk.peer.receive_close(1001, "")
    await talk.task
