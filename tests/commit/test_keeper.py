import asyncio

import pytest

from beamfast.commit import keeper as module
from beamfast.commit.keeper import Keeper, Waiting
from beamfast.documents.change import Appending, Origin
from beamfast.entry import Version
from beamfast.protocol.conditional import Conditions


@pytest.fixture
async def keeper(site):
    return Keeper(site.location(), Version.of_file(b""))


def waiting(size):
    answer = asyncio.get_running_loop().create_future()
    return Waiting(Appending(b"x" * size), Origin("/page.html"), Conditions(), answer)


async def test_changes_leave_in_the_order_in_which_they_came(keeper):
    ones = [waiting(size) for size in (1, 2, 3)]
    for one in ones:
        keeper.add(one)
    assert keeper.queued_bytes == 6
    assert [keeper.take() for _ in ones] == ones
    assert keeper.queued_bytes == 0


async def test_everything_can_leave_at_once(keeper):
    ones = [waiting(size) for size in (1, 2, 3)]
    for one in ones:
        keeper.add(one)
    assert keeper.take_all() == ones
    assert (len(keeper.queue), keeper.queued_bytes) == (0, 0)
    assert keeper.take_all() == []


async def test_a_queue_is_full_by_number(keeper, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_CHANGES", 2)
    keeper.add(waiting(1))
    assert not keeper.is_full(Appending(b""))
    keeper.add(waiting(1))
    assert keeper.is_full(Appending(b""))


async def test_a_queue_is_full_by_size(keeper, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_BYTES", 10)
    keeper.add(waiting(6))
    assert not keeper.is_full(Appending(b"1234"))
    assert keeper.is_full(Appending(b"12345"))


async def test_a_change_of_any_size_may_wait_alone(keeper, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_BYTES", 10)
    assert not keeper.is_full(Appending(b"x" * 11))


async def test_a_change_that_is_put_back_is_the_next(keeper):
    ones = [waiting(size) for size in (1, 2)]
    for one in ones:
        keeper.add(one)
    keeper.put_back(keeper.take())
    assert keeper.queued_bytes == 3
    assert keeper.take_all() == ones


async def test_the_limits_are_those_of_the_specification():
    assert (module.BATCH_CHANGES, module.BATCH_BYTES) == (64, 256 * 1024)
    assert (module.QUEUE_CHANGES, module.QUEUE_BYTES) == (1024, 4 * 1024 * 1024)
    assert (module.BATCH_SECONDS, module.SLICE_SECONDS) == (0.010, 0.005)


async def test_a_waiter_is_told_once():
    one, other = waiting(1), waiting(1)
    one.succeed("outcome")
    one.fail(ValueError())
    other.fail(ValueError("why"))
    other.succeed("outcome")
    assert one.answer.result() == "outcome"
    with pytest.raises(ValueError, match="why"):
        other.answer.result()


async def test_a_waiter_who_has_gone_away_is_told_nothing():
    one = waiting(1)
    one.answer.cancel()
    one.fail(ValueError())
    one.succeed("outcome")
    assert one.answer.cancelled()
