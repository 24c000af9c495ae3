"""One message in pieces, by the drivers: whatever its frames and reads are."""

import itertools
import zlib

import pytest
from hypothesis import given, strategies as st

from beamfast._frames import LAST, PIECE, build_frame
from beamfast.errors import InvalidState, ProtocolError
from beamfast.protocol.deflate import Agreement, Deflate, PerMessageDeflate
from beamfast.protocol.events import Closed, Failed, Ping
from beamfast.protocol.hixie75 import Hixie75Driver
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side, State
from beamfast.protocol.stream import MessageStream

CONTINUATION, TEXT, BINARY, CLOSE, PING = 0, 1, 2, 8, 9
RSV1 = 4
KEY = b"mask"


def masked(opcode, payload=b"", **options):
    return build_frame(opcode, payload, mask=KEY, **options)


def fragments(opcode, *payloads, rsv=0, mask=KEY):
    """Return one message as frames."""
    frames = []
    for at, payload in enumerate(payloads):
        frame = build_frame(
            opcode if at == 0 else CONTINUATION,
            payload,
            fin=at == len(payloads) - 1,
            rsv=0 if at else rsv,
            mask=mask,
        )
        frames.append(frame)
    return frames


@pytest.fixture
def server():
    return Rfc6455Driver(Side.SERVER)


def deflating(**options):
    deflate = Deflate(Agreement(), PerMessageDeflate())
    return Rfc6455Driver(Side.SERVER, extensions=[deflate], **options)


def deflated(data, compressor=None):
    compressor = compressor or zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def events(driver):
    return [
        (event.close_code, event.message) if isinstance(event, Failed) else event
        for event in driver.events_received()
        if not isinstance(event, Closed)
    ]


# What comes, and when


def test_each_frame_is_a_piece(server):
    stream = server.stream_message()
    assert (stream.has_begun, list(stream)) == (False, [])
    first, second, last = fragments(BINARY, b"ab", b"c", b"d")
    server.receive_data(first)
    assert list(stream) == [b"ab"]
    server.receive_data(second + last)
    assert stream.has_arrived
    assert (stream.count, stream.size) == (2, 2)
    assert not stream.is_complete
    assert list(stream) == [b"c", b"d"]
    assert stream.is_complete
    assert (stream.take(), events(server)) == (None, [])


def test_a_large_frame_comes_as_it_is_read(server):
    stream = server.stream_message()
    frame = masked(BINARY, bytes(range(256)) * 300)
    pieces = []
    for at in range(0, len(frame), 10_000):
        server.receive_data(frame[at : at + 10_000])
        pieces += stream
    assert b"".join(pieces) == bytes(range(256)) * 300
    assert len(pieces) == 8


def test_what_was_put_together_already_comes_first(server):
    first, second, last = fragments(TEXT, "ab", "cd", "e")
    server.receive_data(first + second[:7])
    stream = server.stream_message()
    assert list(stream) == ["abc"]
    server.receive_data(second[7:])
    assert list(stream) == ["d"]
    server.receive_data(last)
    assert (list(stream), stream.is_complete) == (["e"], True)


def test_the_message_after_it_comes_as_ever(server):
    stream = server.stream_message()
    server.receive_data(masked(TEXT, "one") + masked(TEXT, "two"))
    assert (list(stream), events(server)) == (["one"], ["two"])


def test_only_one_can_be_under_way(server):
    stream = server.stream_message()
    assert server.is_streaming
    with pytest.raises(InvalidState, match="in pieces"):
        server.stream_message()
    server.receive_data(masked(TEXT, "one"))
    with pytest.raises(InvalidState, match="in pieces"):
        server.stream_message()
    assert list(stream) == ["one"]
    assert not server.is_streaming
    stream = server.stream_message()
    server.receive_data(masked(TEXT, "two"))
    assert list(stream) == ["two"]


def test_it_can_be_asked_for_by_whoever_gets_the_message_before(server):
    streams = []
    server.deliver = lambda _: streams.append(server.stream_message())
    server.receive_data(masked(TEXT, "one") + masked(BINARY, b"two"))
    assert list(streams[0]) == [b"two"]


def test_characters_are_never_cut(server):
    stream = server.stream_message()
    text = "aé€𝄞"
    pieces = []
    for byte in fragments(TEXT, *(bytes([byte]) for byte in text.encode())):
        server.receive_data(byte)
        pieces += stream
    assert (pieces, stream.is_complete) == (["a", "é", "€", "𝄞"], True)


def test_text_can_be_had_as_it_is_written(server):
    stream = server.stream_message(as_text=False)
    server.receive_data(b"".join(fragments(TEXT, b"\xc3", b"\xa9")))
    assert b"".join(stream) == b"\xc3\xa9"
    plain = Rfc6455Driver(Side.SERVER, text_as_bytes=True)
    stream = plain.stream_message()
    plain.receive_data(masked(TEXT, "é"))
    assert list(stream) == [b"\xc3\xa9"]


