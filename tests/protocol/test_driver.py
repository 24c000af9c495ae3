import pytest

from beamfast.errors import InvalidState
from beamfast.protocol.driver import MOVES, Driver, State, Step
from beamfast.protocol.events import Closed, Failed


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
def test_only_moves_of_the_table_are_made(state, step):
    driver = Driver(state)
    if (state, step) in MOVES:
        driver._move(step)
        assert driver.state is MOVES[state, step]
    else:
        with pytest.raises(InvalidState, match=step.value):
            driver._move(step)
        assert driver.state is state


def test_browsers_see_one_closing_state():
    assert [state.ready_state for state in State] == [0, 1, 2, 2, 3]


def test_outboxes_are_emptied_by_reading():
    driver = Driver(State.OPEN, "chat")
    assert driver.events_received() == driver.data_to_send() == []
    driver._put(b"a")
    driver._put(b"b")
    driver._emit("text")
    driver._emit(b"binary")
    assert driver.data_to_send() == [b"a", b"b"]
    assert driver.events_received() == ["text", b"binary"]
    assert driver.events_received() == driver.data_to_send() == []
    assert driver.subprotocol == "chat"


def test_end_is_reported_and_remembered():
    driver = Driver(State.OPEN)
    assert driver._initiator() == "remote"
    assert not driver.close_expected()
    driver._move(Step.ENDED)
    driver._report_failure("why", 1002)
    driver._report_end(1006, "", clean=False, by=driver._initiator())
    assert driver.close_expected()
    assert (driver.close_code, driver.close_reason) == (1006, "")
    assert driver.events_received() == [
        Failed("why", 1002),
        Closed(1006, "", False, "local"),
    ]
