import pytest
from hypothesis import given, strategies as st

from beamfast._wheel import BUCKETS, Timed, Wheel


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


class Turning(Wheel):
    def fire(self, timed, now):
        timed.on_deadline(now)


class Watched(Timed):
    def __init__(self, clock, then=None):
        self.clock = clock
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
def wheel(clock):
    return Turning(clock)


def test_a_deadline_fires_once_and_less_than_a_second_late(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 2)
    clock.advance(2)
    assert watched.fired == []
    clock.advance(1)
    assert watched.fired == [1003.0]
    clock.advance(200)
    assert watched.fired == [1003.0]


def test_a_wheel_that_watches_nothing_owns_no_timer(clock, wheel):
    assert clock.armed == []
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 1)
    assert len(clock.armed) == 1
    wheel.forget(watched)
    clock.advance(5)
    assert clock.armed == []
    assert watched.fired == []


def test_what_was_forgotten_can_be_watched_again(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 1)
    wheel.forget(watched)
    wheel.forget(watched)
    assert len(wheel) == 0
    clock.advance(100)
    wheel.watch(watched, clock.now + 1)
    clock.advance(2)
    assert watched.fired == [1102.0]


def test_watching_without_a_deadline_never_fires(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched)
    clock.advance(1000)
    assert watched.fired == []
    assert list(wheel.connections()) == [watched]
    assert len(wheel) == 1


def test_a_later_deadline_replaces_the_earlier_one(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 2)
    wheel.watch(watched, clock.now + 10)
    clock.advance(9)
    assert watched.fired == []
    clock.advance(2)
    assert watched.fired == [1011.0]


def test_an_earlier_deadline_replaces_the_later_one(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 50)
    wheel.watch(watched, clock.now + 2)
    clock.advance(3)
    assert watched.fired == [1003.0]
    assert len(wheel) == 1


def test_a_deadline_farther_than_one_round_is_kept(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 3 * BUCKETS)
    clock.advance(3 * BUCKETS)
    assert watched.fired == []
    clock.advance(1)
    assert len(watched.fired) == 1


def test_a_deadline_in_the_past_fires_within_a_second(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now - 100)
    clock.advance(1)
    assert watched.fired == [1001.0]


def test_whoever_fires_is_watched_on_and_may_set_another_deadline(clock, wheel):
    watched = Watched(clock, lambda one: wheel.watch(one, clock.now + 5))
    wheel.watch(watched, clock.now + 1)
    clock.advance(14)
    assert watched.fired == [1002.0, 1008.0, 1014.0]
    assert len(wheel) == 1


def test_whoever_fires_without_another_deadline_is_still_a_connection(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 1)
    clock.advance(2)
    assert list(wheel.connections()) == [watched]
    wheel.forget(watched)
    assert len(wheel) == 0


def test_whoever_fires_may_forget_itself_and_others(clock, wheel):
    ones = []

    def forget_all(_):
        for one in ones:
            wheel.forget(one)

    ones += [Watched(clock, forget_all) for _ in range(3)]
    for one in ones:
        wheel.watch(one, clock.now + 1)
    clock.advance(3)
    assert sum(len(one.fired) for one in ones) == 1
    assert len(wheel) == 0


def test_one_that_fires_may_move_another_one(clock, wheel):
    ones = []

    def move_all(this):
        for one in ones:
            if one is not this:
                wheel.watch(one, clock.now + 10)

    ones += [Watched(clock, move_all) for _ in range(2)]
    for one in ones:
        wheel.watch(one, clock.now + 1)
    clock.advance(3)
    assert sum(len(one.fired) for one in ones) == 1
    clock.advance(10)
    assert sorted(len(one.fired) for one in ones) == [1, 1]


def test_what_only_has_a_deadline_does_nothing_with_it(clock):
    with pytest.raises(NotImplementedError):
        Timed().on_deadline(clock.now)
    with pytest.raises(NotImplementedError):
        Wheel(clock).fire(Timed(), clock.now)


def test_many_of_one_second_leave_in_any_order(clock, wheel):
    ones = [Watched(clock) for _ in range(100)]
    for one in ones:
        wheel.watch(one, clock.now + 1)
    kept = ones[::7]
    for one in sorted(set(ones) - set(kept), key=id):
        wheel.forget(one)
    assert set(wheel.connections()) == set(kept)
    clock.advance(2)
    assert [len(one.fired) for one in ones] == [int(one in kept) for one in ones]
    assert len(wheel) == len(kept)


def test_seconds_in_which_the_loop_was_blocked_are_made_up_for(clock, wheel):
    ones = [Watched(clock) for _ in range(10)]
    for second, one in enumerate(ones):
        wheel.watch(one, clock.now + second)
    clock.block(8)
    assert [len(one.fired) for one in ones] == [1] * 8 + [0, 0]
    clock.advance(3)
    assert [len(one.fired) for one in ones] == [1] * 10


def test_a_wheel_that_rested_starts_where_the_clock_is(clock, wheel):
    watched = Watched(clock)
    wheel.watch(watched, clock.now + 1)
    wheel.forget(watched)
    clock.advance(3600)
    wheel.watch(watched, clock.now + 1)
    assert [timer.when - clock.now <= 1 for timer in clock.armed] == [True]


def test_nothing_fires_after_close(clock, wheel):
    watched, late = Watched(clock), Watched(clock)
    wheel.watch(watched, clock.now + 1)
    wheel.close()
    wheel.close()
    wheel.watch(late, clock.now + 1)
    clock.advance(100)
    assert watched.fired == late.fired == []
    assert clock.armed == []


def test_a_deadline_can_be_given_as_seconds_from_now(clock, wheel):
    watched = Watched(clock)
    wheel.watch_for(watched, 2)
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
    wheel = Turning(clock)
    ones = [Watched(clock) for _ in range(4)]
    wanted = [None] * 4  # a deadline that was not met yet
    for step, index, value in history:
        if step == "watch":
            wanted[index] = clock.now + value
            wheel.watch(ones[index], wanted[index])
        elif step == "forget":
            wanted[index] = None
            wheel.forget(ones[index])
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
    assert len(wheel) == len(list(wheel.connections()))
