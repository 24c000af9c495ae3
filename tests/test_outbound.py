import asyncio
import gc
import socket
import weakref

import pytest

from beamfast._outbound import LoopState, Outbound


class Loop:
    """Stands for an event loop: runs what was scheduled, one turn at a time."""

    def __init__(self):
        self.scheduled = []
        self.errors = []

    def call_soon(self, callback, *arguments):
        self.scheduled.append((callback, arguments))

    def turn(self):
        scheduled, self.scheduled = self.scheduled, []
        for callback, arguments in scheduled:
            callback(*arguments)

    def create_future(self):
        return asyncio.Future(loop=asyncio.new_event_loop())

    def call_exception_handler(self, context):
        self.errors.append(context)


class Transport:
    """Takes ``room`` bytes at once and keeps the rest until told to drain."""

    def __init__(self, *, room=0, kept=b"", extra=()):
        self.extra = dict(extra)
        self.room, self.kept = room, kept
        self.writes, self.calls = [], []
        self.protocol = None
        self.closing = False

    def get_extra_info(self, name):
        return self.extra.get(name)

    def set_write_buffer_limits(self, high, low):
        self.limits = (high, low)

    def get_write_buffer_size(self):
        return len(self.kept)

    def is_closing(self):
        return self.closing

    def write(self, data):
        if isinstance(self.room, Exception):
            raise self.room
        data = bytes(data)
        self.writes.append(data)
        taken = min(self.room, len(data)) if not self.kept else 0
        self.room -= taken
        was_empty, self.kept = not self.kept, self.kept + data[taken:]
        if self.kept and was_empty:
            self.protocol.pause_writing()

    def drain(self, room=0):
        self.kept, self.room = b"", room
        self.protocol.resume_writing()

    def close(self):
        self.calls.append("close")

    def abort(self):
        self.calls.append("abort")


def attached(transport, kind=Outbound, state=None):
    outbound = kind()
    transport.protocol = outbound
    outbound.attach(transport, state or LoopState(Loop()))
    return outbound


@pytest.fixture
def pair():
    """A socket for direct sends and its other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def full(sock):
    """Fill a socket's buffers; return how many bytes that took."""
    size = 0
    try:
        while True:
            size += sock.send(b"." * 65536)
    except BlockingIOError:
        return size


def read(sock, size=1 << 20):
    data = b""
    try:
        while len(data) < size and (chunk := sock.recv(size - len(data))):
            data += chunk
    except BlockingIOError:
        pass
    return data


def test_a_clean_socket_is_written_directly(pair):
    transport = Transport(extra={"socket": pair[0]})
    outbound = attached(transport)
    outbound.write(b"hello")
    assert read(pair[1]) == b"hello"
    assert transport.writes == []
    assert transport.limits == (0, 0)
    assert not outbound.is_paused


def test_what_the_kernel_does_not_take_goes_to_the_transport(pair):
    transport = Transport(extra={"socket": pair[0]})
    outbound = attached(transport)
    size = full(pair[0])
    outbound.write(b"first")
    outbound.write(b"second")
    assert transport.writes == [b"first"]
    assert outbound.is_paused
    assert outbound.buffered_amount == len(b"firstsecond")
    assert read(pair[1], size) == b"." * size
    outbound.write(b"third")
    assert read(pair[1]) == b""
    transport.drain(room=100)
    assert transport.writes == [b"first", b"secondthird"]
    outbound.write(b"direct again")
    assert read(pair[1]) == b"direct again"


def test_a_send_that_is_cut_goes_on_in_the_transport(pair):
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport = Transport(extra={"socket": pair[0]})
    outbound = attached(transport)
    data = bytes(range(256)) * 4096
    outbound.write(data)
    assert 0 < len(transport.kept) < len(data)
    assert read(pair[1]) + transport.kept == data


@pytest.mark.parametrize("extra", [{}, {"ssl_object": object()}])
def test_without_a_plain_socket_everything_goes_through_the_transport(extra, pair):
    transport = Transport(room=100, extra={**extra} and {**extra, "socket": pair[0]})
    outbound = attached(transport)
    outbound.write(b"hello")
    assert transport.writes == [b"hello"]