@pytest.mark.parametrize(("opcode", "empty"), [(TEXT, ""), (BINARY, b"")])
def test_an_empty_message_is_one_empty_piece(server, opcode, empty):
    stream = server.stream_message()
    first, last = fragments(opcode, b"", b"")
    server.receive_data(first)
    assert list(stream) == []
    server.receive_data(last)
    assert (list(stream), stream.is_complete) == ([empty], True)


def test_control_frames_between_pieces_are_answered_at_once(server):
    stream = server.stream_message()
    first, last = fragments(BINARY, b"a", b"b")
    server.receive_data(first + masked(PING, b"x"))
    assert server.data_to_send() == [build_frame(10, b"x")]
    server.receive_data(last)
    assert (list(stream), events(server)) == ([b"a", b"b"], [Ping(b"x")])


def test_who_waits_is_told(server):
    told = []
    stream = server.stream_message(lambda: told.append(stream.has_arrived))
    server.receive_data(b"".join(fragments(BINARY, b"a", b"b")))
    assert told == [False, False, True]


def test_a_message_of_which_a_part_was_dropped_is_dropped(server):
    server.deliver = None
    first, last = fragments(TEXT, "ab", "c")
    server.receive_data(first)
    stream = server.stream_message()
    server.receive_data(last + masked(TEXT, "next"))
    assert list(stream) == ["next"]


def test_it_can_be_taken_back_until_it_begins(server):
    server.stream_message()
    assert server.cancel_stream()
    server.receive_data(masked(TEXT, "one"))
    assert events(server) == ["one"]
    stream = server.stream_message()
    server.receive_data(fragments(TEXT, "a", "b")[0])
    assert not server.cancel_stream()
    assert list(stream) == ["a"]


def test_the_rest_can_be_skipped(server):
    stream = server.stream_message()
    first, second, last = fragments(BINARY, b"a", b"b", b"c")
    server.receive_data(first)
    stream.skip()
    assert stream.size == 0
    server.receive_data(second)
    assert server.is_streaming
    server.receive_data(last + masked(TEXT, "next"))
    assert (list(stream), stream.is_complete) == ([], True)
    assert events(server) == ["next"]


def test_what_has_no_room_is_dropped_and_not_completed(server):
    stream = server.stream_message()
    first, last = fragments(BINARY, b"a", b"b")
    server.receive_data(first)
    stream.is_cut = True
    server.receive_data(last)
    assert (list(stream), stream.is_complete) == ([b"a"], False)
    stream.cut()
    assert (stream.count, stream.size) == (0, 0)


@pytest.mark.parametrize("message", ["é", b"\xff", "", b""])
def test_a_message_that_is_there_is_one_piece(message):
    stream = MessageStream.of(message, as_text=True)
    assert (list(stream), stream.is_complete) == ([message], True)


def test_a_draft_without_fragments_has_one_piece():
    driver = Hixie75Driver()
    stream = driver.stream_message()
    driver.receive_data(b"\x00one\xff\x00two\xff")
    assert (list(stream), events(driver)) == (["one"], ["two"])


# What is wrong


def test_bad_text_fails_at_its_first_bad_byte(server):
    stream = server.stream_message()
    server.receive_data(fragments(TEXT, b"ab\xe2\x82", b"")[0])
    assert list(stream) == ["ab"]
    server.receive_data(masked(CONTINUATION, b"\x20", fin=False))
    assert events(server) == [(1007, "text is not UTF-8")]
    assert (list(stream), stream.is_complete) == ([], False)


def test_text_that_ends_inside_a_character_fails(server):
    stream = server.stream_message()
    server.receive_data(masked(TEXT, b"ab\xe2\x82"))
    assert events(server) == [(1007, "text is not UTF-8")]
    assert (list(stream), stream.is_complete) == (["ab"], False)


def test_limits_hold_for_the_whole_message():
    server = Rfc6455Driver(Side.SERVER, max_size=3, max_fragments=3)
    stream = server.stream_message()
    server.receive_data(b"".join(fragments(BINARY, b"ab", b"cd")))
    assert events(server) == [(1009, "message is too big")]
    assert (list(stream), stream.is_complete) == ([b"ab"], False)
    server = Rfc6455Driver(Side.SERVER, max_fragments=2)
    server.stream_message()
    server.receive_data(b"".join(fragments(BINARY, b"a", b"b", b"c")))
    assert events(server) == [(1008, "message has too many fragments")]


def test_the_end_of_the_connection_leaves_it_incomplete(server):
    stream = server.stream_message()
    server.receive_data(fragments(BINARY, b"a", b"b")[0] + masked(CLOSE))
    assert server.state is State.CLOSED
    assert (list(stream), stream.is_complete) == ([b"a"], False)


# Extensions


def test_compressed_messages_are_decoded_as_far_as_somebody_asks():
    server = deflating()
    stream = server.stream_message()
    long = bytes(1_000_000)
    server.receive_data(masked(BINARY, deflated(long), rsv=RSV1))
    assert stream.size < 2000
    pieces = list(stream)
    assert b"".join(pieces) == long
    assert max(map(len, pieces)) == 64 * 1024


