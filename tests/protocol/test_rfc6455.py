import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from beamfast.errors import InvalidState, PayloadTooBig, ProtocolError
from beamfast.protocol.events import Closed, Failed, Ping, Pong
from beamfast.protocol.rfc6455 import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Rfc6455Driver,
    Side,
    State,
    build_frame,
    ping_frame,
)

KEY = bytes.fromhex("37fa213d")
VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]
GROUPS = ("frame_valid", "frame_invalid", "close", "close_invalid", "limits")


def vectors(*groups):
    return [
        pytest.param(one, id=f"{one['group']}-{one['name']}")
        for one in VECTORS
        if one["group"] in groups
    ]


def masked(opcode, payload, **options):
    return build_frame(opcode, payload, mask=KEY, **options)


def close_payload(code, reason=b""):
    return code.to_bytes(2, "big") + reason


def unmasked(frame):
    """Return a short frame without its mask."""
    if not frame[1] & 0x80:
        return frame
    return build_frame(frame[0] & 15, bytes(frame_payload(frame)))


def frame_payload(frame):
    key, payload = frame[2:6], frame[6:]
    return (byte ^ key[at % 4] for at, byte in enumerate(payload))


def as_vector(event):
    match event:
        case str():
            return {"type": "text", "data": event}
        case bytes():
            return {"type": "binary", "data_hex": event.hex()}
        case Ping(data) | Pong(data):
            return {"type": type(event).__name__.lower(), "data_hex": data.hex()}
        case Closed(code, reason, clean=True):
            return {"type": "close", "code": code, "reason": reason}
    return None


def expanded(event):
    if event["type"] != "binary_len":
        return event
    data = bytes.fromhex(event["fill"]) * event["length"]
    return {"type": "binary", "data_hex": data.hex()}


@pytest.mark.parametrize("chopped", [False, True])
@pytest.mark.parametrize("vector", vectors(*GROUPS))
def test_vector(vector, chopped):
    setup, expect = vector.get("setup", {}), vector["expect"]
    is_server = vector["direction"] == "client_to_server"
    side = Side.SERVER if is_server else Side.CLIENT
    driver = Rfc6455Driver(side, max_size=setup.get("max_size", 2**20))
    if "local_close_sent" in setup:
        driver.send_close(setup["local_close_sent"])
        driver.data_to_send()
    wire = bytes.fromhex(vector.get("wire", "")) or b"".join(
        bytes.fromhex(part) * count for part, count in vector["wire_parts"]
    )
    chunks = [bytes.fromhex(chunk) for chunk in vector.get("chunks", [])] or [wire]
    if chopped and len(wire) < 1000:
        chunks = [wire[at : at + 1] for at in range(len(wire))]
    for chunk in chunks:
        driver.receive_data(chunk)
    events = driver.events_received()
    reported = [one for one in map(as_vector, events) if one is not None]
    assert reported == [expanded(event) for event in expect["events"]]
    reply = b"".join(unmasked(frame) for frame in driver.data_to_send())
    if expect.get("fail"):
        assert reply[0] == 0x80 | CLOSE
        assert int.from_bytes(reply[2:4], "big") == expect["close_code"]
        assert isinstance(events[-2], Failed)
        assert events[-1] == Closed(1006, "", False, "local")
    else:
        expected = bytes.fromhex(expect["reply"])
        assert reply == (unmasked(expected) if expected else b"")
    assert (driver.state is State.OPEN) == (expect["state"] == "open")


# Messages


def test_messages_and_other_events_come_in_order():
    driver = Rfc6455Driver(Side.SERVER)
    driver.receive_data(
        masked(TEXT, "one") + masked(PING, b"beam") + masked(BINARY, b"two")
    )
    assert driver.events_received() == ["one", Ping(b"beam"), b"two"]
    assert driver.events_received() == []


def test_messages_go_to_the_callback_and_other_events_do_not():
    driver = Rfc6455Driver(Side.SERVER)
    assert driver.deliver is None
    messages = []
    driver.deliver = messages.append
    driver.receive_data(masked(TEXT, "one") + masked(PONG, b"x") + masked(BINARY, b""))
    assert messages == ["one", b""]
    assert driver.events_received() == [Pong(b"x")]


def test_messages_for_nobody_are_checked_and_dropped():
    driver = Rfc6455Driver(Side.SERVER)
    driver.deliver = None
    driver.receive_data(masked(TEXT, "one") + masked(PING, b""))
    assert driver.events_received() == [Ping(b"")]
    driver.receive_data(masked(TEXT, b"\xff"))
    assert driver.events_received()[0] == Failed("text is not UTF-8", 1007)


