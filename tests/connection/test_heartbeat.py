import logging
import math

import pytest
from hypothesis import given, strategies as st

from beamfast.connection.heartbeat import BUCKETS, OUTSIDE, Heartbeat


class Clock:
    """The two methods of a loop that a wheel needs; time passes when told to."""

    def __init__(self, now=1000.25):
        self.now = now
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, when, callback):
        timer = Timer(when, callback)
        self.timers.append(timer)
        return timer

    def advance(self, seconds):
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda one: one.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.fire()
        self.now = end

    def block(self, seconds):
        """Let time pass while nothing runs, then run what is due once."""
        self.now += seconds
        due = [timer for timer in self.timers if timer.when <= self.now]
        for timer in due:
            self.timers.remove(timer)
            timer.fire()

    @property
    def armed(self):
        return [timer for timer in self.timers if not timer.cancelled]


class Timer:
    def __init__(self, when, callback):
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self):
        self.cancelled = True

    def fire(self):
        if not self.cancelled:
            self.callback()


class Watched:
    def __init__(self, clock, then=None):
        self.clock = clock
        self.deadline = math.inf
        self.bucket = OUTSIDE
        self.fired = []
        self.then = then

    def on_deadline(self, now):
        self.fired.append(now)
        if self.then is not None:
            self.then(self)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def heartbeat(clock):
    return Heartbeat(clock)


def test_a_deadline_fires_once_and_less_than_a_second_late(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 2)
    clock.advance(2)
    assert watched.fired == []
    clock.advance(1)
    assert watched.fired == [1003.0]
    clock.advance(200)
    assert watched.fired == [1003.0]


def test_a_wheel_that_watches_nothing_owns_no_timer(clock, heartbeat):
    assert clock.armed == []
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 1)
    assert len(clock.armed) == 1
    heartbeat.forget(watched)
    clock.advance(5)
    assert clock.armed == []
    assert watched.fired == []


def test_what_was_forgotten_can_be_watched_again(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 1)
    heartbeat.forget(watched)
    heartbeat.forget(watched)
    assert len(heartbeat) == 0
    clock.advance(100)
    heartbeat.watch(watched, clock.now + 1)
    clock.advance(2)
    assert watched.fired == [1102.0]


def test_watching_without_a_deadline_never_fires(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched)
    clock.advance(1000)
    assert watched.fired == []
    assert list(heartbeat.connections()) == [watched]
    assert len(heartbeat) == 1


def test_a_later_deadline_replaces_the_earlier_one(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 2)
    heartbeat.watch(watched, clock.now + 10)
    clock.advance(9)
    assert watched.fired == []
    clock.advance(2)
    assert watched.fired == [1011.0]


def test_an_earlier_deadline_replaces_the_later_one(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 50)
    heartbeat.watch(watched, clock.now + 2)
    clock.advance(3)
    assert watched.fired == [1003.0]
    assert len(heartbeat) == 1


def test_a_deadline_farther_than_one_round_is_kept(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 3 * BUCKETS)
    clock.advance(3 * BUCKETS)
    assert watched.fired == []
    clock.advance(1)
    assert len(watched.fired) == 1


def test_a_deadline_in_the_past_fires_within_a_second(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now - 100)
    clock.advance(1)
    assert watched.fired == [1001.0]


def test_whoever_fires_is_watched_on_and_may_set_another_deadline(clock, heartbeat):
    watched = Watched(clock, lambda one: heartbeat.watch(one, clock.now + 5))
    heartbeat.watch(watched, clock.now + 1)
    clock.advance(14)
    assert watched.fired == [1002.0, 1008.0, 1014.0]
    assert len(heartbeat) == 1


def test_whoever_fires_without_another_deadline_is_still_a_connection(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 1)
    clock.advance(2)
    assert list(heartbeat.connections()) == [watched]
    heartbeat.forget(watched)
    assert len(heartbeat) == 0