def test_a_datagram_socket_is_left_to_the_transport():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        transport = Transport(room=100, extra={"socket": sock})
        attached(transport).write(b"hello")
        assert transport.writes == [b"hello"]


def test_a_backlog_from_before_leaves_first(pair):
    transport = Transport(kept=b"HTTP/1.1 101", extra={"socket": pair[0]})
    outbound = attached(transport)
    outbound.write(b"hello")
    assert (outbound.is_paused, read(pair[1]), transport.writes) == (True, b"", [])
    transport.drain(room=100)
    assert transport.writes == [b"hello"]


def test_a_transport_is_attached_once():
    outbound = attached(Transport())
    with pytest.raises(RuntimeError, match="twice"):
        outbound.attach(Transport(), LoopState(Loop()))


def test_a_message_is_written_as_one_frame():
    transport = Transport(room=1000)
    outbound = attached(transport)
    assert outbound.write_message("\xfc")
    assert outbound.write_message(b"b")
    assert outbound.write_message(bytearray(126))
    frames = [b"\x81\x02\xc3\xbc", b"\x82\x01b", b"\x82\x7e\x00\x7e" + bytes(126)]
    assert transport.writes == frames


@pytest.mark.parametrize("wrong", [5, None, "\ud800"])
def test_what_is_no_message_is_refused_and_nothing_is_written(wrong):
    transport = Transport(room=1000)
    outbound = attached(transport)
    with pytest.raises((TypeError, ValueError)):
        outbound.write_message(wrong)
    assert transport.writes == []


def test_a_message_after_the_last_bytes_is_refused():
    transport = Transport(room=1000)
    outbound = attached(transport)
    outbound.write_last(b"last")
    assert not outbound.write_message("late")
    assert transport.writes == [b"last"]


def test_writes_without_a_socket_are_dropped():
    outbound = Outbound()
    outbound.write(b"too early")
    outbound.abort()
    outbound.close_transport()
    outbound.cork()
    outbound.uncork()
    assert (outbound.is_closing, outbound.buffered_amount) == (True, 0)
    assert outbound.wait_writable() is None


def test_a_closing_transport_is_not_written():
    transport = Transport(room=100)
    transport.closing = True
    outbound = attached(transport)
    outbound.write(b"late")
    assert (outbound.is_closing, transport.writes) == (True, [])


def test_corked_writes_leave_as_one():
    transport = Transport(room=1000)
    outbound = attached(transport)
    outbound.cork()
    for index in range(16):
        outbound.write(b"%x" % index)
    assert transport.writes == []
    assert outbound.buffered_amount == 16
    outbound.uncork()
    assert transport.writes == [b"0123456789abcdef"]


def test_corked_writes_leave_when_the_scratch_is_full():
    transport = Transport(room=1 << 20)
    outbound = attached(transport)
    outbound.cork()
    for index in range(5):
        outbound.write(b"%d" % index * 16384)
    assert [len(each) for each in transport.writes] == [65536]
    outbound.uncork()
    assert b"".join(transport.writes) == b"".join(b"%d" % n * 16384 for n in range(5))


def test_a_large_write_stays_behind_what_has_gathered():
    transport = Transport(room=1 << 20)
    outbound = attached(transport)
    outbound.cork()
    outbound.write(b"small")
    outbound.write(b"L" * 20_000)
    outbound.write(b"tail")
    outbound.uncork()
    assert transport.writes == [b"small", b"L" * 20_000, b"tail"]


def test_two_corked_connections_keep_their_bytes_apart():
    state = LoopState(Loop())
    transports = [Transport(room=1000), Transport(room=1000)]
    one, two = (attached(transport, state=state) for transport in transports)
    one.cork()
    two.cork()
    for letter in (b"a", b"b", b"c"):
        one.write(letter)
        two.write(letter.upper())
    two.uncork()
    one.uncork()
    assert [b"".join(each.writes) for each in transports] == [b"abc", b"ABC"]