def test_exception_of_the_callback_passes_and_nothing_more_is_delivered():
    driver = Rfc6455Driver(Side.SERVER)

    def fail(message):
        raise LookupError(message)

    driver.deliver = fail
    with pytest.raises(LookupError, match="one"):
        driver.receive_data(masked(TEXT, "one") + masked(TEXT, "two"))
    driver.fail(1011, "internal error")
    driver.receive_data(masked(TEXT, "three"))
    assert driver.data_to_send() == [b"\x88\x10\x03\xf3internal error"]


def test_callback_may_fail_the_connection():
    driver = Rfc6455Driver(Side.SERVER)
    seen = []

    def refuse(message):
        seen.append(message)
        driver.fail(1008, "no")

    driver.deliver = refuse
    driver.receive_data(masked(TEXT, "one") + masked(TEXT, "two"))
    assert seen == ["one"]
    assert driver.data_to_send() == [b"\x88\x04\x03\xf0no"]
    assert [type(event) for event in driver.events_received()] == [Failed, Closed]


def test_text_can_stay_bytes():
    driver = Rfc6455Driver(Side.SERVER, text_as_bytes=True)
    driver.receive_data(masked(TEXT, "ä"))
    assert driver.events_received() == ["ä".encode()]


def test_frame_limit_is_the_message_limit_unless_given():
    frame = masked(BINARY, bytes(60))
    for options, count in [({"max_size": 100}, 1), ({"max_frame_size": 50}, 0)]:
        driver = Rfc6455Driver(Side.SERVER, **options)
        driver.receive_data(frame)
        assert driver.events_received().count(bytes(60)) == count


def test_too_many_fragments_are_1008():
    driver = Rfc6455Driver(Side.SERVER, max_fragments=2)
    piece = masked(CONTINUATION, b"", fin=False)
    driver.receive_data(masked(TEXT, b"", fin=False) + piece + piece)
    assert driver.events_received()[0].close_code == 1008


def test_padded_lengths_can_be_allowed():
    driver = Rfc6455Driver(Side.CLIENT, strict_lengths=False)
    driver.receive_data(b"\x81\x7e\x00\x02Hi")
    assert driver.events_received() == ["Hi"]


# Sending


def test_server_frames_are_unmasked():
    driver = Rfc6455Driver(Side.SERVER)
    assert driver.send_text("ä")
    assert driver.send_text(b"a")
    assert driver.send_binary(memoryview(b"b"))
    assert driver.send_pong(b"c")
    assert driver.data_to_send() == [
        b"\x81\x02\xc3\xa4",
        b"\x81\x01a",
        b"\x82\x01b",
        b"\x8a\x01c",
    ]
    assert driver.data_to_send() == []


def test_client_frames_have_a_fresh_mask_each():
    driver = Rfc6455Driver(Side.CLIENT)
    for _ in range(20):
        driver.send_text("beam")
    frames = driver.data_to_send()
    assert len({frame[2:6] for frame in frames}) == 20
    server = Rfc6455Driver(Side.SERVER)
    server.receive_data(b"".join(frames))
    assert server.events_received() == ["beam"] * 20


def test_encode_returns_the_frame_and_sends_nothing():
    driver = Rfc6455Driver(Side.SERVER)
    assert driver.encode("a") == b"\x81\x01a"
    assert driver.encode(bytearray(b"a")) == b"\x82\x01a"
    assert driver.data_to_send() == []


def test_wrong_types_are_refused():
    driver = Rfc6455Driver(Side.SERVER)
    for send in (driver.send_text, driver.send_binary, driver.encode):
        with pytest.raises(TypeError):
            send(5)
    with pytest.raises(TypeError):
        driver.send_binary("text")


def test_text_without_utf8_form_is_refused_and_nothing_is_sent():
    driver = Rfc6455Driver(Side.SERVER)
    for text in ("\ud800", b"\xff"):
        with pytest.raises(ValueError, match=r"utf-8|UTF-8"):
            driver.send_text(text)
    assert driver.data_to_send() == []


@pytest.mark.parametrize(("first", "opcode"), [("a", 1), (b"a", 2)])
def test_fragmented_message_ends_with_fin(first, opcode):
    driver = Rfc6455Driver(Side.SERVER)
    driver.send_fragment(first, fin=False)
    driver.send_fragment("b", fin=False)
    driver.send_ping(b"p")
    for send in (driver.send_text, driver.send_binary, driver.encode):
        with pytest.raises(InvalidState):
            send(b"x")
    driver.send_fragment(b"", fin=True)
    driver.send_fragment("c", fin=True)
    heads = [frame[0] for frame in driver.data_to_send()]
    assert heads == [opcode, 0, 0x89, 0x80, 0x81]


