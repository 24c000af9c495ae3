"""Compressed messages, read in steps of any size."""

import zlib

import pytest
from hypothesis import given, strategies as st

from beamfast.errors import PayloadTooBig, ProtocolError
from beamfast.protocol.inflate import Inflation, Past

HTML = b"<li class='item'><a href='/one'>One thing</a></li>" * 8
WINDOW = 2**15


def deflated(sender, data):
    """Return a message of a sender that ends it as RFC 7692, 7.2.1 says."""
    return (sender.compress(data) + sender.flush(zlib.Z_SYNC_FLUSH))[:-4]


def final_block(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def inflated(coded, past=None, *, step=1, limit=2**20, max_size=2**20, ratio=None):
    """Return a message that arrives in pieces of ``step`` bytes."""
    inflation = Inflation(past, WINDOW, max_size, ratio)
    message = b""
    for at in range(0, max(1, len(coded)), step):
        piece = coded[at : at + step]
        inflation.feed(piece, is_last=at + step >= len(coded))
        while read := inflation.read(limit):
            assert len(read) <= limit
            message += read
    assert inflation.is_over
    return message


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("ending", [b"", b"\0"])
def test_window_goes_on_behind_a_final_block(ending, step):
    past = Past()
    sender = zlib.compressobj(wbits=-15, zdict=HTML)
    assert inflated(final_block(HTML) + ending, past, step=step) == HTML
    assert inflated(deflated(sender, HTML), past, step=step) == HTML


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_window_goes_on_inside_a_message_even_without_takeover(step):
    sender = zlib.compressobj(wbits=-15, zdict=HTML)
    coded = deflated(sender, HTML)
    assert inflated(final_block(HTML) + coded, step=step) == HTML + HTML
    with pytest.raises(ProtocolError):
        inflated(coded, step=step)


def test_a_message_may_end_exactly_with_its_final_block():
    past = Past()
    stored = b"\x01\x00\x00\xff\xff"
    assert inflated(stored, past, step=10) == b""
    # The end may be told when all of the final block was read already.
    inflation = Inflation(past, WINDOW, 100, 100)
    inflation.feed(stored, is_last=False)
    assert (inflation.read(10), inflation.is_over) == (b"", False)
    inflation.feed(b"", is_last=True)
    assert (inflation.read(10), inflation.is_over) == (b"", True)
    assert inflated(deflated(zlib.compressobj(wbits=-15), HTML), past) == HTML


@pytest.mark.parametrize("step", [1, 2000])
def test_endless_final_blocks_are_refused(step):
    with pytest.raises(ProtocolError) as caught:
        inflated(b"\x03\x00" * 1000, step=step)
    assert caught.value.close_code == 1007


def test_broken_data_is_1007():
    with pytest.raises(ProtocolError) as caught:
        inflated(b"\xff\xff\xff")
    assert caught.value.close_code == 1007


def test_a_message_of_another_past_is_broken():
    sender = zlib.compressobj(wbits=-15)
    first, second = deflated(sender, HTML), deflated(sender, HTML)
    past = Past()
    assert inflated(first, past) == inflated(second, past) == HTML
    with pytest.raises(ProtocolError):
        inflated(second, Past())


def test_a_bomb_is_read_no_further_than_it_may_be():
    bomb = deflated(zlib.compressobj(wbits=-15), bytes(50_000_000))
    inflation = Inflation(None, WINDOW, 100_000, None)
    inflation.feed(bomb, is_last=True)
    got = 0
    with pytest.raises(PayloadTooBig):
        while True:
            got += len(inflation.read(30_000))
    assert got == 90_000


def test_density_is_judged_by_what_has_arrived():
    dense = deflated(zlib.compressobj(wbits=-15), bytes(400_000))
    inflation = Inflation(None, WINDOW, 10**6, 100)
    inflation.feed(dense, is_last=False)
    with pytest.raises(PayloadTooBig):
        inflation.read(10**6)
    assert inflated(dense, step=1000) == bytes(400_000)
    few = deflated(zlib.compressobj(wbits=-15), bytes(60_000))
    assert inflated(few, ratio=1, step=1000) == bytes(60_000)


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.just(HTML)), max_size=4),
    st.integers(1, 50),
    st.integers(1, 50),
    st.booleans(),
)
def test_steps_do_not_matter(messages, step, limit, takeover):
    sender, past = zlib.compressobj(wbits=-15), Past()
    for message in messages:
        if not takeover:
            sender, past = zlib.compressobj(wbits=-15), None
        coded = deflated(sender, message)
        assert inflated(coded, past, step=step, limit=limit) == message
