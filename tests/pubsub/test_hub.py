"""Topics of one process. What travels to the others: ``test_hub_bus.py``."""

import asyncio

import pytest

from beamfast._outbound import Outbound
from beamfast.pubsub.bus import NullBus
from beamfast.pubsub.hub import Hub


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = []

    def write(self, data):
        self.written.append(bytes(data))

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        """Nothing is ever held."""

    def is_closing(self):
        return False


class Subscriber(Outbound):
    """A connection that keeps what it is sent."""

    def __init__(self, hub):
        super().__init__()
        self.wire = Wire()
        self.attach(self.wire, hub.registry.state)

    @property
    def text(self):
        return b"".join(self.wire.written).decode()


def line(message):
    return f"{message};".encode()


def shout(message):
    return f"{message.upper()}!".encode()


@pytest.fixture
async def hub():
    return Hub(asyncio.get_running_loop())


@pytest.fixture
def subscriber(hub):
    return Subscriber(hub)


async def turn():
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_subscriber_gets_what_is_published(hub, subscriber):
    hub.subscribe(subscriber, "a", line)
    assert hub.publish("a", "1") == 1
    hub.publish("b", "2")
    await turn()
    assert subscriber.text == "1;"


async def test_what_one_turn_publishes_leaves_in_one_write(hub, subscriber):
    hub.subscribe(subscriber, "a", line)
    for number in range(5):
        hub.publish("a", str(number))
    await turn()
    assert subscriber.wire.written == [b"0;1;2;3;4;"]


async def test_each_wire_form_is_built_once_per_message(hub):
    built = []

    def counting(message):
        built.append(message)
        return line(message)

    subscribers = [Subscriber(hub) for _ in range(5)]
    for one in subscribers:
        hub.subscribe(one, "a", counting)
    hub.publish("a", "1")
    await turn()
    assert built == ["1"]
    assert [one.text for one in subscribers] == ["1;"] * 5


async def test_a_topic_without_subscribers_is_fine(hub):
    assert hub.publish("a", "1") == 0
    assert hub.subscribers("a") == 0


async def test_who_unsubscribes_gets_nothing_more(hub, subscriber):
    hub.subscribe(subscriber, "a", line)
    hub.publish("a", "1")
    hub.unsubscribe(subscriber, "a")
    hub.unsubscribe(subscriber, "a")
    hub.publish("a", "2")
    await turn()
    assert subscriber.text == "1;"
    assert hub.subscribers("a") == 0


async def test_a_second_subscription_moves_without_gap_or_repeat(hub, subscriber):
    hub.subscribe(subscriber, "a", line)
    hub.publish("a", "x")
    hub.subscribe(subscriber, "a", shout)
    hub.publish("a", "y")
    await turn()
    assert subscriber.text == "x;Y!"
    assert hub.subscribers("a") == 1


async def test_filters_choose_what_a_subscriber_gets(hub):
    some, everything = Subscriber(hub), Subscriber(hub)
    hub.subscribe(some, "a", line, frozenset({"#x"}))
    hub.subscribe(everything, "a", line)
    hub.publish("a", "1", matched=frozenset({"#x", "#y"}))
    hub.publish("a", "2", matched=frozenset({"#y"}))
    await turn()
    assert (some.text, everything.text) == ("1;", "1;2;")


async def test_an_item_that_matches_several_filters_comes_once(hub, subscriber):
    hub.subscribe(subscriber, "a", line, frozenset({"#x", "#y"}))
    hub.publish("a", "1", matched={"#x", "#y"})
    await turn()
    assert subscriber.text == "1;"


async def test_a_further_filter_takes_effect_without_gap_or_repeat(hub, subscriber):
    hub.subscribe(subscriber, "a", line, frozenset({"#x"}))
    hub.publish("a", "1", matched={"#x"})
    hub.publish("a", "2", matched={"#y"})
    hub.subscribe(subscriber, "a", line, frozenset({"#x", "#y"}))
    hub.publish("a", "3", matched={"#x", "#y"})
    hub.publish("a", "4", matched={"#y"})
    await turn()
    assert subscriber.text == "1;3;4;"


async def test_the_filters_in_use_are_known(hub, subscriber):
    other = Subscriber(hub)
    assert hub.filters("a") == set()
    hub.subscribe(subscriber, "a", line, frozenset({"#x", "#y"}))
    hub.subscribe(other, "a", line, frozenset({"#y", "#z"}))
    assert hub.filters("a") == {"#x", "#y", "#z"}
    hub.unsubscribe(other, "a")
    assert hub.filters("a") == {"#x", "#y"}
    hub.subscribe(subscriber, "a", line)
    assert hub.filters("a") == set()


async def test_who_is_gone_cannot_subscribe(hub, subscriber):
    assert hub.subscribe(subscriber, "a", line)
    subscriber.connection_lost(None)
    assert not hub.subscribe(subscriber, "a", line)


async def test_159_the_sender_can_be_left_out(hub):
    sender, other = Subscriber(hub), Subscriber(hub)
    for one in (sender, other):
        hub.subscribe(one, "a", line)
    hub.publish("a", "1", exclude=sender)
    await turn()
    assert (sender.text, other.text) == ("", "1;")


