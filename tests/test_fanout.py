import gc
import itertools
import socket
import weakref

import pytest

from beamfast._fanout import TopicRegistry
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

    def run(self):
        turns = 0
        while self.scheduled:
            self.turn()
            turns += 1
        return turns

    def call_exception_handler(self, context):
        self.errors.append(context)


class Transport:
    """A real socket pair behind a transport that sends only when told to."""

    def __init__(self, *, direct=True, buffer=None):
        self.socket, self.peer = socket.socketpair()
        self.socket.setblocking(False)
        self.peer.setblocking(False)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.direct = direct
        self.kept = b""
        self.writes = []
        self.protocol = None
        self.closing = self.aborted = False

    def get_extra_info(self, name):
        return self.socket if name == "socket" and self.direct else None

    def set_write_buffer_limits(self, high, low):
        pass

    def get_write_buffer_size(self):
        return len(self.kept)

    def is_closing(self):
        return self.closing

    def write(self, data):
        self.writes.append(bytes(data))
        if self.kept:
            self.kept += data
            return
        self.kept = bytes(data)
        self._send()
        if self.kept:
            self.protocol.pause_writing()

    def _send(self):
        try:
            self.kept = self.kept[self.socket.send(self.kept) :]
        except BlockingIOError:
            pass
        except OSError:
            self.aborted = True

    def pump(self):
        """Do what the loop would do now that the socket is writable."""
        if self.kept and not self.aborted:
            self._send()
            if not self.kept:
                self.protocol.resume_writing()
        if self.aborted or (self.closing and not self.kept):
            self.lose()

    def lose(self):
        if self.protocol is not None:
            protocol, self.protocol = self.protocol, None
            protocol.connection_lost(None)
            self.socket.close()

    def close(self):
        self.closing = True

    def abort(self):
        self.closing = self.aborted = True

    def read(self):
        data = b""
        try:
            while chunk := self.peer.recv(1 << 20):
                data += chunk
        except (BlockingIOError, ConnectionResetError):
            pass
        return data


class Subscriber(Outbound):
    def __init__(self, registry, **options):
        self.wire = Transport(**options)
        self.wire.protocol = self
        self.overflows = 0
        self.attach(self.wire, registry.state)

    def on_overflow(self):
        self.overflows += 1

    def received(self):
        return self.wire.read()


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def registry(loop):
    return TopicRegistry(loop)


@pytest.fixture
def join(registry):
    """Make subscribers whose sockets are closed after the test."""
    made = []

    def join(*names, form=bytes, filters=frozenset(), **options):
        made.append(subscriber := Subscriber(registry, **options))
        for name in names:
            assert registry.subscribe(subscriber, name, form, filters)
        return subscriber

    yield join
    for subscriber in made:
        subscriber.wire.lose()
        subscriber.wire.peer.close()


def shout(message):
    return message.upper()


def test_every_subscriber_gets_what_is_published(registry, loop, join):
    one, two, other = join("a"), join("a"), join("b")
    assert registry.publish("a", b"hello") == 2
    assert one.received() == b""
    loop.run()
    assert [each.received() for each in (one, two, other)] == [b"hello", b"hello", b""]


def test_nobody_listening_is_fine(registry, loop):
    assert registry.publish("a", b"hello") == 0
    assert (loop.scheduled, registry.topic("a")) == ([], None)
    assert (registry.subscribers("a"), registry.topics()) == (0, [])


def test_what_one_turn_publishes_leaves_in_one_send(registry, loop, join):
    subscribers = [join("a") for _ in range(10)]
    for index in range(16):
        registry.publish("a", b"%x" % index)
    assert loop.run() == 1
    assert registry.sends == 10
    assert {each.received() for each in subscribers} == {b"0123456789abcdef"}


def test_through_a_transport_it_is_one_write_as_well(registry, loop, join):
    subscriber = join("a", direct=False)
    for index in range(16):
        registry.publish("a", b"%x" % index)
    loop.run()
    assert subscriber.wire.writes == [b"0123456789abcdef"]


def test_subscribing_twice_changes_nothing(registry, loop, join):
    subscriber = join("a", "a")
    assert registry.publish("a", b"once") == 1
    loop.run()
    assert subscriber.received() == b"once"


def test_who_joins_later_gets_nothing_from_before(registry, loop, join):
    first = join("a")
    registry.publish("a", b"1")
    second = join("a")
    registry.publish("a", b"2")
    loop.run()
    assert (first.received(), second.received()) == (b"12", b"2")


