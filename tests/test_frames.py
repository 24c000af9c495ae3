import itertools
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame as PeerFrame, Opcode
from websockets.streams import StreamReader

from beamfast._frames import (
    LAST,
    PIECE,
    FrameParser,
    Utf8Validator,
    build_frame,
    mask,
    utf8_valid,
)

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = bytes.fromhex("37fa213d")
GROUPS = ("frame_valid", "frame_invalid", "limits", "close", "close_invalid")
VECTORS = [
    vector
    for vector in json.loads(
        (Path(__file__).parent / "data" / "vectors.json").read_text()
    )["vectors"]
    if vector["group"] in GROUPS and "wire_len" in vector
]


class Receiver:
    """A parser and everything it called."""

    def __init__(self, *, masked=True, discard=False, **limits):
        self.parser = FrameParser(masked=masked, **limits)
        self.calls = []
        self.deliver = None if discard else self.calls.append

    def on_frame(self, opcode, rsv, payload):
        self.calls.append((opcode, rsv, payload))

    def feed(self, *chunks):
        for chunk in chunks:
            code = self.parser.feed(chunk, self.deliver, self.on_frame)
        return code


def masked(opcode, payload=b"", **options):
    return build_frame(opcode, payload, mask=KEY, **options)


def each_byte(wire):
    return [wire[index : index + 1] for index in range(len(wire))]


def wire_of(vector):
    if "wire" in vector:
        return bytes.fromhex(vector["wire"])
    return b"".join(bytes.fromhex(part) * times for part, times in vector["wire_parts"])


def calls_of(vector):
    """What the parser has to call; close payloads are checked by the driver."""
    for event in vector["expect"]["events"]:
        match event["type"]:
            case "text":
                yield event["data"]
            case "binary":
                yield bytes.fromhex(event["data_hex"])
            case "binary_len":
                yield bytes.fromhex(event["fill"]) * event["length"]
            case "ping":
                yield PING, 0, bytes.fromhex(event["data_hex"])
            case "pong":
                yield PONG, 0, bytes.fromhex(event["data_hex"])
            case "close" if event["code"] == 1005:
                yield CLOSE, 0, b""
            case "close":
                reason = event["reason"].encode()
                yield CLOSE, 0, event["code"].to_bytes(2, "big") + reason


def parse_vector(vector, chunks):
    receiver = Receiver(
        masked=vector["direction"] == "client_to_server",
        max_size=vector.get("setup", {}).get("max_size", 2**20),
    )
    return receiver.feed(*chunks), receiver.calls


def is_close_payload(vector):
    head = wire_of(vector)
    return (
        vector["group"] == "close_invalid" and head[0] == 0x88 and head[1] & 127 < 126
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector_gives_its_calls_and_code(vector):
    wire = wire_of(vector)
    chunks = [bytes.fromhex(chunk) for chunk in vector.get("chunks", [])] or [wire]
    code, calls = parse_vector(vector, chunks)
    if is_close_payload(vector):
        assert (code, len(calls), calls[0][0]) == (0, 1, CLOSE)
    else:
        assert calls == list(calls_of(vector))
        assert code == vector["expect"].get("close_code", 0)


@pytest.mark.parametrize(
    "vector",
    [vector for vector in VECTORS if vector["wire_len"] < 1000],
    ids=lambda vector: vector["name"],
)
def test_vector_byte_by_byte_gives_the_same(vector):
    wire = wire_of(vector)
    assert parse_vector(vector, each_byte(wire)) == parse_vector(vector, [wire])


messages = st.one_of(st.text(max_size=200), st.binary(max_size=200))


@st.composite
def streams(draw):
    """Legal frames of a client, with the calls that they have to give."""
    wire, calls = b"", []
    for message in draw(st.lists(messages, max_size=5)):
        payload = message.encode() if isinstance(message, str) else message
        opcode = TEXT if isinstance(message, str) else BINARY
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        pieces = [
            payload[start:end]
            for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)
        ]
        for index, piece in enumerate(pieces):
            key = draw(st.binary(min_size=4, max_size=4))
            fin = index == len(pieces) - 1
            wire += build_frame(opcode if not index else 0, piece, fin=fin, mask=key)
            if not fin and draw(st.booleans()):
                wire += build_frame(PING, piece[:125], mask=key)
                calls.append((PING, 0, piece[:125]))
        calls.append(message)
    return wire, calls


