"""Iterables of either kind as the pieces of one message."""

import array

import pytest

from beamfast._outbound import Outbound
from beamfast.connection.pieces import (
    ahead,
    allow,
    check_piece,
    is_buffer,
    joined,
    set_mid_message,
    size_of,
)


async def ticking(parts, closed):
    try:
        for part in parts:
            yield part
    finally:
        closed.append(True)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [(["a", "b"], "ab"), ([b"a", bytearray(b"b")], b"ab"), ([], b"")],
)
async def test_pieces_join_to_what_the_first_one_is(parts, whole):
    closed = []
    for source in (parts, iter(parts), ticking(parts, closed)):
        async with ahead(source) as pieces:
            assert await joined(pieces) == whole
    assert closed == [True]


async def test_a_generator_is_closed_though_nobody_wants_the_rest():
    closed = []
    async with ahead(ticking("abc", closed)) as pieces:
        assert await anext(pieces) == "a"
    assert closed == [True]


async def test_pieces_of_two_kinds_are_refused():
    for parts in (["a", b"b"], [b"a", "b"]):
        async with ahead(parts) as pieces:
            with pytest.raises(TypeError):
                await joined(pieces)


def test_the_size_of_a_message_is_never_taken_too_small():
    assert size_of("\u00e9\U0001f600") >= len("\u00e9\U0001f600".encode())
    assert size_of(memoryview(array.array("H", [1, 2]))) == 4


def test_what_has_bytes_is_no_iterable_of_pieces():
    assert is_buffer(array.array("H", [1, 2]))
    assert is_buffer(b"")
    assert not is_buffer("text")
    assert not is_buffer([b"a"])


@pytest.mark.parametrize("piece", [None, 5, ["a"]])
def test_what_is_neither_text_nor_bytes_is_no_piece(piece):
    check_piece("text")
    check_piece(b"bytes")
    with pytest.raises(TypeError, match="text or bytes-like"):
        check_piece(piece)


def test_more_may_wait_for_whoever_waits_too():
    outbound = Outbound()
    before = outbound.queue_bytes_limit, outbound.queue_items_limit
    allow(outbound, 100, 1)
    assert outbound.queue_bytes_limit == before[0] + 100
    assert outbound.queue_items_limit == before[1] + 1
    allow(outbound, -100, -1)
    assert (outbound.queue_bytes_limit, outbound.queue_items_limit) == before
    set_mid_message(outbound, True)
    assert outbound.is_mid_message