async def test_another_thread_can_publish(hub, subscriber):
    hub.subscribe(subscriber, "a", line)
    await asyncio.to_thread(hub.publish_threadsafe, "a", "1")
    await turn()
    assert subscriber.text == "1;"


async def test_a_lost_connection_leaves_its_topics(hub, subscriber):
    hub.subscribe(subscriber, "a", line)
    hub.subscribe(subscriber, "b", line)
    subscriber.connection_lost(None)
    assert (hub.subscribers("a"), hub.subscribers("b")) == (0, 0)


async def test_a_hub_alone_has_a_bus_to_nobody(hub):
    assert isinstance(hub.bus, NullBus)


class Framed(Subscriber):
    """A connection that frames messages by itself, as sockets do."""

    path, user, opened = "/", None, 0

    @staticmethod
    def frame_message(message):
        return line(message)


async def test_a_connection_frames_what_has_no_wire_form(hub):
    framed = Framed(hub)
    assert hub.subscribe(framed, "a") == 1
    hub.publish("a", "1")
    await turn()
    assert framed.text == "1;"


async def test_a_connection_that_frames_nothing_needs_a_wire_form(hub, subscriber):
    with pytest.raises(TypeError, match="Subscriber needs a wire form"):
        hub.subscribe(subscriber, "a")


async def test_158_subscribing_again_changes_nothing_and_unsubscribing_is_harmless(hub):
    one, two = Framed(hub), Framed(hub)
    assert [hub.subscribe(one, "a"), hub.subscribe(two, "a")] == [1, 2]
    assert hub.subscribe(one, "a") == 2
    hub.publish("a", "1")
    hub.unsubscribe(one, "b")
    await turn()
    assert (one.text, two.text) == ("1;", "1;")


async def test_a_closing_connection_is_not_subscribed(hub, subscriber):
    subscriber.connection_lost(None)
    assert hub.subscribe(subscriber, "a", line) == 0


async def test_another_thread_can_leave_out_the_sender(hub, subscriber):
    hub.subscribe(subscriber, "a", line)
    await asyncio.to_thread(hub.publish_threadsafe, "a", "1", exclude=subscriber)
    await turn()
    assert subscriber.text == ""


async def test_connections_tell_their_topics_and_their_queue(hub):
    framed = Framed(hub)
    hub.open_connections = lambda: [framed, object()]
    hub.subscribe(framed, "a")
    hub.subscribe(framed, "b")
    (facts,) = hub.connections()
    assert (facts.kind, facts.topics, facts.queue) == ("Framed", ("a", "b"), 0)
    framed.connection_lost(None)
    assert hub.connections() == []


async def test_160_a_disconnect_removes_all_subscriptions_at_once(hub):
    framed = Framed(hub)
    for topic in "abc":
        hub.subscribe(framed, topic)
    framed.connection_lost(None)
    assert [hub.subscribers(topic) for topic in "abc"] == [0, 0, 0]
    assert hub.registry.topics() == []


async def test_an_ordered_topic_is_in_memory_when_there_are_no_other_workers(hub):
    heard = []
    sequence = hub.sequence("a", keep=1, deliver=lambda said, mark: heard.append(said))
    sequence.say("x")
    assert [said.message for said in heard] == ["x"]
    await hub.close()
    await hub.close()


class Broken(Wire):
    """A transport that somebody else has closed."""

    def write(self, data):
        raise RuntimeError("closed")

    def abort(self):
        """There is nothing to abort."""


async def test_161_a_failing_subscriber_does_not_stop_the_others(hub):
    before, failing, after = Framed(hub), Framed(hub), Framed(hub)
    failing.wire = Broken()
    broken = Framed.__new__(Framed)
    Outbound.__init__(broken)
    broken.attach(failing.wire, hub.registry.state)
    for one in (before, broken, after):
        hub.subscribe(one, "a")
    hub.publish("a", "1")
    hub.publish("a", "2")
    await turn()
    assert (before.text, after.text) == ("1;2;", "1;2;")


async def test_163_frames_are_built_once_for_all_that_take_the_same(hub):
    for _ in range(100):
        hub.subscribe(Framed(hub), "a")
    before = hub.registry.counters.encodes
    hub.publish("a", "x")
    assert hub.registry.counters.encodes == before + 1
    assert hub.registry.counters.deliveries == 100


async def test_164_ten_thousand_subscribers_get_a_message_each_in_order(hub):
    subscribers = [Framed(hub) for _ in range(10_000)]
    for one in subscribers:
        hub.subscribe(one, "a")
    messages = [str(number) * 1024 for number in range(3)]
    for message in messages:
        assert hub.publish("a", message) == 10_000
    for _ in range(200):
        await asyncio.sleep(0)
    expected = "".join(f"{message};" for message in messages)
    assert all(one.text == expected for one in subscribers)


async def test_165_a_connection_sees_the_order_of_publishing(hub):
    subscriber = Framed(hub)
    hub.subscribe(subscriber, "a")
    sent = []
    for number in range(200):
        if number % 7 == 3:
            subscriber.write(line(number))
        else:
            hub.publish("a", number)
        sent.append(f"{number};")
        if number % 11 == 0:
            await asyncio.sleep(0)
    await turn()
    assert subscriber.text == "".join(sent)
