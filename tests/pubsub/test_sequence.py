"""Topics with one order in all workers."""

import sqlite3

import pytest

from beamfast.pubsub.sequence import UNREAD, Said, Sequence, SequenceLog


class Worker:
    """One worker's side of one topic."""

    def __init__(self, path=None, topic="room", keep=3):
        self.log = SequenceLog(path)
        self.heard = []
        self.rings = 0
        self.others = []
        self.sequence = Sequence(
            self.log, topic, keep=keep, deliver=self._deliver, ring=self._ring
        )

    def _deliver(self, said, mark):
        self.heard.append((said.message, mark))

    def _ring(self):
        self.rings += 1
        for other in self.others:
            other.sequence.catch_up()


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.log.close()


@pytest.fixture
def make_worker(tmp_path):
    made = []

    def make(**options):
        made.append(Worker(tmp_path / "topics.db", **options))
        return made[-1]

    yield make
    for worker in made:
        worker.log.close()


def test_what_is_said_is_delivered_with_its_mark(worker):
    assert worker.sequence.say("one", mark="me") == 1
    assert worker.sequence.say("two") == 2
    assert worker.heard == [("one", "me"), ("two", None)]
    assert worker.rings == 2


def test_a_newcomer_is_told_the_last_messages_that_are_kept(worker):
    for number in range(5):
        worker.sequence.say(str(number))
        worker.sequence.say("passing", is_kept=False)
    recent = worker.sequence.recent()
    assert [said.message for said in recent] == ["2", "3", "4"]
    assert isinstance(recent[0], Said)


def test_nothing_is_kept_of_a_topic_that_keeps_nothing():
    worker = Worker(keep=0)
    worker.sequence.say("one")
    assert worker.sequence.recent() == []
    worker.log.close()


def test_two_workers_deliver_in_one_order(make_worker):
    one, two = make_worker(), make_worker()
    one.sequence.say("a", mark="one")
    two.sequence.say("b", mark="two")
    one.sequence.say("c", mark="one")
    two.sequence.catch_up()
    assert [message for message, _ in one.heard] == ["a", "b", "c"]
    assert two.heard == [("a", None), ("b", "two"), ("c", None)]


def test_a_worker_that_starts_later_knows_what_was_said(make_worker):
    make_worker().sequence.say("before")
    late = make_worker()
    assert late.heard == []
    assert [said.message for said in late.sequence.recent()] == ["before"]


def test_recent_has_nothing_that_was_not_delivered_yet(make_worker):
    one, two = make_worker(), make_worker()
    one.sequence.say("a")
    assert two.sequence.recent() == []
    two.sequence.catch_up()
    assert [said.message for said in two.sequence.recent()] == ["a"]


def test_topics_do_not_hear_each_other(make_worker):
    one, two = make_worker(topic="x"), make_worker(topic="y")
    one.sequence.say("a")
    two.sequence.catch_up()
    assert two.heard == []


def test_old_messages_are_forgotten_and_none_that_others_have_not_read(
    make_worker, tmp_path
):
    one, two = make_worker(), make_worker()
    for number in range(UNREAD + 50):
        one.sequence.say(str(number))
        if number == 49:
            two.sequence.catch_up()
    two.sequence.catch_up()
    assert [message for message, _ in two.heard] == list(map(str, range(UNREAD + 50)))
    with sqlite3.connect(tmp_path / "topics.db") as database:
        (count,) = database.execute("select count(*) from said").fetchone()
    database.close()
    assert count == UNREAD


def test_what_a_delivery_says_comes_after_it(worker):
    def answer(said, mark):
        worker.heard.append(said.message)
        if said.message == "question":
            worker.sequence.say("answer")

    worker.sequence = Sequence(
        worker.log, "room", keep=3, deliver=answer, ring=lambda: None
    )
    worker.sequence.say("question")
    assert worker.heard == ["question", "answer"]
