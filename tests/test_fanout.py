import gc
import weakref

import pytest

from beamfast._fanout import TopicRegistry, has_topics
from beamfast._outbound import Outbound
from beamfast._wire import LoopState

from .turns import Loop, Subscriber, fill, shout


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


def test_a_connection_can_be_in_many_topics(registry, loop, join):
    names = [f"topic {index}" for index in range(50)]
    subscriber = join(*names)
    assert registry.topics_of(subscriber) == names
    assert has_topics(subscriber)
    for name in names:
        registry.publish(name, b".")
    loop.run()
    assert subscriber.received() == b"." * 50
    for name in names[::3]:
        registry.unsubscribe(subscriber, name)
    assert sum(registry.publish(name, b"!") for name in names) == 33
    subscriber.connection_lost(None)
    assert registry.topics() == []
    assert not has_topics(subscriber)


def test_inside_a_fragmented_message_nobody_can_subscribe(registry, loop, join):
    subscriber = join()
    subscriber.is_mid_message = True
    with pytest.raises(RuntimeError, match="inside a fragmented message"):
        registry.subscribe(subscriber, "a", bytes)
    assert registry.topics() == []


def test_the_excluded_subscriber_misses_exactly_that_message(registry, loop, join):
    one, two, stranger = join("a"), join("a"), join("b")
    registry.publish("a", b"1")
    assert registry.publish("a", b"2", exclude=one) == 1
    registry.publish("a", b"3", exclude=stranger)
    loop.run()
    assert (one.received(), two.received()) == (b"13", b"123")


@pytest.mark.parametrize("collection", [list, tuple, set, iter])
def test_several_subscribers_can_be_excluded(registry, loop, join, collection):
    one, two, three, stranger = join("a"), join("a", form=shout), join("a"), join("b")
    registry.publish("a", b"x")
    excluded = collection([one, two, one, stranger])
    assert registry.publish("a", b"y", exclude=excluded) == 1
    assert registry.publish("a", b"z", exclude=()) == 3
    loop.run()
    texts = [each.received() for each in (one, two, three, stranger)]
    assert texts == [b"xz", b"XZ", b"xyz", b""]


@pytest.mark.parametrize("excluded", [7, "name", [None]])
def test_only_connections_can_be_excluded(registry, loop, join, excluded):
    subscriber = join("a")
    with pytest.raises(TypeError):
        registry.publish("a", b"x", exclude=excluded)
    loop.run()
    assert subscriber.received() == b""


def test_excluding_the_only_subscriber_sends_nothing(registry, loop, join):
    only = join("a")
    assert registry.publish("a", b"1", exclude=only) == 0
    loop.run()
    assert (only.received(), registry.topic("a").counters.deliveries) == (b"", 0)


def test_who_lags_is_told_how_much_is_missing(registry, loop, join):
    subscriber, told = join(direct=False, buffer=4096), []

    def refresh(member, name, form):
        told.append(registry.missed(member, name))
        registry.resume(member, name, b"copy")

    registry.subscribe(subscriber, "a", bytes, slow_consumer="resync", refresh=refresh)
    assert registry.missed(subscriber, "a") == registry.missed(subscriber, "b") == 0
    fill(subscriber)
    subscriber.queue_items_limit = 10
    for _ in range(25):
        registry.publish("a", b".")
        loop.run()
    registry.publish("a", b".", exclude=subscriber)
    loop.run()
    assert registry.missed(subscriber, "a") == 25
    while not told:
        subscriber.received()
        subscriber.wire.pump()
        loop.run()
    assert (told, registry.missed(subscriber, "a")) == ([25], 0)


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


def test_a_connection_on_another_loop_cannot_subscribe(join):
    subscriber, other = join("a"), TopicRegistry(Loop())
    with pytest.raises(ValueError, match="another event loop"):
        other.subscribe(subscriber, "a", bytes)
    assert other.topics() == []


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