def chop(wire, cuts):
    places = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
    return [wire[start:end] for start, end in itertools.pairwise(places)]


@settings(max_examples=300)
@given(streams(), st.lists(st.integers(0, 1200), max_size=12))
def test_any_chopping_gives_the_same_calls(stream, cuts):
    wire, calls = stream
    receiver = Receiver()
    assert receiver.feed(*chop(wire, cuts)) == 0
    assert receiver.calls == calls


@settings(max_examples=300)
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8), st.booleans())
def test_any_chopping_of_garbage_gives_the_same_calls_and_code(wire, cuts, server):
    whole, pieces = Receiver(masked=server), Receiver(masked=server)
    code = whole.feed(wire)
    assert pieces.feed(*chop(wire, cuts)) == code
    assert pieces.calls == whole.calls
    assert pieces.parser.reason == whole.parser.reason


def peer_frames(wire, server):
    """Let the websockets library read the frames up to its first objection."""
    reader = StreamReader()
    reader.feed_data(wire)
    reader.feed_eof()
    frames = []
    try:
        while reader.buffer:
            parsing = PeerFrame.parse(reader.read_exact, mask=server, max_size=2**20)
            try:
                while True:
                    next(parsing)
            except StopIteration as stop:
                frames.append(stop.value)
    except (ProtocolError, PayloadTooBig, EOFError) as error:
        return frames, type(error)
    return frames, None


@settings(max_examples=300)
@given(
    st.sampled_from([TEXT, BINARY, CLOSE, PING, PONG]),
    st.binary(max_size=300),
    st.booleans(),
)
def test_websockets_reads_and_builds_the_same_frames(opcode, payload, server):
    payload = payload[:125] if opcode >= CLOSE else payload
    frame = build_frame(opcode, payload, mask=KEY if server else None)
    peer, objection = peer_frames(frame, server)
    assert objection is None
    assert [(int(each.opcode), each.data) for each in peer] == [(opcode, payload)]
    if not server:
        ours = PeerFrame(Opcode(opcode), payload).serialize(mask=False)
        assert ours == frame


@settings(max_examples=500)
@given(st.binary(max_size=40), st.booleans())
@example(b"\x88\x80" + bytes(6), True)
def test_websockets_objects_to_no_head_that_we_accept(wire, server):
    receiver = Receiver(masked=server, text_as_bytes=True)
    accepted = receiver.feed(wire) == 0
    # Behind a close frame we read nothing, and that function reads on.
    if accepted and (CLOSE, 0) not in [call[:2] for call in receiver.calls]:
        assert peer_frames(wire, server)[1] in (None, EOFError)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