# Pings


def test_ping_is_answered_with_the_same_payload():
    driver = Rfc6455Driver(Side.SERVER)
    driver.receive_data(masked(PING, b"beam"))
    assert driver.events_received() == [Ping(b"beam")]
    assert driver.data_to_send() == [b"\x8a\x04beam"]


def test_only_the_latest_ping_is_answered_when_output_was_blocked():
    driver = Rfc6455Driver(Side.SERVER)
    driver.output_blocked = True
    driver.receive_data(masked(PING, b"1") + masked(PING, b"2"))
    assert driver.data_to_send() == []
    driver.output_blocked = False
    assert driver.data_to_send() == [b"\x8a\x012"]
    assert driver.data_to_send() == []


def test_blocked_pong_is_forgotten_when_a_close_frame_is_sent():
    driver = Rfc6455Driver(Side.SERVER)
    driver.output_blocked = True
    driver.receive_data(masked(PING, b"1"))
    driver.send_close()
    driver.output_blocked = False
    assert driver.data_to_send() == [b"\x88\x02\x03\xe8"]


def test_automatic_pong_can_be_turned_off():
    driver = Rfc6455Driver(Side.SERVER, auto_pong=False)
    driver.receive_data(masked(PING, b"beam"))
    assert driver.data_to_send() == []


def test_pong_completes_its_ping_and_older_ones():
    driver = Rfc6455Driver(Side.SERVER)
    sent = [driver.send_ping(), driver.send_ping(b"two"), driver.send_ping(b"three")]
    assert len(sent[0]) == 4
    frames = [b"two", b"two", b"unknown", b"three"]
    driver.receive_data(b"".join(masked(PONG, data) for data in frames))
    assert driver.events_received() == [
        Pong(b"two", (sent[0], b"two")),
        Pong(b"two"),
        Pong(b"unknown"),
        Pong(b"three", (b"three",)),
    ]


@pytest.mark.parametrize("send", ["send_ping", "send_pong"])
def test_control_payload_over_125_bytes_is_refused(send):
    driver = Rfc6455Driver(Side.SERVER)
    with pytest.raises(ValueError, match="125"):
        getattr(driver, send)(bytes(126))
    assert driver.data_to_send() == []


# Closing


def test_close_is_answered_with_its_code_and_no_reason():
    driver = Rfc6455Driver(Side.SERVER)
    driver.receive_data(masked(CLOSE, close_payload(4000, b"bye")))
    assert driver.data_to_send() == [b"\x88\x02\x0f\xa0"]
    assert driver.events_received() == [Closed(4000, "bye", True, "remote")]
    assert driver.close_expected()
    assert (driver.close_code, driver.close_reason) == (4000, "bye")


def test_answer_to_our_close_ends_the_connection():
    driver = Rfc6455Driver(Side.SERVER)
    assert driver.send_close(1001, "server stops")
    assert driver.state is State.LOCAL_CLOSING
    assert not driver.close_expected()
    assert not driver.send_close()
    assert driver.data_to_send() == [b"\x88\x0e\x03\xe9server stops"]
    driver.receive_data(masked(TEXT, "late") + masked(PING, b"") + masked(CLOSE, b""))
    assert driver.events_received() == [
        "late",
        Ping(b""),
        Closed(1005, "", True, "local"),
    ]
    assert driver.data_to_send() == []
    assert driver.state is State.CLOSED


def test_nothing_is_sent_after_a_close_frame():
    driver = Rfc6455Driver(Side.SERVER)
    driver.send_close()
    driver.data_to_send()
    assert not driver.send_text("a")
    assert not driver.send_binary(b"a")
    assert not driver.send_fragment("a", fin=True)
    assert not driver.send_pong()
    assert driver.send_ping() is None
    assert driver.data_to_send() == []


@pytest.mark.parametrize("code", [0, 999, 1002, 1004, 1005, 1006, 1010, 1015, 5000])
def test_code_that_an_application_may_not_send_is_refused(code):
    driver = Rfc6455Driver(Side.SERVER)
    with pytest.raises(ValueError, match=str(code)):
        driver.send_close(code)
    assert driver.state is State.OPEN


def test_end_of_tcp_without_close_frame_is_1006():
    driver = Rfc6455Driver(Side.SERVER)
    driver.receive_eof()
    driver.receive_eof()
    driver.receive_data(masked(TEXT, "late"))
    assert driver.events_received() == [Closed(1006, "", False, "remote")]
    assert driver.data_to_send() == []


