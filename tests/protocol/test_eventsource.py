import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from beamfast.errors import PayloadTooBig
from beamfast.protocol.eventsource import (
    EventStreamDecoder,
    MessageEvent,
    comment,
    encode,
    encode_id,
    encode_retry,
)

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]


def vectors(group):
    return [
        pytest.param(one, id=one["name"]) for one in VECTORS if one["group"] == group
    ]


def decoded(stream):
    decoder = EventStreamDecoder()
    decoder.receive_data(stream)
    return decoder.events_received()


@pytest.mark.parametrize("vector", vectors("eventsource_encode"))
def test_encode_vector(vector):
    if vector["expect"].get("raises"):
        with pytest.raises(ValueError, match=r"line end|NUL"):
            encode(**vector["setup"])
        return
    wire = encode(**vector["setup"])
    assert wire == bytes.fromhex(vector["wire"])
    (event,) = decoded(wire)
    parsed = vector["expect"]["parsed"]
    assert event == MessageEvent(parsed["event"], parsed["data"], parsed["id"])


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("vector", vectors("eventsource_decode"))
def test_decode_vector(vector, step):
    wire = bytes.fromhex(vector["wire"])
    chunks = [bytes.fromhex(chunk) for chunk in vector.get("chunks", [])] or [wire]
    if step:
        chunks = [wire[at : at + step] for at in range(0, len(wire), step)]
    decoder = EventStreamDecoder()
    for chunk in chunks:
        decoder.receive_data(chunk)
    expect = vector["expect"]
    assert decoder.events_received() == [
        MessageEvent(event["event"], event["data"], event["id"])
        for event in expect["events"]
    ]
    retry = expect["retry"]
    assert decoder.retry == (None if retry is None else retry / 1000)
    assert decoder.last_event_id == expect["last_event_id"]


def test_event_may_carry_the_reconnection_time():
    wire = encode("x", event="e", id="1", retry=2.5)
    assert wire == b"retry: 2500\r\nevent: e\r\nid: 1\r\ndata: x\r\n\r\n"


def test_id_without_data_is_kept_and_reports_nothing():
    decoder = EventStreamDecoder(last_event_id="old")
    decoder.receive_data(encode_id("7-abc"))
    assert decoder.events_received() == []
    assert decoder.last_event_id == "7-abc"


def test_id_of_an_unfinished_event_does_not_count():
    decoder = EventStreamDecoder(last_event_id="old")
    decoder.receive_data(b"id: new\ndata: x\n")
    assert decoder.last_event_id == "old"


def test_reconnection_time_is_sent_in_milliseconds():
    assert encode_retry(5.0) == b"retry: 5000\r\n\r\n"


@pytest.mark.parametrize("value", ["", "1s", "-1", "1.5", "\u0661", "9" * 5000])
def test_reconnection_time_that_is_no_number_is_ignored(value):
    decoder = EventStreamDecoder()
    decoder.receive_data(f"retry: {value}\n\n".encode())
    assert decoder.retry is None


def test_comment_is_ignored_by_readers():
    assert comment() == b":\r\n\r\n"
    assert decoded(comment("data: x") + b"data: y\n\n") == [
        MessageEvent("message", "y", "")
    ]


@pytest.mark.parametrize("text", ["a\nb", "a\rb"])
@pytest.mark.parametrize("function", [comment, encode_id])
def test_line_end_where_it_would_forge_a_field_is_refused(function, text):
    with pytest.raises(ValueError, match="line end"):
        function(text)


def test_nul_in_an_id_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        encode_id("\0")


def test_lone_surrogate_is_refused():
    with pytest.raises(ValueError, match="surrogates"):
        encode("\ud800")


def test_other_separators_are_ordinary_text():
    text = "a\x0bb\x0cc\x85d\u2028e"
    assert encode(text).count(b"data:") == 1
    assert decoded(encode(text))[0].data == text


def test_bytes_that_are_not_utf8_are_replaced():
    assert decoded(b"data: \xff\n\n")[0].data == "\ufffd"


def test_empty_read_between_cr_and_lf_changes_nothing():
    decoder = EventStreamDecoder()
    for piece in (b"data: a\r", b"", b"\n\r", b"\n"):
        decoder.receive_data(piece)
    assert [event.data for event in decoder.events_received()] == ["a"]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 95, b"data: x\n" * 20])
def test_event_over_its_limit_is_refused(stream):
    decoder = EventStreamDecoder(max_size=100)
    with pytest.raises(PayloadTooBig):
        decoder.receive_data(stream)


def test_limit_is_per_event():
    decoder = EventStreamDecoder(max_size=100)
    for _ in range(5):
        decoder.receive_data(b"data: " + b"x" * 90 + b"\n\n")
    assert len(decoder.events_received()) == 5


TEXT = st.text(max_size=20)
NAME = TEXT.filter(lambda text: not set("\r\n\0") & set(text))


@given(st.lists(st.tuples(TEXT, NAME, NAME), max_size=4), st.data())
def test_what_was_encoded_is_read_back_in_any_chopping(events, data):
    stream = b"".join(encode(text, event=event, id=id_) for text, event, id_ in events)
    decoder = EventStreamDecoder()
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, 30))
        decoder.receive_data(stream[at : at + step])
        at += step
    assert decoder.events_received() == [
        MessageEvent(
            event or "message", text.replace("\r\n", "\n").replace("\r", "\n"), id_
        )
        for text, event, id_ in events
    ]


@given(st.binary(max_size=80))
def test_any_bytes_are_a_stream_and_chopping_does_not_matter(stream):
    decoder = EventStreamDecoder()
    for at in range(len(stream)):
        decoder.receive_data(stream[at : at + 1])
    assert decoder.events_received() == decoded(stream)