@pytest.mark.parametrize("server", [True, False])
def test_build_then_parse_is_identity(size, server):
    payload = bytes(range(251)) * (size // 251 + 1)
    frame = build_frame(BINARY, payload[:size], mask=KEY if server else None)
    receiver = Receiver(masked=server)
    receiver.feed(frame[:7], frame[7:70_000], frame[70_000:])
    assert receiver.calls == [payload[:size]]


def test_every_length_and_phase_is_masked_like_the_definition():
    data = bytes(range(1, 252))
    for size in range(68):
        for offset in range(8):
            expected = bytes(
                byte ^ KEY[(index + offset) % 4]
                for index, byte in enumerate(data[:size])
            )
            assert mask(data[:size], KEY, offset) == expected
    assert mask(memoryview(bytearray(data)), KEY) == mask(data, KEY)


def test_text_is_sent_as_utf8():
    assert build_frame(TEXT, "Grüße") == b"\x81\x07" + "Grüße".encode()
    assert build_frame(TEXT, "plain") == b"\x81\x05plain"
    assert build_frame(TEXT, bytearray(b"plain")) == b"\x81\x05plain"


def test_flags_stand_in_the_first_byte():
    assert build_frame(TEXT, b"", fin=False, rsv=4) == b"\x41\x00"
    assert build_frame(0, b"") == b"\x80\x00"


@pytest.mark.parametrize(
    ("opcode", "payload", "options", "complaint"),
    [
        (3, b"", {}, "opcode"),
        (11, b"", {}, "opcode"),
        (17, b"", {}, "opcode"),
        (-1, b"", {}, "opcode"),
        (PING, b"x" * 126, {}, "125 bytes"),
        (PING, "x" * 126, {}, "125 bytes"),
        (PING, b"", {"fin": False}, "fragmented"),
        (TEXT, b"", {"rsv": 8}, "reserved bits"),
        (TEXT, b"", {"mask": b"abc"}, "four bytes"),
        (TEXT, "\ud800", {}, "surrogates"),
    ],
)
def test_a_frame_that_cannot_exist_is_refused(opcode, payload, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        build_frame(opcode, payload, **options)


def test_a_masking_key_has_four_bytes():
    with pytest.raises(ValueError, match="four bytes"):
        mask(b"data", b"abcde")


def test_rest_is_between_two_messages():
    wire = [
        build_frame(1, b"be", fin=False),
        build_frame(9, b"beam"),
        build_frame(0, b"am" * 100),
    ]
    parser, seen = FrameParser(masked=False), []

    def note(*_):
        seen.append(parser.is_at_rest)

    for _ in range(2):
        for byte in b"".join(wire):
            parser.feed(bytes([byte]), note, note)
            seen.append(parser.is_at_rest)
        assert seen.pop()
        assert not any(seen)


def test_a_parser_that_cannot_work_is_refused():
    with pytest.raises(ValueError, match="reserved bits"):
        FrameParser(masked=True, rsv=8)
    with pytest.raises(ValueError, match="at least one frame"):
        FrameParser(masked=True, max_fragments=0)


@pytest.mark.parametrize(
    ("wire", "code", "reason"),
    [
        ("c1", 1002, "reserved bits"),
        ("83", 1002, "unknown opcode"),
        ("8b", 1002, "unknown opcode"),
        ("09", 1002, "fragmented"),
        ("80", 1002, "without a message"),
        ("8101", 1002, "not masked"),
        ("89fe", 1002, "longer than 125"),
        ("82fe007d", 1002, "shortest form"),
        ("82ff000000000000ffff", 1002, "shortest form"),
        ("82ff8000000000000000", 1002, "top bit"),
        ("82ff0000000000100001", 1009, "frame is too big"),
        ("81c4 00000000 ed a0", 1007, "not UTF-8"),
    ],
)
def test_violation_is_found_at_its_last_byte_and_not_before(wire, code, reason):
    wire = bytes.fromhex(wire)
    receiver = Receiver()
    assert receiver.feed(*each_byte(wire[:-1])) == 0 if len(wire) > 1 else True
    assert receiver.feed(wire[-1:]) == code
    assert receiver.parser.close_code == code
    assert reason in receiver.parser.reason
    assert receiver.feed(masked(TEXT, "late")) == code
    assert receiver.calls == []


def test_masked_frames_are_refused_by_a_client():
    receiver = Receiver(masked=False)
    assert receiver.feed(b"\x81\x80") == 1002
    assert "is masked" in receiver.parser.reason


def test_messages_before_a_violation_are_delivered():
    receiver = Receiver()
    assert receiver.feed(masked(TEXT, "one") + masked(BINARY, b"two") + b"\x83") == 1002
    assert receiver.calls == ["one", b"two"]


def test_longer_length_forms_pass_when_they_may():
    receiver = Receiver(strict_lengths=False)
    assert receiver.feed(bytes.fromhex("82fe0001 00000000 2a")) == 0
    assert receiver.feed(bytes.fromhex("82ff0000000000000001 00000000 2b")) == 0
    assert receiver.calls == [b"*", b"+"]


@pytest.mark.parametrize("discard", [False, True])
def test_limits_hold_across_fragments(discard):
    receiver = Receiver(max_size=10, discard=discard)
    assert receiver.feed(masked(BINARY, b"12345678", fin=False)) == 0
    assert receiver.feed(masked(PING, b"does not count")) == 0
    assert receiver.feed(masked(0, b"90", fin=False)) == 0
    assert receiver.feed(masked(0, b"1")) == 1009
    assert receiver.parser.reason == "message is too big"


def test_frames_have_a_limit_of_their_own():
    receiver = Receiver(max_frame_size=4)
    assert receiver.feed(masked(BINARY, b"1234", fin=False)) == 0
    assert receiver.feed(masked(0, b"12345")) == 1009


def test_empty_fragments_are_counted():
    receiver = Receiver(max_fragments=3)
    assert receiver.feed(masked(TEXT, b"", fin=False) + masked(0, b"", fin=False)) == 0
    assert receiver.feed(masked(0, b"")) == 0
    assert receiver.calls == [""]
    assert receiver.feed(masked(TEXT, b"", fin=False)) == 0
    assert receiver.feed(masked(0, b"", fin=False) * 2) == 0
    assert receiver.feed(masked(0, b"")[:1]) == 1008


def test_a_lying_length_reserves_no_memory():
    import tracemalloc

    tracemalloc.start()
    try:
        receiver = Receiver(max_size=2**40, max_frame_size=2**40)
        receiver.feed(b"\x82\xff" + (2**39).to_bytes(8, "big") + bytes(4) + b"x")
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()


def test_extension_bits_lead_to_on_frame_with_the_whole_payload():
    receiver = Receiver(rsv=4)
    receiver.feed(masked(TEXT, b"\xff\xfe", rsv=4, fin=False) + masked(0, b"\xfd"))
    receiver.feed(masked(BINARY, b"whole", rsv=4) + masked(TEXT, "plain"))
    assert receiver.calls == [
        (TEXT, 4, b"\xff\xfe\xfd"),
        (BINARY, 4, b"whole"),
        "plain",
    ]


@pytest.mark.parametrize("opcode", [0, PING, CLOSE])
def test_extension_bits_are_legal_on_the_first_frame_of_a_message_only(opcode):
    receiver = Receiver(rsv=4)
    receiver.feed(masked(TEXT, b"", rsv=4, fin=False))
    assert receiver.feed(masked(opcode, b"", rsv=4)[:1]) == 1002


def test_bits_of_another_extension_are_refused():
    assert Receiver(rsv=4).feed(b"\xa1") == 1002


def test_text_can_be_delivered_as_bytes():
    receiver = Receiver(text_as_bytes=True)
    text = "Grüße".encode()
    receiver.feed(masked(TEXT, text) + masked(TEXT, text[:3], fin=False))
    receiver.feed(masked(0, text[3:]))
    assert receiver.calls == [text, text]
    assert receiver.feed(masked(TEXT, b"\xff")) == 1007


def test_discarded_messages_are_checked_and_not_built():
    receiver = Receiver(discard=True)
    receiver.feed(masked(TEXT, "é" * 9000) + masked(BINARY, b"\xff", fin=False))
    receiver.feed(masked(0, b"") + masked(PING, b"!"))
    assert receiver.calls == [(PING, 0, b"!")]
    assert receiver.feed(masked(TEXT, b"a" * 5000 + b"\xc0")) == 1007


def test_a_message_that_was_begun_while_discarding_is_not_delivered_in_part():
    receiver = Receiver(discard=True)
    receiver.feed(masked(TEXT, "first ", fin=False))
    receiver.deliver = receiver.calls.append
    receiver.feed(masked(0, "half") + masked(TEXT, "whole"))
    assert receiver.calls == ["whole"]


def test_a_message_that_ends_while_discarding_is_dropped():
    receiver = Receiver()
    receiver.feed(masked(TEXT, "first ", fin=False))
    receiver.deliver = None
    receiver.feed(masked(0, ""))
    receiver.deliver = receiver.calls.append
    receiver.feed(masked(TEXT, "next"))
    assert receiver.calls == ["next"]


def test_a_message_can_come_in_pieces():
    receiver = Receiver()
    receiver.feed(masked(TEXT, "ab", fin=False) + masked(0, "cd", fin=False)[:7])
    receiver.parser.stream(receiver.on_frame)
    assert receiver.calls == [(TEXT | PIECE, 0, b"abc")]
    receiver.feed(masked(0, "cd", fin=False)[7:] + masked(PING, b"!"))
    receiver.feed(masked(0, "e") + masked(TEXT, "next"))
    assert receiver.calls[1:] == [
        (TEXT | PIECE, 0, b"d"),
        (PING, 0, b"!"),
        (TEXT | PIECE, 0, b"e"),
        (TEXT | PIECE | LAST, 0, b""),
        "next",
    ]


@pytest.mark.parametrize("discard", [False, True])
def test_a_coded_message_comes_in_coded_pieces(discard):
    receiver = Receiver(rsv=4, discard=discard)
    receiver.parser.stream(receiver.on_frame)
    receiver.feed(masked(TEXT, b"\xff", rsv=4))
    assert receiver.calls == [(TEXT | PIECE, 4, b"\xff"), (TEXT | PIECE | LAST, 4, b"")]


def test_text_in_pieces_is_checked_byte_by_byte():
    receiver = Receiver()
    receiver.parser.stream(receiver.on_frame)
    assert receiver.feed(*each_byte(masked(TEXT, b"\xe2\x82 "))) == 1007
    assert receiver.calls == [(TEXT | PIECE, 0, b"\xe2"), (TEXT | PIECE, 0, b"\x82")]
    receiver = Receiver()
    receiver.parser.stream(receiver.on_frame)
    assert receiver.feed(masked(TEXT, b"\xe2")) == 1007
    assert receiver.calls == [(TEXT | PIECE, 0, b"\xe2")]


def test_pieces_can_be_taken_back_before_the_first():
    receiver = Receiver()
    receiver.parser.stream(receiver.on_frame)
    receiver.parser.stream(None)
    receiver.feed(masked(TEXT, "whole"))
    assert receiver.calls == ["whole"]


def test_a_message_of_which_a_part_was_dropped_comes_in_no_pieces():
    receiver = Receiver(discard=True)
    receiver.feed(masked(TEXT, "first ", fin=False))
    receiver.parser.stream(receiver.on_frame)
    receiver.feed(masked(0, "half") + masked(BINARY, b"x"))
    assert receiver.calls == [
        (BINARY | PIECE, 0, b"x"),
        (BINARY | PIECE | LAST, 0, b""),
    ]


def test_long_text_in_one_read_is_decoded():
    receiver = Receiver()
    receiver.feed(masked(TEXT, "ü" * 5000))
    assert receiver.calls == ["ü" * 5000]
    assert receiver.feed(masked(TEXT, b"x" * 5000 + b"\xc3")) == 1007


def test_nothing_is_parsed_after_a_close_frame():
    receiver = Receiver()
    assert receiver.feed(masked(CLOSE, b"\x03\xe8") + masked(TEXT, "late")) == 0
    assert receiver.feed(b"\xff\xff") == 0
    assert receiver.calls == [(CLOSE, 0, b"\x03\xe8")]


def test_finish_drops_the_rest_of_the_read():
    receiver = Receiver()
    receiver.on_frame = lambda *frame: receiver.parser.finish()
    assert receiver.feed(masked(PING, b"") + masked(TEXT, "late")) == 0
    assert receiver.feed(masked(TEXT, "later")) == 0
    assert receiver.calls == []


def test_a_callback_that_raises_ends_the_input():
    receiver = Receiver()

    def deliver(message):
        receiver.calls.append(message)
        raise LookupError(message)

    receiver.deliver = deliver
    with pytest.raises(LookupError):
        receiver.feed(masked(TEXT, "one") + masked(TEXT, "two"))
    assert receiver.feed(masked(TEXT, "three")) == 1011
    assert receiver.calls == ["one"]


def test_a_callback_cannot_feed_its_own_parser():
    receiver = Receiver()
    receiver.deliver = lambda message: receiver.feed(b"")
    with pytest.raises(RuntimeError, match="own callback"):
        receiver.feed(masked(TEXT, "one"))


def test_mutable_input_is_neither_changed_nor_kept():
    data = bytearray(masked(TEXT, "Hello")[:8])
    receiver = Receiver()
    receiver.feed(memoryview(data))
    assert data == masked(TEXT, "Hello")[:8]
    data[:] = b"!" * len(data)
    receiver.feed(masked(TEXT, "Hello")[8:])
    assert receiver.calls == ["Hello"]


EDGES = bytes.fromhex("00417f808f909fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5f7f8ff")


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("shift", [0, 9, 61])
def test_utf8_agrees_with_python_on_all_triples_of_edge_bytes(shift):
    for first in EDGES:
        for second in EDGES:
            for third in EDGES:
                data = bytes((first, second, third))
                for form in (b"%b", b"%b\x80", b"\xf0%b", b"\xf4%b"):
                    text = b"." * shift + form % data + b"." * (shift // 2)
                    assert utf8_valid(text) == is_utf8(text), text


@settings(max_examples=300)
@given(st.text(max_size=200), st.integers(0, 400), st.integers(0, 400), st.binary())
def test_utf8_in_pieces_agrees_with_the_whole(text, cut, place, noise):
    data = text.encode()
    data = data[:place] + noise[:2] + data[place:]
    validator = Utf8Validator()
    pieces = [validator.feed(data[:cut]), validator.feed(data[cut:])]
    assert (all(pieces) and validator.complete) == is_utf8(data)