def test_who_leaves_gets_what_was_published_before(registry, loop, join):
    leaver, stayer = join("a"), join("a")
    registry.publish("a", b"1")
    assert registry.unsubscribe(leaver, "a")
    assert not registry.unsubscribe(leaver, "a")
    assert not registry.unsubscribe(leaver, "b")
    registry.publish("a", b"2")
    loop.run()
    assert (leaver.received(), stayer.received()) == (b"1", b"12")


def test_empty_topics_vanish(registry, join):
    subscriber, other = join("a", "b"), join("a")
    assert sorted(registry.topics()) == ["a", "b"]
    registry.unsubscribe(subscriber, "b")
    other.connection_lost(None)
    assert registry.topics() == ["a"]
    assert (registry.subscribers("a"), registry.subscribers("b")) == (1, 0)
    subscriber.connection_lost(None)
    assert registry.topics() == []


def test_a_connection_can_be_in_many_topics(registry, loop, join):
    names = [f"topic {index}" for index in range(50)]
    subscriber = join(*names)
    assert registry.topics_of(subscriber) == names
    for name in names:
        registry.publish(name, b".")
    loop.run()
    assert subscriber.received() == b"." * 50
    for name in names[::3]:
        registry.unsubscribe(subscriber, name)
    assert sum(registry.publish(name, b"!") for name in names) == 33
    subscriber.connection_lost(None)
    assert registry.topics() == []


def test_a_private_write_does_not_overtake_what_was_published(registry, loop, join):
    subscriber, other = join("a", "b"), join("a")
    registry.publish("a", b"1")
    registry.publish("b", b"2")
    subscriber.write(b"private")
    assert subscriber.received() == b"12private"
    registry.publish("a", b"3")
    loop.run()
    assert (subscriber.received(), other.received()) == (b"3", b"13")


def test_a_private_write_in_the_middle_of_a_walk_keeps_the_order(registry, loop, join):
    subscribers = [join("a") for _ in range(300)]
    registry.publish("a", b"1")
    loop.turn()
    registry.publish("a", b"2")
    for subscriber in subscribers:
        subscriber.write(b"private")
    loop.run()
    assert {each.received() for each in subscribers} == {b"12private"}


def test_the_excluded_subscriber_misses_exactly_that_message(registry, loop, join):
    one, two, stranger = join("a"), join("a"), join("b")
    registry.publish("a", b"1")
    assert registry.publish("a", b"2", exclude=one) == 2
    registry.publish("a", b"3", exclude=stranger)
    loop.run()
    assert (one.received(), two.received()) == (b"13", b"123")


def test_excluding_the_only_subscriber_sends_nothing(registry, loop, join):
    only = join("a")
    registry.publish("a", b"1", exclude=only)
    loop.run()
    assert (only.received(), registry.topic("a").counters.deliveries) == (b"", 0)


def test_each_wire_form_encodes_once(registry, loop, join):
    calls = []

    def plain(message):
        calls.append(message)
        return message

    plain_ones = [join("a", form=plain) for _ in range(5)]
    filtered = join("a", form=plain, filters=frozenset({"x"}))
    loud = [join("a", form=shout) for _ in range(3)]
    registry.publish("a", b"hi", matched={"x"})
    loop.run()
    assert calls == [b"hi"]
    assert {each.received() for each in (*plain_ones, filtered)} == {b"hi"}
    assert {each.received() for each in loud} == {b"HI"}
    counters = registry.topic("a").counters
    assert (counters.messages, counters.encodes, counters.deliveries) == (1, 2, 9)
    assert counters.delivered_bytes == registry.counters.delivered_bytes == 18
    assert registry.topic("a").counters.messages == 1
    assert registry.counters.messages == 1


def test_a_wire_form_without_a_concerned_lane_is_not_asked(registry, join):
    def never(message):
        raise AssertionError

    join("a", form=never, filters=frozenset({"x"}))
    assert registry.publish("a", b"hi", matched={"y"}) == 1
    assert registry.topic("a").counters.encodes == 0


def test_filters_choose_who_gets_a_message(registry, loop, join):
    everything = join("a")
    some = join("a", filters=frozenset({"x", "y"}))
    registry.publish("a", b"1", matched={"x"})
    registry.publish("a", b"2", matched={"z"})
    registry.publish("a", b"3")
    registry.publish("a", b"4", matched={"x", "y"})
    loop.run()
    assert (everything.received(), some.received()) == (b"1234", b"14")
    assert registry.topic("a").filters == {"x", "y"}