def test_whoever_fires_may_forget_itself_and_others(clock, heartbeat):
    ones = []

    def forget_all(_):
        for one in ones:
            heartbeat.forget(one)

    ones += [Watched(clock, forget_all) for _ in range(3)]
    for one in ones:
        heartbeat.watch(one, clock.now + 1)
    clock.advance(3)
    assert sum(len(one.fired) for one in ones) == 1
    assert len(heartbeat) == 0


def test_one_that_fires_may_move_another_one(clock, heartbeat):
    ones = []

    def move_all(this):
        for one in ones:
            if one is not this:
                heartbeat.watch(one, clock.now + 10)

    ones += [Watched(clock, move_all) for _ in range(2)]
    for one in ones:
        heartbeat.watch(one, clock.now + 1)
    clock.advance(3)
    assert sum(len(one.fired) for one in ones) == 1
    clock.advance(10)
    assert sorted(len(one.fired) for one in ones) == [1, 1]


def test_an_error_of_one_does_not_keep_the_others_waiting(clock, heartbeat, caplog):
    def fail(_):
        raise ZeroDivisionError

    ones = [Watched(clock, fail), Watched(clock), Watched(clock, fail)]
    for one in ones:
        heartbeat.watch(one, clock.now + 1)
    with caplog.at_level(logging.ERROR, "beamfast.connection"):
        clock.advance(2)
    assert [len(one.fired) for one in ones] == [1, 1, 1]
    assert len(caplog.records) == 2
    assert len(heartbeat) == 3


def test_seconds_in_which_the_loop_was_blocked_are_made_up_for(clock, heartbeat):
    ones = [Watched(clock) for _ in range(10)]
    for second, one in enumerate(ones):
        heartbeat.watch(one, clock.now + second)
    clock.block(8)
    assert [len(one.fired) for one in ones] == [1] * 8 + [0, 0]
    clock.advance(3)
    assert [len(one.fired) for one in ones] == [1] * 10


def test_a_wheel_that_rested_starts_where_the_clock_is(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch(watched, clock.now + 1)
    heartbeat.forget(watched)
    clock.advance(3600)
    heartbeat.watch(watched, clock.now + 1)
    assert [timer.when - clock.now <= 1 for timer in clock.armed] == [True]


def test_nothing_fires_after_close(clock, heartbeat):
    watched, late = Watched(clock), Watched(clock)
    heartbeat.watch(watched, clock.now + 1)
    heartbeat.close()
    heartbeat.close()
    heartbeat.watch(late, clock.now + 1)
    clock.advance(100)
    assert watched.fired == late.fired == []
    assert clock.armed == []


def test_a_deadline_can_be_given_as_seconds_from_now(clock, heartbeat):
    watched = Watched(clock)
    heartbeat.watch_for(watched, 2)
    assert watched.deadline == clock.now + 2
    clock.advance(3)
    assert watched.fired == [1003.0]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), st.integers(0, 3), st.floats(-5, 300)),
        st.tuples(st.just("forget"), st.integers(0, 3), st.none()),
        st.tuples(st.just("advance"), st.none(), st.floats(0.01, 90)),
    ),
    max_size=40,
)


@given(steps)
def test_no_deadline_is_early_missed_or_met_twice(history):
    clock = Clock()
    heartbeat = Heartbeat(clock)
    ones = [Watched(clock) for _ in range(4)]
    wanted = [None] * 4  # a deadline that was not met yet
    for step, index, value in history:
        if step == "watch":
            wanted[index] = clock.now + value
            heartbeat.watch(ones[index], wanted[index])
        elif step == "forget":
            wanted[index] = None
            heartbeat.forget(ones[index])
        else:
            started = clock.now
            clock.advance(value)
            for number, one in enumerate(ones):
                deadline, wanted[number] = wanted[number], None
                if deadline is None or clock.now < deadline:
                    assert one.fired == []
                    wanted[number] = deadline
                elif one.fired:
                    (fired,) = one.fired
                    assert max(deadline, started) <= fired
                    assert fired <= max(deadline, started) + 1
                else:
                    assert clock.now < max(deadline, started) + 1
                    wanted[number] = deadline
                one.fired.clear()
    assert len(heartbeat) == len(list(heartbeat.connections()))
