"""Buckets, tickets and sessions that several processes share."""

import subprocess
import sys
from pathlib import Path

import pytest

from beamfast import runstate
from beamfast.errors import Busy
from beamfast.runstate import FILE, IDLE, Bucket, RunState

TAKER = """
import sys
from pathlib import Path
from beamfast.runstate import RunState
state = RunState(Path(sys.argv[1]))
print(sum(state.take("all", 1e-9, 100)[0] for _ in range(80)))
"""

POPPER = """
import sys
from pathlib import Path
from beamfast.runstate import RunState
state = RunState(Path(sys.argv[1]))
print(sum(state.pop("ticket", str(n)) is not None for n in range(200)))
"""


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "file"])
def state(request, tmp_path: Path, clock: Clock):
    folder = tmp_path if request.param == "file" else None
    state = RunState(folder, clock=clock)
    yield state
    state.close()


@pytest.fixture
def others(tmp_path: Path, clock: Clock):
    """Two workers of one server."""
    pair = RunState(tmp_path, clock=clock), RunState(tmp_path, clock=clock)
    yield pair
    for one in pair:
        one.close()


def numbers(code: str, folder: Path) -> list[int]:
    """Run a program in four processes at once and return what they print."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    return [int(process.communicate(timeout=60)[0]) for process in processes]


def test_a_shared_limit_holds_in_sum_over_processes(tmp_path):
    taken = numbers(TAKER, tmp_path)
    assert sum(taken) == 100


def test_a_ticket_works_once_in_whatever_process(tmp_path):
    state = RunState(tmp_path)
    for number in range(200):
        state.put("ticket", str(number), "ann", 60)
    state.close()
    assert sum(numbers(POPPER, tmp_path)) == 200


def test_a_bucket_refills_and_says_how_it_stands(state, clock):
    assert [state.take("a", 2, 3)[0] for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    is_taken, bucket = state.take("a", 2, 3)
    assert is_taken
    assert bucket.wait() == 1
    assert dict(bucket.fields(clock.now)) == {
        "X-RateLimit-Limit": "3",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "2",
    }


def test_buckets_of_different_keys_do_not_meet(state):
    assert state.take("a", 1, 1)[0]
    assert state.take("b", 1, 1)[0]
    assert not state.take("a", 1, 1)[0]


def test_more_than_one_token_can_be_taken_at_once(state):
    assert state.take("a", 1, 10, cost=8)[0]
    assert not state.take("a", 1, 10, cost=8)[0]
    assert state.take("a", 1, 10, cost=2)[0]


def test_looking_takes_nothing(state):
    state.take("a", 1, 5)
    assert state.look("a", 1, 5).tokens == state.look("a", 1, 5).tokens == 4
    assert state.look("new", 1, 5).tokens == 5


def test_a_clock_that_is_read_late_takes_no_token_back():
    bucket = Bucket(1, 10, 100.0)
    bucket.take(105.0, 10)
    assert not bucket.take(103.0)
    assert bucket.take(106.0)


def test_what_one_worker_stores_another_finds(others):
    one, other = others
    one.put("session", "key", "ann", 60)
    assert other.get("session", "key") == "ann"
    assert other.get("ticket", "key") is None
    assert other.pop("session", "key") == "ann"
    assert one.get("session", "key") is None


def test_a_value_is_gone_when_its_time_is_over(state, clock):
    state.put("session", "key", "ann", 60)
    clock.now += 59
    assert state.get("session", "key") == "ann"
    clock.now += 1
    assert state.get("session", "key") is None
    assert state.pop("session", "key") is None


def test_a_value_is_replaced_by_one_of_the_same_key(state):
    state.put("session", "key", "ann", 60)
    state.put("session", "key", "bob", 60)
    assert state.get("session", "key") == "bob"


def rows(state: RunState, table: str) -> int:
    return state._database().execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_what_has_run_out_is_removed(state, clock):
    state.put("session", "old", "ann", 60)
    state.take("old", 1, 1)
    clock.now += IDLE + 1
    state.put("session", "new", "bob", 60)
    assert (rows(state, "entries"), rows(state, "buckets")) == (1, 0)


def test_there_are_never_many_more_rows_than_the_limit(state, clock, monkeypatch):
    monkeypatch.setattr(runstate, "ROWS", 3)
    for number in range(6):
        clock.now += 1
        state.put("session", str(number), "ann", 600)
        state.put("ticket", str(number), "ann", 600)
        state.take(str(number), 0.001, 1)
    clock.now += 60
    state.put("session", "last", "ann", 600)
    assert rows(state, "buckets") == 3
    assert rows(state, "entries") == 6
    assert state.get("session", "last") == "ann"
    assert state.get("session", "0") is None


def test_what_fails_in_between_changes_nothing(state):
    with pytest.raises(TypeError):
        state.take("a", 1, 5, cost="many")
    assert state.take("a", 1, 5)[0]


def test_a_file_that_another_process_keeps_is_an_answer_not_a_wait(others, monkeypatch):
    monkeypatch.setattr(runstate, "PATIENCE", 0.01)
    one, other = others
    other.get("session", "key")
    with one._transaction(), pytest.raises(Busy):
        other.put("session", "key", "ann", 60)
    other.put("session", "key", "ann", 60)


def test_a_broken_file_is_an_error(tmp_path):
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="not a database"):
        RunState(tmp_path).get("session", "key")


def test_nothing_is_opened_before_the_first_use(tmp_path):
    state = RunState(tmp_path)
    state.close()
    assert list(tmp_path.iterdir()) == []
