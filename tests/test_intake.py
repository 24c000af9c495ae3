"""What drivers begin with, and what one read goes through."""

import asyncio
import socket

import pytest

from beamfast._frames import FrameParser, build_frame
from beamfast._intake import Intake, Outbox, data_received
from beamfast._outbound import Outbound
from beamfast._wire import LoopState

TEXT, PING = 0x1, 0x9


def masked(opcode, payload):
    return build_frame(opcode, payload, mask=b"mask")


class Frames(Intake):
    """A driver that reads frames and answers pings."""

    def __init__(self):
        self._parser = FrameParser(masked=True)

    def _receive_frame(self, opcode, rsv, payload):
        self._put(b"<pong>")
        if self.on_answer is not None:
            self.on_answer()

    def _end_input(self, code):
        self._held = code, self._parser.reason


class Lines(Intake):
    """A driver of another version."""

    def receive_data(self, data):
        self._emit(data)


class Link(Outbound):
    def __init__(self, driver):
        self.driver = driver
        self._own_driver = None
        self._has_ended = False
        self.notes = []

    data_received = data_received

    def _make_driver(self):
        self._own_driver = self.driver
        return self.driver

    def _flush(self):
        for piece in self._own_driver.data_to_send():
            self.write(piece)
        self.notes += self._own_driver.events_received()

    def _hold_failure(self):
        self.notes.append(self._own_driver._held)

    def _fail(self, why, error):
        self.notes.append(error)


@pytest.fixture
def frames():
    return Frames()


@pytest.fixture
async def link(frames):
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    link = Link(frames)
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    link.attach(transport, LoopState(loop))
    theirs.setblocking(False)
    link.peer = theirs
    yield link
    transport.abort()
    theirs.close()
    await asyncio.sleep(0)


def received(link):
    try:
        return link.peer.recv(1000)
    except BlockingIOError:
        return b""


# Events and bytes


def test_what_was_put_in_comes_out_once_and_in_order():
    outbox = Outbox()
    assert not outbox.has_news
    assert outbox.events_received() == outbox.data_to_send() == []
    outbox._emit("one")
    outbox._emit(b"two")
    outbox._put(b"a")
    outbox._put(b"b")
    assert outbox.has_news
    assert outbox.events_received() == ["one", b"two"]
    assert outbox.has_news
    assert outbox.data_to_send() == [b"a", b"b"]
    assert not outbox.has_news
    assert outbox.events_received() == outbox.data_to_send() == []


def test_messages_stand_among_the_events_until_somebody_gets_them(frames):
    frames._feed(masked(TEXT, b"1"))
    assert frames.events_received() == ["1"]
    seen = []
    frames._deliver, frames._alone = seen.append, False
    frames._feed(masked(TEXT, b"2"))
    assert (seen, frames.events_received()) == (["2"], [])
    frames._feed(b"\x00")
    frames._feed(b"\x00")
    assert frames._held[0] == 1002


# One read


async def test_replies_to_one_read_leave_in_one_send(link, frames):
    sizes = []

    def echo(message):
        link.write_message(message)
        sizes.append(len(received(link)))

    frames._deliver, frames._alone = echo, False
    link.data_received(masked(TEXT, b"1") + masked(TEXT, b"2"))
    assert sizes == [0, 0]
    assert received(link) == build_frame(TEXT, "1") + build_frame(TEXT, "2")
    assert frames.on_answer is None


async def test_a_pong_leaves_where_its_ping_came(link, frames):
    frames._deliver, frames._alone = link.write_message, False
    link.data_received(masked(TEXT, b"1") + masked(PING, b"") + masked(TEXT, b"2"))
    one, two = build_frame(TEXT, "1"), build_frame(TEXT, "2")
    assert received(link) == one + b"<pong>" + two


async def test_news_is_told_after_the_read(link, frames):
    link.data_received(masked(TEXT, b"1"))
    assert link.notes == ["1"]


async def test_a_held_failure_is_told_after_the_read(link, frames):
    frames._deliver, frames._alone = link.notes.append, False
    link.data_received(masked(TEXT, b"1") + b"\x81\x00")
    message, (code, _) = link.notes
    assert (message, code) == ("1", 1002)


async def test_an_error_of_the_program_is_reported_and_what_was_written_leaves(
    link, frames
):
    error = KeyError("x")

    def fail(message):
        link.write_message(message)
        raise error

    frames._deliver, frames._alone = fail, False
    link.data_received(masked(TEXT, b"1"))
    assert link.notes == [error]
    assert received(link) == build_frame(TEXT, "1")


async def test_what_is_no_error_passes_and_what_was_written_leaves(link, frames):
    def stop(message):
        link.write_message(message)
        raise KeyboardInterrupt

    frames._deliver, frames._alone = stop, False
    with pytest.raises(KeyboardInterrupt):
        link.data_received(masked(TEXT, b"1"))
    assert received(link) == build_frame(TEXT, "1")


async def test_after_the_end_nothing_is_read(link, frames):
    link._has_ended = True
    link.data_received(masked(TEXT, b"1"))
    assert frames.events_received() == []


async def test_other_versions_read_for_themselves(link):
    link._own_driver = Lines()
    link.data_received(b"line")
    assert link.notes == [b"line"]
