"""The buffer of received messages, and the one who waits for them."""

import asyncio
from collections.abc import Coroutine

import pytest

from beamfast._inbox import BYTES, IS_ASKED, IS_BEHIND, IS_FULL, MESSAGES, Inbox


class Transport:
    def __init__(self):
        self.reading = True
        self.closing = False

    def is_closing(self):
        return self.closing

    def pause_reading(self):
        assert self.reading
        self.reading = False

    def resume_reading(self):
        assert not self.reading
        self.reading = True


class Receiver:
    """What an inbox asks of the socket that it belongs to."""

    def __init__(self, inbox):
        self.inbox = inbox
        self.holds = 0
        self.waits = []
        self.end = None

    def _talk(self):
        raise LookupError("not pulled")

    def _hold(self):
        self.holds += 1
        self.inbox.is_held = True

    def _before_waiting(self, is_loop):
        self.waits.append(is_loop)
        self.inbox.is_held = False
        if self.end is not None:
            raise self.end


@pytest.fixture
def transport():
    return Transport()


@pytest.fixture
async def inbox(transport):
    inbox = Inbox(transport, asyncio.get_running_loop())
    inbox.is_pulled = True
    return inbox


@pytest.fixture
def receiver(inbox):
    return Receiver(inbox)


def fill(inbox, count=MESSAGES):
    for number in range(count):
        inbox.put(str(number))


# The buffer


async def test_messages_are_taken_in_order_however_many_wait(inbox):
    inbox.limit = 4
    taken, put = [], 0
    for _ in range(50):
        for _ in range(3):
            inbox.put(str(put))
            put += 1
        while inbox.count > 2:
            taken.append(inbox.take())
    while inbox.count:
        taken.append(inbox.take())
    assert taken == [str(number) for number in range(put)]