def test_another_form_or_filter_takes_effect_without_gap_or_repeat(
    registry, loop, join
):
    mover = join("a", filters=frozenset({"x"}))
    join("a"), join("a", form=shout)
    registry.publish("a", b"a", matched={"x"})
    registry.publish("a", b"b")
    registry.subscribe(mover, "a", bytes)
    registry.publish("a", b"c")
    registry.subscribe(mover, "a", shout)
    registry.publish("a", b"d")
    loop.run()
    assert mover.received() == b"acD"
    assert registry.subscribers("a") == 3


def test_moving_the_only_subscriber_keeps_the_topic(registry, loop, join):
    mover = join("a")
    registry.publish("a", b"a")
    registry.subscribe(mover, "a", shout)
    registry.publish("a", b"b")
    loop.run()
    assert mover.received() == b"aB"


def test_a_wire_form_that_fails_sends_nothing_to_anybody(registry, loop, join):
    def broken(message):
        raise LookupError

    one, _two = join("a"), join("a", form=broken)
    with pytest.raises(LookupError):
        registry.publish("a", b"1")
    three = join("b", form=str)
    with pytest.raises(TypeError):
        registry.publish("b", b"1")
    loop.run()
    assert (one.received(), three.received()) == (b"", b"")


def test_an_empty_encoding_is_not_sent(registry, loop, join):
    join("a")
    registry.publish("a", b"")
    assert loop.scheduled == []


def test_large_messages_and_long_runs_are_split_in_order(registry, loop, join):
    subscriber = join("a", buffer=1 << 22)
    pieces = [b"%6d" % index for index in range(700)]
    pieces[100] = b"L" * 20_000
    pieces[200:204] = [b"M" * 16_000] * 4
    pieces[300] = b"X" * 100_000
    received = b""
    for piece in pieces:
        registry.publish("a", piece)
    while loop.scheduled or subscriber.wire.kept or subscriber.is_paused:
        loop.turn()
        received += subscriber.received()
        subscriber.wire.pump()
    assert received + subscriber.received() == b"".join(pieces)
    assert 5 < registry.sends < 20


def test_a_walk_takes_a_slice_of_256_in_each_turn(registry, loop, join):
    subscribers = [join("a") for _ in range(600)]
    registry.publish("a", b"1")
    for expected in (256, 512, 600):
        loop.turn()
        assert registry.sends == expected
    assert loop.scheduled == []
    assert {each.received() for each in subscribers} == {b"1"}


def test_publishing_during_a_walk_joins_the_next_batch(registry, loop, join):
    subscribers = [join("a") for _ in range(600)]
    registry.publish("a", b"1")
    loop.turn()
    registry.publish("a", b"2")
    registry.publish("a", b"3")
    loop.run()
    assert {each.received() for each in subscribers} == {b"123"}
    assert registry.sends == 1200


def test_topics_leave_in_the_order_of_their_first_publish(registry, loop, join):
    crowd = [join("a", "b") for _ in range(300)]
    registry.publish("a", b"1")
    loop.turn()
    registry.publish("b", b"2")
    registry.publish("a", b"3")
    loop.run()
    assert {each.received() for each in crowd} == {b"123"}


def test_joining_and_leaving_in_the_middle_of_a_walk_is_exact(registry, loop, join):
    crowd = [join("a") for _ in range(600)]
    registry.publish("a", b"1")
    loop.turn()
    for subscriber in crowd[::2]:
        registry.unsubscribe(subscriber, "a")
    late = [join("a") for _ in range(100)]
    registry.publish("a", b"2")
    for subscriber in crowd[1::4]:
        subscriber.connection_lost(None)
    loop.run()
    assert {each.received() for each in crowd[::2]} == {b"1"}
    assert {each.received() for each in crowd[3::4]} == {b"12"}
    assert {each.received() for each in late} == {b"2"}


def test_everybody_leaving_in_the_middle_of_a_walk_is_fine(registry, loop, join):
    crowd = [join("a") for _ in range(300)]
    registry.publish("a", b"1")
    loop.turn()
    for subscriber in crowd:
        subscriber.connection_lost(None)
    assert registry.topics() == []
    again = join("a")
    registry.publish("a", b"2")
    loop.run()
    assert again.received() == b"2"


def fill(subscriber):
    """Write until the peer's side is full; return what it will read first."""
    count = 0
    while not subscriber.is_paused:
        subscriber.write(b"-" * 1000)
        count += 1000
    return b"-" * count


def test_a_slow_subscriber_gets_everything_later_and_delays_nobody(
    registry, loop, join
):
    slow, quick = join("a", buffer=4096), join("a")
    before = fill(slow)
    for index in range(100):
        registry.publish("a", b"%3d" % index)
        loop.run()
    expected = b"".join(b"%3d" % index for index in range(100))
    assert quick.received() == expected
    received = slow.received()
    while slow.is_paused:
        slow.wire.pump()
        loop.run()
        received += slow.received()
    assert received == before + expected