def test_a_cork_on_a_paused_connection_feeds_its_queue():
    transport = Transport(room=1)
    outbound = attached(transport)
    outbound.write(b"first ")
    outbound.cork()
    outbound.write(b"second ")
    outbound.uncork()
    outbound.write(b"third")
    transport.drain(room=100)
    assert b"".join(transport.writes) == b"first second third"


def test_the_queue_drains_in_shares_of_whole_pieces():
    loop = Loop()
    transport = Transport()
    outbound = attached(transport, state=LoopState(loop))
    outbound.write(b"!")
    pieces = [b"%d" % index * 40_000 for index in range(5)] + [b"x" * 70_000]
    for piece in pieces:
        outbound.write(piece)
    transport.drain(room=1 << 20)
    shares = [len(transport.writes)]
    while loop.scheduled:
        assert outbound.is_paused
        outbound.write(b"later")
        loop.turn()
        shares.append(len(transport.writes))
    assert not outbound.is_paused
    assert shares == list(range(2, len(shares) + 2))
    expected = b"!" + b"".join(pieces) + b"later" * (len(shares) - 1)
    assert b"".join(transport.writes) == expected


def test_a_queue_that_pauses_again_goes_on_when_resumed():
    transport = Transport()
    outbound = attached(transport)
    for piece in (b"1", b"2" * 50_000, b"3" * 50_000, b"4"):
        outbound.write(piece)
    transport.drain()
    transport.drain()
    transport.drain()
    expected = b"1" + b"2" * 50_000 + b"3" * 50_000 + b"4"
    assert b"".join(transport.writes) == expected
    transport.drain()
    assert not outbound.is_paused


class Slow(Outbound):
    def __init__(self):
        self.overflows = 0

    def on_overflow(self):
        self.overflows += 1


@pytest.mark.parametrize(
    ("limit", "value"), [("queue_bytes_limit", 90), ("queue_items_limit", 9)]
)
def test_over_budget_is_reported_once_until_drained(limit, value):
    transport = Transport()
    outbound = attached(transport, Slow)
    setattr(outbound, limit, value)
    outbound.write(b"in the transport")
    for _ in range(9):
        outbound.write(b"0123456789")
    assert outbound.overflows == 0
    for _ in range(9):
        outbound.write(b"0123456789")
    assert outbound.overflows == 1
    transport.drain(room=1000)
    transport.drain()
    for _ in range(20):
        outbound.write(b"0123456789")
    assert outbound.overflows == 2


def test_over_budget_aborts_by_default():
    transport = Transport()
    outbound = attached(transport)
    outbound.queue_bytes_limit = 10
    outbound.write(b"in the transport")
    outbound.write(b"more than ten")
    assert transport.calls == ["abort"]
    assert outbound.is_closing


def test_the_usual_budget_is_a_mebibyte_or_a_thousand_items():
    outbound = Outbound()
    assert (outbound.queue_bytes_limit, outbound.queue_items_limit) == (2**20, 1000)


def test_an_overflow_callback_that_fails_is_reported_to_the_loop():
    class Broken(Outbound):
        def on_overflow(self):
            raise LookupError

    loop = Loop()
    outbound = attached(Transport(), Broken, LoopState(loop))
    outbound.queue_items_limit = 0
    outbound.write(b"in the transport")
    outbound.write(b"queued")
    assert isinstance(loop.errors[0]["exception"], LookupError)


def test_a_dropped_queue_makes_room_for_last_words():
    transport = Transport(room=3)
    outbound = attached(transport)
    outbound.write(b"frame")
    outbound.write(b"dropped")
    outbound.drop_queue()
    outbound.write_last(b"close")
    transport.drain(room=100)
    assert b"".join(transport.writes) == b"frameclose"


def test_dropping_the_queue_wakes_who_waits_for_it():
    loop = Loop()
    transport = Transport()
    outbound = attached(transport, state=LoopState(loop))
    for piece in (b"!", b"x" * 70_000, b"y"):
        outbound.write(piece)
    transport.drain(room=1 << 20)
    waiter = outbound.wait_writable()
    outbound.drop_queue()
    assert waiter.done()
    loop.turn()
    assert not outbound.is_paused
    waiter.get_loop().close()


