import gc
import weakref

import pytest

from beamfast._fanout import TopicRegistry
from beamfast._frames import build_frame
from beamfast._outbound import Outbound
from beamfast._wire import LoopState

from .turns import Loop, RoomTransport, attached


def test_a_message_is_written_as_one_frame():
    transport = RoomTransport(room=1000)
    outbound = attached(transport)
    assert outbound.write_message("\xfc")
    assert outbound.write_message(b"b")
    assert outbound.write_message(bytearray(126))
    frames = [b"\x81\x02\xc3\xbc", b"\x82\x01b", b"\x82\x7e\x00\x7e" + bytes(126)]
    assert transport.writes == frames


@pytest.mark.parametrize("wrong", [5, None, "\ud800"])
def test_what_is_no_message_is_refused_and_nothing_is_written(wrong):
    transport = RoomTransport(room=1000)
    outbound = attached(transport)
    with pytest.raises((TypeError, ValueError)):
        outbound.write_message(wrong)
    assert transport.writes == []


LONG = "x" * (16 * 1024)


def test_corked_messages_leave_in_one_send_and_in_order():
    transport = RoomTransport(room=10**6)
    outbound = attached(transport)
    outbound.cork()
    messages = [
        "a",
        b"b",
        "\xfc",
        bytearray(b"c"),
        "",
        b"d" * 200,
        LONG,
        LONG[:-14],
        "e",
    ]
    for message in messages:
        assert outbound.write_message(message)
    outbound.uncork()
    frames = b"".join(transport.writes)
    assert frames == b"".join(
        build_frame(1 if isinstance(message, str) else 2, message)
        for message in messages
    )
    # What is too long to gather goes alone, behind what has gathered.
    assert [len(write) for write in transport.writes][1] == 4 + len(LONG)
    assert len(transport.writes) == 3


def test_corked_messages_leave_when_the_scratch_is_full():
    transport = RoomTransport(room=10**6)
    outbound = attached(transport)
    outbound.cork()
    for number in range(10):
        assert outbound.write_message(LONG[number + 14 :])
    outbound.uncork()
    frames = b"".join(build_frame(1, LONG[number + 14 :]) for number in range(10))
    assert b"".join(transport.writes) == frames
    # Each send is of as many whole messages as fit into 64 KiB.
    assert len(transport.writes) == 3


def test_a_corked_message_that_has_to_wait_is_queued():
    transport = RoomTransport(room=1)
    outbound = attached(transport)
    outbound.write(b"first ")
    outbound.cork()
    assert outbound.write_message("second")
    outbound.uncork()
    transport.drain(room=100)
    assert b"".join(transport.writes) == b"first " + build_frame(1, "second")


def test_a_corked_message_leaves_behind_what_was_published_before():
    loop = Loop()
    registry = TopicRegistry(loop)
    transport = RoomTransport(room=1000)
    outbound = attached(transport, state=registry.state)
    registry.subscribe(outbound, "topic", bytes)
    registry.publish("topic", build_frame(1, "one"))
    outbound.cork()
    assert outbound.write_message("two")
    outbound.uncork()
    loop.run()
    assert b"".join(transport.writes) == build_frame(1, "one") + build_frame(1, "two")


def test_who_is_not_plain_has_another_way_to_write_messages():
    outbound = attached(RoomTransport(room=1000))
    assert outbound.is_plain
    outbound.is_plain = False
    with pytest.raises(NotImplementedError):
        outbound.write_message("x")


def test_a_message_after_the_last_bytes_is_refused():
    transport = RoomTransport(room=1000)
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


def test_a_cork_on_a_paused_connection_feeds_its_queue():
    transport = RoomTransport(room=1)
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
    transport = RoomTransport()
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
    transport = RoomTransport()
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
    transport = RoomTransport()
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
    transport = RoomTransport()
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
    outbound = attached(RoomTransport(), Broken, LoopState(loop))
    outbound.queue_items_limit = 0
    outbound.write(b"in the transport")
    outbound.write(b"queued")
    assert isinstance(loop.errors[0]["exception"], LookupError)


def test_a_dropped_queue_makes_room_for_last_words():
    transport = RoomTransport(room=3)
    outbound = attached(transport)
    outbound.write(b"frame")
    outbound.write(b"dropped")
    outbound.drop_queue()
    outbound.write_last(b"close")
    transport.drain(room=100)
    assert b"".join(transport.writes) == b"frameclose"


def test_dropping_the_queue_wakes_who_waits_for_it():
    loop = Loop()
    transport = RoomTransport()
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
    transport = RoomTransport(room=100)
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
    transport = RoomTransport()
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
    transport = RoomTransport()
    outbound = attached(transport)
    outbound.write(b"1")
    outbound.write(b"2")
    outbound.abort()
    outbound.write(b"3")
    transport.drain(room=100)
    assert (transport.writes, transport.calls) == ([b"1"], ["abort"])


def test_losing_the_connection_frees_everything():
    transport = RoomTransport()
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


def test_waiting_is_free_while_nothing_is_buffered():
    transport = RoomTransport(room=1)
    outbound = attached(transport)
    assert outbound.wait_writable() is None
    outbound.write(b"12")
    mine, others = outbound.wait_writable(), outbound.wait_writable()
    mine.cancel()
    transport.drain(room=100)
    assert (mine.cancelled(), others.result()) == (True, None)
    for waiter in (mine, others):
        waiter.get_loop().close()


def test_a_connection_and_its_transport_are_collected_together():
    class Watched(Outbound):
        pass

    outbound = attached(RoomTransport(), Watched)
    outbound.write(b"1")
    outbound.write(b"2")
    watcher = weakref.ref(outbound)
    del outbound
    gc.collect()
    assert watcher() is None
