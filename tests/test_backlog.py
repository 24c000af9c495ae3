"""What happens to a subscriber that is too slow for what is published."""

import itertools

import pytest

from .turns import Subscriber, fill

POLICIES = ("close", "resync", "drop-oldest", "coalesce")


@pytest.fixture
def slow(registry):
    """Subscribe somebody who has stopped reading, by one of the policies."""
    made = []

    def slow(policy, *names, items=10, refresh=None):
        subscriber = Subscriber(registry, buffer=4096)
        made.append(subscriber)
        for name in names or ("a",):
            assert registry.subscribe(
                subscriber, name, bytes, slow_consumer=policy, refresh=refresh
            )
        subscriber.queue_items_limit = items
        subscriber.before = fill(subscriber)
        return subscriber

    yield slow
    for subscriber in made:
        subscriber.wire.lose()
        subscriber.wire.peer.close()


def read_all(loop, subscriber):
    """Let the peer read until nothing comes; return it without what was before."""
    received = subscriber.received()
    while subscriber.is_paused or loop.scheduled:
        subscriber.wire.pump()
        loop.run()
        received += subscriber.received()
    assert received.startswith(subscriber.before)
    return received[len(subscriber.before) :]


def publish(registry, loop, *messages, **options):
    for message in messages:
        registry.publish("a", message, **options)
        loop.run()


def letters(count):
    return [b"%c" % (ord("A") + index) for index in range(count)]


def test_over_budget_is_reported_outside_the_walk_and_passed_over(registry, loop, join):
    slow, quick = join("a", buffer=4096), join("a")
    fill(slow)
    slow.queue_items_limit = 3
    publish(registry, loop, *[b"1"] * 10)
    assert slow.overflows == registry.state.overflows == 1
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


@pytest.mark.parametrize("policy", POLICIES)
def test_within_the_budget_nothing_is_left_out(registry, loop, slow, policy):
    refresh = print if policy == "resync" else None
    subscriber = slow(policy, refresh=refresh)
    for number, letter in enumerate(letters(10)):
        publish(registry, loop, letter, key=number)
    assert read_all(loop, subscriber) == b"ABCDEFGHIJ"
    assert registry.state.drops == registry.state.resyncs == 0


def test_what_waits_is_replaced_by_one_fresh_copy(registry, loop, slow):
    asked = []

    def refresh(subscriber, name, wire_form):
        asked.append((subscriber, name, wire_form))
        assert registry.resume(subscriber, name, b"(copy)")
        assert not registry.resume(subscriber, name, b"(a second one)")

    subscriber = slow("resync", refresh=refresh)
    publish(registry, loop, *letters(20))
    assert subscriber.buffered_amount == len(subscriber.wire.kept)
    assert (asked, subscriber.overflows) == ([], 0)
    assert read_all(loop, subscriber) == b"(copy)"
    publish(registry, loop, b"Z")
    assert subscriber.received() == b"Z"
    assert asked == [(subscriber, "a", bytes)]
    assert registry.state.resyncs == 1


def test_nothing_is_sent_before_the_copy_however_late_it_comes(registry, loop, slow):
    asked = []
    subscriber = slow("resync", refresh=lambda *arguments: asked.append(arguments))
    publish(registry, loop, *letters(20))
    assert read_all(loop, subscriber) == b""
    publish(registry, loop, b"left out as well")
    subscriber.write(b"reply ")
    assert registry.resume(subscriber, "a", b"(copy)")
    publish(registry, loop, b"Z")
    assert subscriber.received() == b"reply (copy)Z"
    assert len(asked) == 1


def test_a_copy_waits_until_nothing_else_does(registry, loop, slow):
    asked = []
    subscriber = slow("resync", refresh=lambda *arguments: asked.append(arguments))
    publish(registry, loop, *letters(20))
    read_all(loop, subscriber)
    subscriber.before = fill(subscriber)
    assert not registry.resume(subscriber, "a", b"(copy)")
    assert read_all(loop, subscriber) == b""
    assert len(asked) == 2
    assert registry.resume(subscriber, "a", b"(copy)")
    assert subscriber.received() == b"(copy)"


def test_a_copy_that_fails_ends_the_connection(registry, loop, slow):
    def refresh(subscriber, name, wire_form):
        raise LookupError

    subscriber = slow("resync", refresh=refresh)
    publish(registry, loop, *letters(20))
    subscriber.received()
    subscriber.wire.pump()
    loop.run()
    assert subscriber.wire.aborted
    assert isinstance(loop.errors[0]["exception"], LookupError)