def test_nothing_follows_the_last_write():
    transport = Transport(room=100)
    outbound = attached(transport)
    outbound.cork()
    outbound.write(b"hello ")
    outbound.write_last(b"bye")
    outbound.write(b"never")
    outbound.write_last(b"never")
    outbound.uncork()
    assert b"".join(transport.writes) == b"hello bye"
    assert not outbound.is_closing
    outbound.close_transport()
    assert transport.calls == ["close"]


def test_closing_sends_the_queue_first():
    transport = Transport()
    outbound = attached(transport)
    for piece in (b"1", b"2" * 70_000, b"3"):
        outbound.write(piece)
    outbound.cork()
    outbound.write(b"4")
    outbound.close_transport()
    outbound.close_transport()
    outbound.write(b"never")
    assert b"".join(transport.writes) == b"1" + b"2" * 70_000 + b"34"
    assert (transport.calls, outbound.is_closing) == (["close"], True)


def test_aborting_sends_nothing_more():
    transport = Transport()
    outbound = attached(transport)
    outbound.write(b"1")
    outbound.write(b"2")
    outbound.abort()
    outbound.write(b"3")
    transport.drain(room=100)
    assert (transport.writes, transport.calls) == ([b"1"], ["abort"])


def test_losing_the_connection_frees_everything():
    transport = Transport()
    outbound = attached(transport)
    outbound.write(b"1")
    outbound.write(b"2")
    outbound.cork()
    outbound.write(b"3")
    waiter = outbound.wait_writable()
    outbound.connection_lost(None)
    outbound.uncork()
    assert (outbound.transport, outbound.buffered_amount) == (None, 0)
    assert waiter.done()
    waiter.get_loop().close()


def test_a_connection_lost_in_a_cork_leaves_its_bytes_to_nobody():
    state = LoopState(Loop())
    one, two = Transport(room=100), Transport(room=100)
    lost, other = attached(one, state=state), attached(two, state=state)
    lost.cork()
    lost.write(b"secret")
    lost.connection_lost(None)
    other.cork()
    other.write(b"hello")
    other.uncork()
    assert (one.writes, two.writes) == ([], [b"hello"])


def test_waiting_is_free_while_nothing_is_buffered():
    transport = Transport(room=1)
    outbound = attached(transport)
    assert outbound.wait_writable() is None
    outbound.write(b"12")
    mine, others = outbound.wait_writable(), outbound.wait_writable()
    mine.cancel()
    transport.drain(room=100)
    assert (mine.cancelled(), others.result()) == (True, None)
    for waiter in (mine, others):
        waiter.get_loop().close()


def test_a_reset_socket_is_aborted_and_never_raises(pair):
    transport = Transport(extra={"socket": pair[0]})
    outbound = attached(transport)
    pair[1].close()
    outbound.write(b"hello")
    outbound.write(b"hello")
    assert (transport.calls, outbound.is_closing) == (["abort"], True)


def test_a_socket_that_breaks_at_what_was_gathered_takes_nothing_more(pair):
    transport = Transport(room=100, extra={"socket": pair[0]})
    outbound = attached(transport)
    pair[1].close()
    outbound.cork()
    outbound.write(b"gathered")
    outbound.write(b"." * 32 * 1024)
    outbound.uncork()
    assert (transport.writes, transport.calls) == ([], ["abort"])
    assert outbound.buffered_amount == 0


def test_a_transport_that_refuses_is_aborted():
    transport = Transport()
    transport.room = RuntimeError("the handle is closed")
    outbound = attached(transport)
    outbound.write(b"hello")
    assert (transport.calls, outbound.is_closing) == (["abort"], True)


def test_a_connection_and_its_transport_are_collected_together():
    class Watched(Outbound):
        pass

    outbound = attached(Transport(), Watched)
    outbound.write(b"1")
    outbound.write(b"2")
    watcher = weakref.ref(outbound)
    del outbound
    gc.collect()
    assert watcher() is None