def test_a_message_behind_a_compressed_one_can_refer_to_it():
    server = deflating()
    compressor = zlib.compressobj(wbits=-15)
    stream = server.stream_message()
    for data in (b"hello hello", b"hello hello hello", b"hello"):
        server.receive_data(masked(BINARY, deflated(data, compressor), rsv=RSV1))
    assert events(server) == [b"hello hello hello", b"hello"]
    assert stream.size == 11
    assert list(stream) == [b"hello hello"]


def test_a_skipped_message_can_be_referred_to():
    server = deflating()
    compressor = zlib.compressobj(wbits=-15)
    stream = server.stream_message()
    stream.skip()
    for data in (b"hello hello", b"hello hello hello"):
        server.receive_data(masked(BINARY, deflated(data, compressor), rsv=RSV1))
    assert events(server) == [b"hello hello hello"]


def test_a_compressed_message_is_limited_by_what_it_becomes():
    server = deflating(max_size=100_000)
    stream = server.stream_message()
    server.receive_data(masked(BINARY, deflated(bytes(10**6)), rsv=RSV1))
    assert events(server) == []
    assert sum(map(len, stream)) == 64 * 1024
    assert events(server) == [
        (1009, "message is too big when decompressed"),
    ]
    assert not stream.is_complete


def test_compressed_text_is_checked_when_it_is_decoded():
    server = deflating()
    stream = server.stream_message()
    server.receive_data(masked(TEXT, deflated(b"\xff"), rsv=RSV1))
    assert list(stream) == []
    assert events(server) == [(1007, "text is not UTF-8")]


def test_a_broken_message_is_found_before_the_next_one():
    server = deflating()
    server.stream_message()
    good = masked(BINARY, deflated(b"good"), rsv=RSV1)
    server.receive_data(masked(BINARY, b"\xff\xff", rsv=RSV1) + good + good)
    assert events(server) == [(1007, "compressed data is broken")]


class Reverse:
    """Turns messages round, which needs all of them."""

    def __init__(self, rsv, tail):
        self.rsv = rsv
        self.tail = tail

    def encode(self, payload):
        return payload[::-1] + self.tail, self.rsv

    def decode(self, payload, max_size):
        if not payload.endswith(self.tail):
            raise ProtocolError("no tail")
        return payload[: len(payload) - len(self.tail)][::-1]

    def close(self):
        pass


def test_an_extension_that_needs_all_of_a_message_gets_it():
    extensions = [Reverse(1, b"!"), Deflate(Agreement(), PerMessageDeflate())]
    client = Rfc6455Driver(Side.CLIENT, extensions=extensions)
    extensions = [Reverse(1, b"!"), Deflate(Agreement(), PerMessageDeflate())]
    server = Rfc6455Driver(Side.SERVER, extensions=extensions)
    stream = server.stream_message()
    client.send_text("é" * 1000)
    (frame,) = client.data_to_send()
    for at in range(len(frame)):
        server.receive_data(frame[at : at + 1])
        assert at == len(frame) - 1 or list(stream) == []
    assert list(stream) == ["é" * 1000]
    stream = server.stream_message()
    server.receive_data(masked(TEXT, "x", rsv=1))
    assert list(stream) == []
    assert events(server)[-1] == (1002, "no tail")


def test_the_end_can_come_by_itself():
    stream = MessageStream((), 0, as_text=True, fail=None, on_arrival=None)
    stream.feed(BINARY | PIECE, 0, b"a")
    assert list(stream) == [b"a"]
    stream.feed(BINARY | PIECE | LAST, 0, b"")
    assert (list(stream), stream.is_complete) == ([], True)


# Properties


@st.composite
def cut(draw, data):
    """Cut ``data`` anywhere, also into nothing."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=6))
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    st.one_of(st.text(max_size=200), st.binary(max_size=200)),
    st.data(),
    st.booleans(),
    st.sampled_from(Side),
)
def test_pieces_are_the_message(message, data, is_coded, side):
    extensions = [Deflate(Agreement(), PerMessageDeflate(min_size=0))]
    driver = Rfc6455Driver(side, extensions=extensions)
    opcode = TEXT if isinstance(message, str) else BINARY
    payload = message.encode() if isinstance(message, str) else message
    if is_coded:
        payload = deflated(payload)
    mask = KEY if side is Side.SERVER else None
    frames = fragments(opcode, *data.draw(cut(payload)), rsv=RSV1 * is_coded, mask=mask)
    after = build_frame(BINARY, b"after", mask=mask)
    reads = data.draw(cut(b"".join(frames) + after))
    asked = data.draw(st.integers(0, len(reads)))
    pieces = []
    stream = None
    messages = []
    driver.deliver = messages.append
    for at, read in enumerate(reads):
        if at == asked and not messages:
            stream = driver.stream_message()
        driver.receive_data(read)
        pieces += stream or ()
    if stream is None:
        assert messages == [message, b"after"]
    else:
        assert stream.is_complete
        assert type(message)().join(pieces) == message
        assert all(pieces) or pieces == [type(message)()]
        assert messages == [b"after"]