async def test_a_full_buffer_stops_the_reader_until_half_is_taken(inbox, transport):
    for number in range(MESSAGES):
        assert transport.reading
        inbox.put(str(number))
    assert inbox.is_paused
    assert not transport.reading
    for number in range(MESSAGES // 2):
        assert not transport.reading
        assert inbox.take() == str(number)
    assert transport.reading
    assert not inbox.is_paused


async def test_bytes_count_as_well(inbox, transport):
    inbox.put(b"x" * (BYTES - 1))
    assert transport.reading
    inbox.put(b"x")
    assert not transport.reading
    inbox.take()
    assert transport.reading


async def test_a_reader_that_waits_gets_a_whole_read_before_it_stops(inbox, transport):
    waiting = asyncio.ensure_future(inbox.arrival())
    await asyncio.sleep(0)
    fill(inbox, 2 * MESSAGES)
    assert transport.reading
    await waiting
    inbox.put("x")
    assert not transport.reading


async def test_what_stops_the_reader_is_counted_apart(inbox, transport):
    inbox.pause(IS_ASKED)
    inbox.pause(IS_BEHIND)
    fill(inbox)
    inbox.resume(IS_ASKED)
    inbox.resume(IS_BEHIND)
    assert not transport.reading
    while inbox.count:
        inbox.take()
    assert transport.reading


async def test_after_a_close_the_buffer_takes_no_more_than_its_limit(inbox, transport):
    inbox.is_over = True
    inbox.pause(IS_ASKED)
    fill(inbox, 2 * MESSAGES)
    assert transport.reading
    taken = [inbox.take() for _ in range(inbox.count)]
    assert taken == [str(number) for number in range(MESSAGES)]


async def test_a_closing_transport_is_left_alone(inbox, transport):
    transport.closing = True
    inbox.pause(IS_ASKED)
    assert transport.reading
    inbox.resume(IS_ASKED)
    assert transport.reading


async def test_what_is_forgotten_is_not_counted(inbox, transport):
    fill(inbox)
    inbox.take()
    inbox.clear()
    inbox.resume(IS_FULL)
    assert inbox.count == 0
    inbox.put(b"x" * (BYTES - 1))
    assert transport.reading


# Who waits


async def test_a_loop_takes_what_waits_without_waiting(inbox, receiver):
    fill(inbox, 3)
    receiver.end = StopAsyncIteration()
    seen = [message async for message in inbox.iterate(receiver)]
    assert seen == ["0", "1", "2"]
    assert receiver.waits == [True]
    assert receiver.holds == 1


async def test_one_message_alone_holds_no_reply(inbox, receiver):
    inbox.put("x")
    assert await inbox.next_message(receiver) == "x"
    assert (receiver.holds, receiver.waits) == (0, [])


async def test_one_read_wakes_a_reader_once(inbox, receiver):
    seen = []

    async def read():
        while True:
            seen.append(await inbox.next_message(receiver))

    task = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    fill(inbox, 5)
    assert seen == []
    await asyncio.sleep(0)
    assert seen == ["0", "1", "2", "3", "4"]
    assert receiver.waits == [False, False]
    task.cancel()
    await asyncio.wait([task])


async def test_a_reader_looks_again_when_it_is_woken_for_nothing(inbox, receiver):
    task = asyncio.ensure_future(inbox.next_message(receiver))
    for _ in range(3):
        await asyncio.sleep(0)
        inbox.wake()
        inbox.wake()
    assert not task.done()
    receiver.end = EOFError()
    with pytest.raises(EOFError):
        await task
    inbox.wake()


async def test_nothing_is_taken_before_it_is_awaited(inbox, receiver):
    inbox.put("x")
    for arrival in (inbox.next_message(receiver), anext(inbox.iterate(receiver))):
        task = asyncio.ensure_future(arrival)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert inbox.count == 1


@pytest.mark.parametrize("puts_before", [True, False])
async def test_a_cancelled_wait_loses_no_message(
    inbox, receiver, transport, puts_before
):
    task = asyncio.ensure_future(inbox.next_message(receiver))
    await asyncio.sleep(0)
    if puts_before:
        inbox.put("x")
    task.cancel()
    if not puts_before:
        inbox.put("x")
    await asyncio.wait([task])
    assert task.cancelled()
    # Nobody waits any more, so the limit holds.
    fill(inbox, MESSAGES - 1)
    assert not transport.reading
    assert await inbox.next_message(receiver) == "x"


async def test_the_next_one_may_wait_before_a_cancelled_one_has_gone(inbox, receiver):
    first = asyncio.ensure_future(inbox.next_message(receiver))
    await asyncio.sleep(0)
    first.cancel()
    second = inbox.next_message(receiver).__await__()
    waiter = second.send(None)
    await asyncio.wait([first])
    inbox.put("x")
    assert waiter.done()
    with pytest.raises(StopIteration) as caught:
        second.send(None)
    assert caught.value.value == "x"


async def test_one_waits_at_a_time(inbox, receiver):
    task = asyncio.ensure_future(inbox.next_message(receiver))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="two tasks"):
        await inbox.next_message(receiver)
    with pytest.raises(RuntimeError, match="two tasks"):
        inbox.check_alone()
    inbox.put("x")
    assert await task == "x"
    inbox.check_alone()


async def test_who_does_not_pull_gets_nothing(inbox, receiver):
    inbox.is_pulled = False
    inbox.put("x")
    with pytest.raises(LookupError):
        await anext(inbox.iterate(receiver))
    assert inbox.count == 1


async def test_a_wait_is_a_coroutine_for_all_that_ask(inbox, receiver):
    arrival = inbox.next_message(receiver)
    assert isinstance(arrival, Coroutine)
    task = asyncio.create_task(arrival)
    await asyncio.sleep(0)
    inbox.put("x")
    assert await task == "x"


async def test_what_is_thrown_into_a_wait_comes_out(inbox, receiver):
    for error in (KeyError, KeyError("x")):
        arrival = inbox.next_message(receiver)
        next(iter(arrival))
        with pytest.raises(KeyError):
            arrival.throw(error)
    with pytest.raises(KeyError, match="y"):
        arrival.throw(KeyError, KeyError("y"))
    inbox.check_alone()


async def test_a_wait_that_is_closed_is_none(inbox, receiver, transport):
    async def read():
        await inbox.next_message(receiver)

    reading = read()
    reading.send(None)
    reading.close()
    inbox.check_alone()
    fill(inbox)
    assert not transport.reading
