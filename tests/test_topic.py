"""Which lane of a topic a subscriber is in, and which ones a message concerns."""

from .turns import shout


def test_empty_topics_vanish(registry, join):
    subscriber, other = join("a", "b"), join("a")
    assert sorted(registry.topics()) == ["a", "b"]
    registry.unsubscribe(subscriber, "b")
    other.connection_lost(None)
    assert registry.topics() == ["a"]
    assert (registry.subscribers("a"), registry.subscribers("b")) == (1, 0)
    subscriber.connection_lost(None)
    assert registry.topics() == []


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