def test_end_of_tcp_instead_of_an_answer_is_1006_and_ours():
    driver = Rfc6455Driver(Side.CLIENT)
    driver.send_close()
    driver.receive_eof()
    assert driver.events_received() == [Closed(1006, "", False, "local")]


def test_failing_writes_one_close_frame_and_ends_once():
    driver = Rfc6455Driver(Side.SERVER)
    driver.fail(1011, "ä" * 100)
    driver.fail(1002, "again")
    driver.receive_data(masked(CLOSE, b""))
    (frame,) = driver.data_to_send()
    assert frame == b"\x88\x7c\x03\xf3" + "ä".encode() * 61
    assert driver.events_received() == [
        Failed("ä" * 100, 1011),
        Closed(1006, "", False, "local"),
    ]


def test_fault_while_closing_ends_the_wait_without_a_second_close_frame():
    driver = Rfc6455Driver(Side.SERVER)
    driver.send_close()
    driver.data_to_send()
    driver.receive_data(b"\xff")
    assert driver.data_to_send() == []
    assert [type(event) for event in driver.events_received()] == [Failed, Closed]


# Extensions


class Reverse:
    """Turns messages round, and marks them by its bit."""

    def __init__(self, rsv, tail=b""):
        self.rsv = rsv
        self.tail = tail
        self.closed = 0

    def encode(self, payload):
        if len(payload) < 2:
            return payload, 0
        return payload[::-1] + self.tail, self.rsv

    def decode(self, payload, max_size):
        if len(payload) > max_size:
            raise PayloadTooBig("too long")
        if not payload.endswith(self.tail):
            raise ProtocolError("no tail")
        return payload[: len(payload) - len(self.tail)][::-1]

    def close(self):
        self.closed += 1


def test_only_a_server_without_extensions_is_plain():
    assert Rfc6455Driver(Side.SERVER).is_plain
    assert not Rfc6455Driver(Side.CLIENT).is_plain
    assert not Rfc6455Driver(Side.SERVER, extensions=[Reverse(4)]).is_plain


def test_extensions_are_undone_in_reverse_order():
    extensions = [Reverse(4, b"1"), Reverse(2, b"2")]
    client = Rfc6455Driver(Side.CLIENT, extensions=extensions)
    server = Rfc6455Driver(Side.SERVER, extensions=extensions)
    client.send_text("héllo")
    client.send_binary(b"x")
    client.send_binary(b"xyz")
    frames = client.data_to_send()
    assert [frame[0] for frame in frames] == [0xE1, 0x82, 0xE2]
    server.receive_data(b"".join(frames))
    assert server.events_received() == ["héllo", b"x", b"xyz"]
    messages = []
    server.deliver = messages.append
    server.receive_data(masked(TEXT, b"ba1", rsv=4) + masked(BINARY, b"dc2", rsv=2))
    server.deliver = None
    server.receive_data(b"".join(frames))
    assert messages == ["ab", b"cd"]
    server.send_close()
    server.receive_eof()
    assert [extension.closed for extension in extensions] == [1, 1]


def test_decoded_text_can_stay_bytes():
    driver = Rfc6455Driver(Side.SERVER, extensions=[Reverse(4)], text_as_bytes=True)
    driver.receive_data(masked(TEXT, b"ba", rsv=4))
    assert driver.events_received() == [b"ab"]


@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [(TEXT, b"\xff\xfe", 1007), (BINARY, b"no", 1002), (BINARY, b"12345!", 1009)],
)
def test_fault_behind_an_extension_fails_the_connection(opcode, payload, code):
    tail = b"" if opcode == TEXT else b"!"
    extension = Reverse(4, tail)
    driver = Rfc6455Driver(Side.SERVER, extensions=[extension], max_size=9)
    extension.decode = lambda data, limit: Reverse.decode(extension, data, 5)
    driver.receive_data(masked(opcode, payload, rsv=4) + masked(TEXT, "late"))
    events = driver.events_received()
    assert [type(event) for event in events] == [Failed, Closed]
    assert events[0].close_code == code


# Properties

