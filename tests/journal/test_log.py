"""The SQL of the log against a plain list, over random histories."""

import random
from contextlib import closing

import pytest

from beamfast.entry import Version
from beamfast.journal import database, log
from beamfast.journal.journal import Behind
from beamfast.journal.log import Commit, Retention

FILE = Version.of_file(b"")


@pytest.fixture
def connection(tmp_path):
    (tmp_path / ".beam").mkdir()
    file = tmp_path / ".beam" / "journal.db"
    database.create(file)
    with closing(database.connect(file, "relaxed")) as connection:
        yield connection


@pytest.mark.parametrize("seed", range(5))
def test_a_random_history_is_what_a_list_would_hold(connection, seed):
    dice = random.Random(seed)
    retention = Retention(dice.randint(1, 12), dice.randint(50, 400))
    history = [(FILE, b"")]
    for _ in range(200):
        events = [
            dice.randbytes(dice.randint(1, 40)) for _ in range(dice.randint(1, 4))
        ]
        body = dice.choice([None, b"small", b"x" * (log.SMALL_BODY + 1)])
        connection.execute("BEGIN")
        answer = log.append(
            connection, Commit("/a", history[-1][0], events, body, ()), retention
        )
        connection.execute("COMMIT")
        for event in events:
            history.append((history[-1][0].next(event), event))
        assert answer == history[-1][0]
        snapshot = log.load(connection, "/a")
        tail = [
            event
            for version, event in history
            if version.revision > snapshot.body_version.revision
        ]
        assert [one.event for one in snapshot.tail] == tail
        index = dice.randrange(len(history))
        found = log.after(connection, "/a", history[index][0])
        newer = [event for _, event in history[index + 1 :]]
        retained = connection.execute(
            "SELECT count(*), sum(length(event)) FROM log"
        ).fetchone()
        assert (found is None) == (len(newer) > retained[0])
        if found is not None:
            assert [one.event for one in found] == newer
        # More than is allowed is kept only behind the body, or of the newest commit.
        allowed = max(retention.entries, len(snapshot.tail), len(events))
        assert retained[0] <= allowed
        stored = connection.execute("SELECT retained FROM documents").fetchone()
        assert stored[0] == retained[1]


def test_a_limit_holds_for_what_is_replayed(connection):
    log.append(connection, Commit("/a", FILE, [b"1", b"2", b"3"], b"", ()), Retention())
    assert [one.event for one in log.after(connection, "/a", FILE, 2)] == [b"1", b"2"]
    assert log.after(connection, "/a", FILE, 0) == []


def test_a_refused_append_names_what_came_since(connection):
    log.append(connection, Commit("/a", FILE, [b"1"], b"", ()), Retention())
    answer = log.append(connection, Commit("/a", FILE, [b"2"], b"", ()), Retention())
    assert isinstance(answer, Behind)
    assert [one.event for one in answer.logged] == [b"1"]
