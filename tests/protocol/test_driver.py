import pytest

from beamfast.errors import InvalidState
from beamfast.protocol.driver import MOVES, Driver, State, Step
from beamfast.protocol.events import Closed, Failed
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side


class Mute(Driver):
    """A version that can do nothing."""

    def receive_data(self, data):
        self._pass_on(data)

    def send_text(self, text):
        return False

    def send_close(self, code=1000, reason=""):
        return False


@pytest.fixture
def driver():
    return Mute("mute", "chat")


def test_every_way_through_the_table_ends_closed():
    reached = {State.CONNECTING}
    for _ in State:
        reached |= {end for (start, _), end in MOVES.items() if start in reached}
    assert reached == set(State)
    assert State.CLOSED not in {start for start, _ in MOVES}
    starts = {start for start, _ in MOVES}
    assert starts == set(State) - {State.CLOSED}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_only_moves_of_the_table_are_made(driver, state, step):
    driver.state = state
    if (state, step) in MOVES:
        driver._move(step)
        assert driver.state is MOVES[state, step]
    else:
        with pytest.raises(InvalidState, match=step.value):
            driver._move(step)
        assert driver.state is state


def test_browsers_see_one_closing_state():
    assert [state.ready_state for state in State] == [0, 1, 2, 2, 3]


def test_outboxes_are_emptied_by_reading(driver):
    assert driver.events_received() == driver.data_to_send() == []
    assert not driver.has_news
    driver._put(b"a")
    driver._put(b"b")
    assert driver.has_news
    driver._emit("text")
    driver._emit(b"binary")
    assert driver.data_to_send() == [b"a", b"b"]
    assert driver.has_news
    assert driver.events_received() == ["text", b"binary"]
    assert not driver.has_news
    assert driver.events_received() == driver.data_to_send() == []


def test_driver_starts_open_with_what_was_agreed(driver):
    assert (driver.version, driver.subprotocol) == ("mute", "chat")
    assert driver.state is State.OPEN
    assert driver.close_code is None
    assert not driver.close_expected()


def test_messages_are_events_until_somebody_wants_them(driver):
    messages = []
    assert driver.deliver is None
    driver.receive_data("one")
    driver.deliver = messages.append
    driver.receive_data("two")
    driver.deliver = None
    driver.receive_data("three")
    assert (driver.events_received(), messages) == (["one"], ["two"])


def test_version_says_no_to_frames_that_it_lacks(driver):
    assert not driver.send_binary(b"")
    assert not driver.send_fragment(b"", fin=True)
    assert driver.send_ping() is None
    assert not driver.send_pong()


def test_failing_is_reported_once_and_remembered(driver):
    driver.fail(1002, "why")
    driver.fail(1011, "again")
    driver.receive_eof()
    assert driver.close_expected()
    assert (driver.close_code, driver.close_reason) == (1006, "")
    assert driver.events_received() == [
        Failed("why", 1002),
        Closed(1006, "", False, "local"),
    ]


def test_failing_while_closing_says_nothing_more_to_the_peer(driver):
    driver.state = State.LOCAL_CLOSING
    driver.fail(1002)
    assert driver.state is State.CLOSED


def test_code_that_is_never_sent_is_no_way_to_fail(driver):
    with pytest.raises(ValueError, match="1006"):
        driver.fail(1006)
    assert driver.state is State.OPEN


@pytest.mark.parametrize(
    ("state", "by"), [(State.OPEN, "remote"), (State.LOCAL_CLOSING, "local")]
)
def test_end_of_tcp_is_the_fault_of_who_did_not_begin(driver, state, by):
    driver.state = state
    driver.receive_eof()
    assert driver.events_received() == [Closed(1006, "", False, by)]


@pytest.mark.parametrize(
    ("pieces", "frames"),
    [
        (["be", "a", "m"], [b"\x01\x02be", b"\x00\x01a", b"\x80\x01m"]),
        ([b"beam"], [b"\x82\x04beam"]),
        ([], [b"\x82\x00"]),
    ],
)
def test_a_message_is_sent_by_an_iterator_with_fin_on_the_last_piece(pieces, frames):
    driver = Rfc6455Driver(Side.SERVER)
    assert driver.send_fragments(iter(pieces))
    assert driver.data_to_send() == frames


def test_an_iterator_is_left_alone_once_the_connection_closes():
    driver = Rfc6455Driver(Side.SERVER)
    asked = []

    def pieces():
        for piece in ("a", "b", "c", "d"):
            asked.append(piece)
            if piece == "c":
                driver.send_close()
            yield piece

    assert not driver.send_fragments(pieces())
    assert asked == ["a", "b", "c"]


def test_a_version_that_says_nothing_is_a_server_and_not_plain(driver):
    assert (driver.is_client, driver.is_plain) == (False, False)


def test_failures_can_wait_until_messages_have_been_answered(driver):
    driver.let_fail()
    assert driver.state is State.OPEN
    driver.holds_failures = True
    driver._fail_in_turn(1002, "later")
    assert driver.has_held_failure
    assert driver.state is State.OPEN
    driver.let_fail()
    assert not driver.has_held_failure
    assert driver.events_received()[0] == Failed("later", 1002)
    assert driver.state is State.CLOSED


@pytest.mark.parametrize("state", [State.OPEN, State.LOCAL_CLOSING])
def test_without_being_asked_to_wait_failures_come_at_once(driver, state):
    driver.holds_failures = state is not State.OPEN
    driver.state = state
    driver._fail_in_turn(1002, "now")
    assert driver.events_received()[0] == Failed("now", 1002)
    assert not driver.has_held_failure


def test_a_message_can_be_had_as_a_stream(driver):
    arrivals = []
    stream = driver.stream_message(lambda: arrivals.append(None))
    assert driver.is_streaming
    with pytest.raises(InvalidState, match="in pieces"):
        driver.stream_message()
    assert driver.cancel_stream()
    driver.receive_data("as ever")
    assert driver.events_received() == ["as ever"]
    stream = driver.stream_message(lambda: arrivals.append(None))
    driver.receive_data("one")
    driver.receive_data("two")
    assert not driver.cancel_stream()
    assert (list(stream), arrivals) == (["one"], [None])
    assert driver.cancel_stream()
    assert not driver.is_streaming
    assert driver.events_received() == ["two"]