FRAMES = st.one_of(
    st.builds(masked, st.just(TEXT), st.text(max_size=20)),
    st.builds(masked, st.just(BINARY), st.binary(max_size=200)),
    st.builds(masked, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.builds(
        lambda pieces: (
            masked(TEXT, b"", fin=False)
            + b"".join(masked(CONTINUATION, piece, fin=False) for piece in pieces)
            + masked(CONTINUATION, b"")
        ),
        st.lists(st.text(max_size=5), max_size=4),
    ),
    st.binary(min_size=1, max_size=6),
)


@given(st.lists(FRAMES, max_size=8), st.data())
def test_any_chopping_gives_the_same_events_and_replies(frames, data):
    stream = b"".join(frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    edges = [0, *sorted(cuts), len(stream)]
    whole, chopped = Rfc6455Driver(Side.SERVER), Rfc6455Driver(Side.SERVER)
    whole.receive_data(stream)
    for start, end in itertools.pairwise(edges):
        chopped.receive_data(stream[start:end])
    assert chopped.events_received() == whole.events_received()
    assert chopped.data_to_send() == whole.data_to_send()
    assert chopped.state is whole.state


@given(st.lists(FRAMES, max_size=8), st.binary(max_size=20))
def test_after_the_end_nothing_is_read_or_written(frames, rubbish):
    driver = Rfc6455Driver(Side.SERVER)
    driver.receive_data(b"".join(frames) + rubbish)
    driver.receive_eof()
    closes = [frame for frame in driver.data_to_send() if frame[0] & 15 == CLOSE]
    ends = [event for event in driver.events_received() if isinstance(event, Closed)]
    assert len(closes) <= 1
    assert len(ends) == 1
    driver.receive_data(rubbish)
    assert driver.events_received() == []
    assert driver.data_to_send() == []


def test_a_held_failure_lets_messages_be_answered_and_nothing_more_be_read():
    driver = Rfc6455Driver(Side.SERVER)
    driver.holds_failures = True
    broken = build_frame(1, b"not masked")
    driver.receive_data(build_frame(1, "first", mask=b"mask") + broken)
    driver.receive_data(build_frame(1, "later", mask=b"mask"))
    assert driver.events_received() == ["first"]
    assert driver.send_text("answer")
    driver.let_fail()
    answer, goodbye = driver.data_to_send()
    assert answer == build_frame(1, "answer")
    assert goodbye[2:4] == (1002).to_bytes(2, "big")
    assert driver.state is State.CLOSED


@pytest.mark.parametrize("side", Side)
def test_a_driver_knows_its_side(side):
    assert Rfc6455Driver(side).is_client is (side is Side.CLIENT)


def test_who_writes_messages_is_told_that_a_pong_is_due():
    driver = Rfc6455Driver(Side.SERVER)
    order = []
    driver.deliver = order.append
    driver.on_answer = lambda: order.extend(driver.data_to_send())
    driver.receive_data(masked(TEXT, "a") + masked(PING, b"x") + masked(TEXT, "b"))
    assert order == ["a", build_frame(PONG, b"x"), "b"]
    driver.output_blocked = True
    driver.receive_data(masked(PING, b"y"))
    assert len(order) == 3


def test_another_driver_could_go_on_between_two_messages():
    driver = Rfc6455Driver(Side.SERVER)
    driver.deliver = id
    for fin in (True, False):
        driver.receive_data(masked(TEXT, "a", fin=fin))
        assert driver.is_at_rest is fin
    assert (ping_frame()[:2], len(ping_frame())) == (b"\x89\x04", 6)


def test_a_message_can_be_read_while_it_arrives():
    driver = Rfc6455Driver(Side.SERVER, extensions=[Reverse(4)])
    stream = driver.stream_message()
    assert driver.cancel_stream()
    driver.receive_data(masked(TEXT, "as ever"))
    assert driver.events_received() == ["as ever"]
    stream = driver.stream_message()
    driver.receive_data(masked(TEXT, "a", fin=False))
    assert not driver.cancel_stream()
    driver.receive_data(masked(CONTINUATION, "b") + masked(TEXT, "dc", rsv=4))
    assert list(stream) == ["a", "b"]
    assert driver.events_received() == ["cd"]


def test_what_is_found_broken_later_ends_the_connection():
    driver = Rfc6455Driver(Side.SERVER, extensions=[Reverse(4, b"!")])
    stream = driver.stream_message()
    driver.receive_data(masked(TEXT, "no tail", rsv=4))
    assert driver.events_received() == []
    assert list(stream) == []
    failed, closed = driver.events_received()
    assert (failed.message, type(closed)) == ("no tail", Closed)
    driver = Rfc6455Driver(Side.SERVER, extensions=[Reverse(4, b"!")])
    driver.stream_message()
    again = masked(TEXT, "no tail", rsv=4)
    driver.receive_data(again + again + masked(TEXT, "late"))
    assert [type(event) for event in driver.events_received()] == [Failed, Closed]
