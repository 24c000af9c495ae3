"""The walk to the subscribers of one lane, and what happens in the middle of it."""

import pytest

from .turns import Subscriber, fill

ordered = pytest.mark.parametrize("registry", [True], indirect=True, ids=["ordered"])


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


def test_a_slice_takes_fewer_large_batches(registry, loop, join):
    subscribers = [join("a", buffer=1 << 18) for _ in range(60)]
    registry.publish("a", b"L" * 100_000)
    loop.turn()
    after_a_slice = registry.sends
    loop.run()
    assert 20 < after_a_slice < 60 == registry.sends
    assert {each.received() for each in subscribers} == {b"L" * 100_000}


def test_a_batch_that_is_worth_more_than_a_slice_goes_to_one_in_each(
    registry, loop, join
):
    subscribers = [join("a", buffer=1 << 24) for _ in range(3)]
    registry.publish("a", b"L" * 5_000_000)
    for expected in (1, 2, 3):
        loop.turn()
        assert registry.sends == expected
    assert len(subscribers) == 3


def test_sixteen_messages_of_four_kib_leave_in_one_send(registry, loop, join):
    subscriber = join("a", buffer=1 << 18)
    for _ in range(16):
        registry.publish("a", b"M" * 4100)
    loop.turn()
    assert registry.sends == 1
    assert subscriber.received() == b"M" * 16 * 4100


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


@ordered
def test_an_ordered_registry_keeps_the_order_of_all_topics(registry, loop, join):
    both, one = join("a", "b"), join("a")
    for topic, message in (("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", b"4")):
        registry.publish(topic, message)
    registry.publish("a", b"5")
    loop.run()
    assert both.received() == b"12345"
    assert one.received() == b"1245"
    assert registry.sends == 3 + 2


@ordered
def test_an_ordered_registry_catches_up_in_the_order_of_all_topics(
    registry, loop, join
):
    both = join("a", "b")
    crowd = [join("a") for _ in range(600)]
    registry.publish("a", b"1")
    loop.turn()
    for topic, message in (("b", b"2"), ("a", b"3"), ("b", b"4"), ("a", b"5")):
        registry.publish(topic, message)
    both.write(b"6")
    registry.publish("b", b"7")
    loop.run()
    assert both.received() == b"1234567"
    assert {each.received() for each in crowd} == {b"135"}


@ordered
def test_a_lane_that_was_left_out_does_not_overtake(registry, loop, join):
    both = join("a", "b", filters=frozenset("x"))
    other = join("a")
    registry.publish("a", b"1", matched=frozenset("x"))
    registry.publish("b", b"2", matched=frozenset("x"))
    registry.publish("a", b"3")
    registry.publish("a", b"4", matched=frozenset("x"))
    loop.run()
    assert both.received() == b"124"
    assert other.received() == b"134"


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


def test_closing_delivers_what_was_published_before(registry, loop, join):
    subscriber = join("a")
    registry.publish("a", b"1")
    subscriber.close_transport()
    registry.publish("a", b"2")
    loop.run()
    assert subscriber.received() == b"1"
