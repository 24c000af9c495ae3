import pytest

from beamfast._frames import build_frame
from beamfast.errors import InvalidState
from beamfast.protocol.driver import Side, State
from beamfast.protocol.events import Closed, Failed, Opened
from beamfast.protocol.opening import OpeningDriver
from beamfast.protocol.rfc6455 import Rfc6455Driver


class Opening(OpeningDriver):
    """A handshake that is done when it is told so."""

    __slots__ = ()

    def __init__(self, max_queued_bytes=1000, **options):
        super().__init__(max_queued_bytes, options)

    def finish(self, rest=b""):
        self._put(b"head")
        self._open(Rfc6455Driver(Side.CLIENT, subprotocol="chat"), rest, ("x",))


@pytest.fixture
def driver():
    return Opening()


def opened():
    return Opened("hybi-13", "chat", ("x",))


def test_nothing_is_known_before_the_handshake(driver):
    assert driver.state is State.CONNECTING
    assert driver.version is driver.subprotocol is driver.close_code is None
    assert driver.close_reason == ""
    assert driver.deliver is None
    assert not driver.close_expected()
    assert driver.events_received() == driver.data_to_send() == []


def test_agreements_are_known_after_it(driver):
    driver.finish()
    assert driver.state is State.OPEN
    assert (driver.version, driver.subprotocol) == ("hybi-13", "chat")
    assert driver.events_received() == [opened()]


def test_sends_before_open_go_out_in_order_after_the_head(driver):
    assert driver.send_text("a")
    assert driver.send_text(b"b")
    assert driver.send_binary(bytearray(b"c"))
    assert driver.send_ping(b"d") == b"d"
    assert len(driver.send_ping()) == 4
    assert driver.send_pong(b"e")
    assert driver.send_fragment("f", fin=False)
    assert driver.send_fragment(b"g", fin=True)
    assert driver.data_to_send() == []
    driver.finish()
    head, *frames = driver.data_to_send()
    assert head == b"head"
    peer = Rfc6455Driver(Side.SERVER)
    peer.receive_data(b"".join(frames))
    events = peer.events_received()
    assert events[:3] == ["a", "b", b"c"]
    assert [getattr(event, "data", event) for event in events[3::2]] == [b"d", b"e"]
    assert events[-1] == "fg"


def test_sends_after_open_are_those_of_the_version(driver):
    driver.finish()
    driver.data_to_send()
    assert driver.send_text("a")
    assert driver.send_binary(b"b")
    assert driver.send_fragment("c", fin=True)
    assert driver.send_ping(b"d") == b"d"
    assert driver.send_pong()
    assert driver.send_close(4000, "bye")
    assert not driver.send_text("late")
    assert len(driver.data_to_send()) == 6
    assert driver.state is State.LOCAL_CLOSING
    driver.receive_eof()
    assert driver.close_expected()
    assert (driver.close_code, driver.close_reason) == (1006, "")
    assert driver.events_received() == [opened(), Closed(1006, "", False, "local")]


def test_what_cannot_be_sent_is_refused_at_once(driver):
    for text in ("\ud800", b"\xff"):
        with pytest.raises(ValueError, match=r"utf-8|UTF-8"):
            driver.send_text(text)
    for send in (driver.send_ping, driver.send_pong):
        with pytest.raises(ValueError, match="125"):
            send(bytes(126))
    for send in (driver.send_binary, driver.send_ping, driver.send_text):
        with pytest.raises(TypeError):
            send(5)
    with pytest.raises(TypeError):
        driver.send_binary("text")
    with pytest.raises(ValueError, match="1005"):
        driver.send_close(1005)


def test_queue_is_bounded():
    driver = Opening(max_queued_bytes=100)
    assert not driver.send_text("a" * 101)
    assert driver.send_text("a" * 50)
    assert not driver.send_text("a" * 50)
    assert driver.send_binary(b"")
    assert driver.send_ping(b"") == b""
    assert driver.send_ping(b"") is None
    driver.finish()
    assert len(driver.data_to_send()) == 4


def test_callback_may_be_set_before_open_and_after(driver):
    first, second = [], []
    driver.deliver = first.append
    driver.finish(b"\x81\x01a")
    driver.deliver = second.append
    driver._inner.receive_data(b"\x81\x01b")
    assert (first, second) == (["a"], ["b"])


def test_bytes_behind_the_handshake_are_read(driver):
    driver.finish(b"\x81\x01a")
    assert driver.events_received() == [opened(), "a"]


def test_close_before_open_writes_nothing(driver):
    driver.send_text("a")
    assert driver.send_close(1000, "never mind")
    assert not driver.send_close()
    assert not driver.send_text("b")
    assert driver.send_ping() is None
    assert driver.data_to_send() == []
    assert driver.events_received() == [Closed(1006, "", False, "local")]
    assert (driver.state, driver.close_code) == (State.CLOSED, 1006)


def test_failing_before_open_writes_nothing(driver):
    driver.fail(1011, "why")
    driver.fail(1011, "again")
    assert driver.data_to_send() == []
    assert driver.events_received() == [
        Failed("why", 1011),
        Closed(1006, "", False, "local"),
    ]


def test_failing_after_open_is_that_of_the_version(driver):
    driver.finish()
    driver.fail(1011, "why")
    assert [type(event) for event in driver.events_received()] == [
        Opened,
        Failed,
        Closed,
    ]


def test_end_of_tcp_before_open_is_1006(driver):
    driver.receive_eof()
    driver.receive_eof()
    assert driver.events_received() == [Closed(1006, "", False, "remote")]


def test_unknown_option_is_refused():
    with pytest.raises(TypeError, match="max_length"):
        Opening(max_length=5)


def test_the_driver_of_an_open_connection_is_handed_over(driver):
    assert driver.hand_over() is None
    driver.holds_failures = True
    driver.finish(build_frame(1, "early"))
    inner = driver.hand_over()
    assert isinstance(inner, Rfc6455Driver)
    assert inner.holds_failures
    assert inner.events_received() == ["early"]


def test_pieces_can_be_had_once_it_is_open(driver):
    with pytest.raises(InvalidState, match="has not opened"):
        driver.stream_message()
    driver.finish()
    arrivals = []
    stream = driver.stream_message(lambda: arrivals.append(None), as_text=False)
    driver.hand_over().receive_data(build_frame(1, "one", fin=False))
    assert (list(stream), arrivals) == ([b"one"], [None])