def test_only_what_may_be_left_out_is(registry, loop, slow):
    subscriber = slow("resync", refresh=lambda *_: None)
    registry.subscribe(subscriber, "b", bytes)
    subscriber.write(b"<reply>")
    registry.publish("b", b"<other>")
    publish(registry, loop, *letters(20))
    assert read_all(loop, subscriber) == b"<reply><other>"
    publish(registry, loop, *letters(3))
    registry.publish("b", b"<other>")
    loop.run()
    assert subscriber.received() == b"<other>"


def test_the_topic_with_most_in_the_queue_makes_room(registry, loop, slow):
    subscriber = slow("resync", "a", "b", refresh=lambda *_: None)
    registry.publish("b", b"<kept>")
    publish(registry, loop, *letters(12))
    assert read_all(loop, subscriber) == b"<kept>"


def test_replies_that_are_not_read_end_the_connection(registry, loop, slow):
    subscriber = slow("resync", refresh=lambda *_: None)
    publish(registry, loop, *letters(5))
    for _ in range(20):
        subscriber.write(b"<reply>")
    assert subscriber.overflows == 1


def test_the_oldest_messages_make_room_for_new_ones(registry, loop, slow):
    subscriber = slow("drop-oldest")
    publish(registry, loop, *letters(26))
    assert read_all(loop, subscriber) == b"QRSTUVWXYZ"
    assert registry.state.drops == 16


def test_messages_of_one_turn_are_left_out_one_by_one(registry, loop, slow):
    subscriber = slow("drop-oldest")
    for letter in letters(26):
        registry.publish("a", letter)
    subscriber.write(b"<reply>")
    for letter in letters(26):
        registry.publish("a", letter.lower())
    loop.run()
    assert read_all(loop, subscriber) == b"<reply>rstuvwxyz"


def test_a_message_that_is_too_large_for_the_budget_is_left_out(registry, loop, slow):
    subscriber = slow("drop-oldest")
    subscriber.queue_bytes_limit = 100
    publish(registry, loop, b"x" * 101)
    assert subscriber.buffered_amount == len(subscriber.wire.kept)
    publish(registry, loop, b"y")
    assert read_all(loop, subscriber) == b"y"


def test_of_each_key_the_latest_message_stays(registry, loop, slow):
    subscriber = slow("coalesce")
    for round_ in range(8):
        for key in "xyz":
            registry.publish("a", b"%s%d " % (key.encode(), round_), key=key)
        if round_ % 2:
            loop.run()
    registry.publish("a", b"once ", key="once")
    loop.run()
    items = read_all(loop, subscriber).split()
    assert {item[:1]: item for item in items} == {
        b"x": b"x7",
        b"y": b"y7",
        b"z": b"z7",
        b"o": b"once",
    }
    assert items == sorted(items, key=lambda item: (item[1:2].isalpha(), item[1:2]))
    assert registry.state.drops == 25 - len(items)


def test_coalescing_keeps_the_order_with_replies(registry, loop, slow):
    subscriber = slow("coalesce", items=8)
    registry.publish("a", b"x1 ", key="x")
    registry.publish("a", b"y1 ", key="y")
    subscriber.write(b"<reply> ")
    for number in range(2, 8):
        registry.publish("a", b"x%d " % number, key="x")
        loop.run()
    assert read_all(loop, subscriber) == b"y1 <reply> x7 "


def test_more_keys_than_fit_end_the_connection(registry, loop, slow):
    subscriber = slow("coalesce")
    for number in range(20):
        publish(registry, loop, b"x", key=number)
    assert subscriber.overflows == 1


def test_messages_without_a_key_replace_each_other(registry, loop, slow):
    subscriber = slow("coalesce")
    publish(registry, loop, *letters(26))
    assert read_all(loop, subscriber).endswith(b"Z")
    assert registry.state.drops >= 16


def test_who_leaves_gets_what_was_published_and_it_is_left_out_no_more(
    registry, loop, slow
):
    subscriber = slow("drop-oldest")
    publish(registry, loop, *letters(9))
    registry.unsubscribe(subscriber, "a")
    subscriber.write(b"<1>")
    subscriber.write(b"<2>")
    assert subscriber.overflows == 1
    assert read_all(loop, subscriber) == b"ABCDEFGHI<1><2>"


def test_another_policy_takes_effect_from_then_on(registry, loop, slow):
    subscriber = slow("close")
    publish(registry, loop, *letters(5))
    registry.subscribe(subscriber, "a", bytes, slow_consumer="drop-oldest")
    publish(registry, loop, *map(bytes.lower, letters(26)))
    assert read_all(loop, subscriber) == b"ABCDEvwxyz"


@pytest.mark.parametrize(
    ("policy", "refresh"), [("resync", None), ("close", print), ("never", None)]
)
def test_a_policy_that_is_none_is_refused(registry, join, policy, refresh):
    with pytest.raises(ValueError, match=r"resync|policy"):
        registry.subscribe(join(), "a", bytes, slow_consumer=policy, refresh=refresh)
    assert registry.topics() == []