def test_a_batch_larger_than_the_socket_goes_on_in_the_transport(registry, loop, join):
    subscriber = join("a", buffer=4096)
    for index in range(60):
        registry.publish("a", b"%d" % (index % 10) * 1000)
    loop.run()
    assert subscriber.wire.kept
    received = subscriber.received()
    while subscriber.is_paused:
        subscriber.wire.pump()
        received += subscriber.received()
    assert received == b"".join(b"%d" % (index % 10) * 1000 for index in range(60))


def test_over_budget_is_reported_outside_the_walk_and_passed_over(registry, loop, join):
    slow, quick = join("a", buffer=4096), join("a")
    fill(slow)
    slow.queue_items_limit = 3
    for _ in range(10):
        registry.publish("a", b"1")
        loop.run()
    assert slow.overflows == 1
    assert slow.buffered_amount - len(slow.wire.kept) == 4
    assert quick.received() == b"1" * 10


@pytest.mark.parametrize("same_item", [True, False])
def test_the_messages_of_one_edit_are_one_item(registry, loop, join, same_item):
    slow = join("a", buffer=4096)
    fill(slow)
    slow.queue_items_limit = 10
    for _edit, part in itertools.product(range(3), range(400)):
        registry.publish("a", b"1", same_item=same_item and part > 0)
    loop.run()
    assert slow.overflows == (0 if same_item else 1)


def test_a_broken_socket_is_aborted_and_the_others_are_served(registry, loop, join):
    crowd = [join("a") for _ in range(5)]
    crowd[2].wire.peer.close()
    registry.publish("a", b"1")
    loop.run()
    assert crowd[2].wire.aborted
    crowd[2].wire.pump()
    assert registry.publish("a", b"2") == 4
    loop.run()
    assert [each.received() for each in crowd[:2] + crowd[3:]] == [b"12"] * 4


def test_callbacks_of_a_walk_may_publish_and_close(registry, loop, join):
    class Vengeful(Subscriber):
        def on_overflow(self):
            registry.publish("a", b"too slow")
            for other in crowd[:5]:
                other.close_transport()
            self.abort()

    vengeful = Vengeful(registry, buffer=4096)
    crowd = [join("a") for _ in range(10)]
    registry.subscribe(vengeful, "a", bytes)
    crowd += [join("a") for _ in range(10)]
    fill(vengeful)
    vengeful.queue_items_limit = 0
    registry.publish("a", b"1 ")
    loop.run()
    assert {each.received() for each in crowd} == {b"1 too slow"}
    vengeful.wire.pump()
    vengeful.wire.peer.close()


def test_closing_delivers_what_was_published_before(registry, loop, join):
    subscriber = join("a")
    registry.publish("a", b"1")
    subscriber.close_transport()
    registry.publish("a", b"2")
    loop.run()
    assert subscriber.received() == b"1"


def test_after_its_last_write_a_subscriber_is_in_no_topic(registry, loop, join):
    subscriber = join("a", "b")
    registry.publish("a", b"1")
    subscriber.write_last(b" bye")
    assert registry.topics() == []
    assert not registry.subscribe(subscriber, "a", bytes)
    assert subscriber.received() == b"1 bye"


def test_a_lost_connection_cannot_subscribe(registry):
    assert not registry.subscribe(Outbound(), "a", bytes)
    assert registry.topics() == []


def test_corked_subscribers_get_topics_and_replies_in_one_piece(registry, loop, join):
    subscriber = join("a", direct=False)
    subscriber.cork()
    subscriber.write(b"reply ")
    registry.publish("a", b"1")
    loop.run()
    subscriber.write(b" reply")
    assert subscriber.wire.writes == []
    subscriber.uncork()
    assert subscriber.wire.writes == [b"reply 1 reply"]


def test_a_registry_can_share_the_state_of_another(loop):
    state = LoopState(loop)
    assert TopicRegistry(loop, state).state is TopicRegistry(loop, state=state).state


def test_a_dropped_registry_releases_its_subscribers(loop):
    class Watched(Subscriber):
        pass

    registry = TopicRegistry(loop)
    subscriber = Watched(registry)
    for name in "abc":
        registry.subscribe(subscriber, name, bytes)
    subscriber.wire.socket.close()
    subscriber.wire.peer.close()
    watcher = weakref.ref(subscriber)
    del subscriber
    gc.collect()
    assert watcher() is not None
    del registry
    gc.collect()
    gc.collect()
    assert watcher() is None
