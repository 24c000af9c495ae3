import asyncio
import weakref
from contextlib import aclosing

import pytest

from beamfast.connection.exchange import DISCARD_LIMIT, HIGH_WATER, Exchange
from beamfast.errors import RequestError
from beamfast.http import Headers, Request


class Recorder:
    """The connection, as an exchange sees it."""

    def __init__(self):
        self.continues = 0
        self.looks = 0

    def send_continue(self):
        self.continues += 1

    def flow_changed(self):
        self.looks += 1


@pytest.fixture
def feeder():
    return Recorder()


def make(feeder, *fields):
    request = Request("PUT", "/", url="/", path="/", headers=Headers(fields))
    exchange = Exchange(feeder, request, keep_alive=True)
    request.attach(exchange)
    return exchange


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_body_that_came_before_its_reader_is_complete(feeder):
    exchange = make(feeder)
    exchange.feed(b"one ")
    exchange.feed(b"two")
    exchange.finish()
    assert await exchange.request.body() == b"one two"
    assert exchange.is_complete


async def test_a_reader_gets_each_piece_as_it_comes(feeder):
    exchange = make(feeder)
    seen = []

    async def read():
        seen.extend([chunk async for chunk in exchange.chunks()])

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        for piece in (b"one", b"two"):
            await settle()
            assert exchange.is_awaited
            exchange.feed(piece)
        await settle()
        exchange.finish()
    assert seen == [b"one", b"two"]
    assert not exchange.is_awaited


async def test_an_empty_body_ends_at_once(feeder):
    exchange = make(feeder)
    exchange.finish()
    assert await exchange.request.body() == b""


async def test_the_connection_looks_again_when_the_buffer_changes(feeder):
    exchange = make(feeder)
    exchange.feed(b"x" * HIGH_WATER)
    assert (exchange.buffered, feeder.looks) == (HIGH_WATER, 1)
    async with aclosing(exchange.chunks()) as chunks:
        await anext(chunks)
        assert (exchange.buffered, feeder.looks) == (0, 2)
    assert exchange.received == HIGH_WATER


async def test_100_continue_is_sent_when_somebody_reads_and_only_once(feeder):
    exchange = make(feeder, ("Expect", "100-continue"))
    assert feeder.continues == 0
    reader = asyncio.ensure_future(exchange.request.body())
    await settle()
    assert feeder.continues == 1
    exchange.feed(b"x")
    await settle()
    exchange.finish()
    assert await reader == b"x"
    assert feeder.continues == 1


@pytest.mark.parametrize("happening", ["feed", "finish"])
async def test_100_continue_is_not_sent_for_a_body_that_came_unasked(feeder, happening):
    exchange = make(feeder, ("Expect", "100-continue"))
    if happening == "feed":
        exchange.feed(b"x")
    exchange.finish()
    await exchange.request.body()
    assert feeder.continues == 0


async def test_a_failure_reaches_the_reader_who_waits(feeder):
    exchange = make(feeder)
    reader = asyncio.ensure_future(exchange.request.body())
    await settle()
    exchange.fail(RequestError(408, "too slow"))
    with pytest.raises(RequestError, match="too slow"):
        await reader


async def test_a_failure_reaches_the_reader_who_comes_later(feeder):
    exchange = make(feeder)
    exchange.feed(b"part")
    exchange.fail(RequestError(400, "cut off"))
    exchange.feed(b"more")
    assert exchange.buffered == 0
    with pytest.raises(RequestError, match="cut off"):
        await exchange.request.body()


async def test_what_comes_after_the_answer_is_counted_and_dropped(feeder):
    exchange = make(feeder)
    exchange.feed(b"1234")
    exchange.discard()
    exchange.feed(b"56")
    assert (exchange.buffered, exchange.received) == (0, 6)
    assert exchange.is_discarded


async def test_a_reader_that_outlives_the_answer_gets_no_part_of_a_body(feeder):
    exchange = make(feeder)
    exchange.feed(b"part")
    reader = asyncio.ensure_future(exchange.request.body())
    await settle()
    exchange.discard()
    exchange.finish()
    with pytest.raises(RequestError, match="answered already"):
        await reader


async def test_a_reader_that_was_cancelled_is_not_woken(feeder):
    exchange = make(feeder)
    reader = asyncio.ensure_future(exchange.request.body())
    await settle()
    reader.cancel()
    await settle()
    assert not exchange.is_awaited
    exchange.feed(b"x")
    exchange.finish()
    assert [chunk async for chunk in exchange.chunks()] == [b"x"]


async def test_more_than_a_new_connection_costs_is_not_dropped_for_ever(feeder):
    exchange = make(feeder)
    exchange.feed(b"x" * DISCARD_LIMIT)
    exchange.discard()
    assert not exchange.is_endless
    exchange.feed(b"x" * DISCARD_LIMIT)
    assert not exchange.is_endless
    exchange.feed(b"x")
    assert exchange.is_endless


async def test_what_comes_after_a_failure_is_not_taken_for_patience(feeder):
    exchange = make(feeder)
    exchange.fail(RequestError(408, "too slow"))
    exchange.feed(b"x" * DISCARD_LIMIT * 2)
    assert not exchange.is_endless


@pytest.mark.parametrize(
    ("fields", "is_complete", "keep_alive"),
    [
        ([], False, True),
        ([("Expect", "100-continue")], True, True),
        ([("Expect", "100-continue")], False, False),
    ],
)
async def test_an_answer_to_who_still_waits_for_100_is_the_last(
    feeder, fields, is_complete, keep_alive
):
    exchange = make(feeder, *fields)
    if is_complete:
        exchange.finish()
    exchange.answer()
    assert exchange.keep_alive is keep_alive
    assert not exchange.expects_continue


async def test_an_answered_request_is_freed_without_the_collector(feeder):
    class Watched(Request):
        __slots__ = ("__weakref__",)

    request = Watched("PUT", "/a", url="/a", path="/a", http_version="1.0")
    exchange = Exchange(feeder, request, keep_alive=True)
    request.attach(exchange)
    freed = weakref.ref(request)
    del request
    assert freed() is not None
    exchange.answer()
    assert freed() is None
    assert (exchange.method, exchange.target) == ("PUT", "/a")
    assert exchange.http_version == "1.0"
