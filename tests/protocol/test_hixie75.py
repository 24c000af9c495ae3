import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from beamfast.http import Headers, Request
from beamfast.protocol.driver import State
from beamfast.protocol.events import Closed, Failed
from beamfast.protocol.hixie75 import Hixie75Driver, response_fields

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(one, id=one["name"])
        for one in VECTORS
        if one["group"] == "hixie_frame" and one["setup"]["version"] == "hixie-75"
    ],
)
def test_vector(vector, step):
    driver = Hixie75Driver()
    wire = bytes.fromhex(vector["wire"])
    for at in range(0, len(wire), step or len(wire)):
        driver.receive_data(wire[at : at + (step or len(wire))])
    texts = [event["data"] for event in vector["expect"]["events"]]
    assert driver.events_received() == texts
    assert driver.data_to_send() == []
    assert driver.state is State.OPEN


def test_text_is_sent_between_its_marks():
    driver = Hixie75Driver()
    assert driver.send_text("ä")
    assert driver.send_text(bytearray(b"a"))
    assert driver.data_to_send() == [b"\x00\xc3\xa4\xff", b"\x00a\xff"]


def test_text_without_utf8_form_is_refused():
    driver = Hixie75Driver()
    for text in ("\ud800", b"\xff"):
        with pytest.raises(ValueError, match=r"utf-8|UTF-8"):
            driver.send_text(text)
    assert driver.data_to_send() == []


def test_there_are_no_other_frames():
    driver = Hixie75Driver()
    assert not driver.send_binary(b"a")
    assert not driver.send_pong()
    assert driver.send_ping() is None
    assert driver.data_to_send() == []
    assert driver.version == "hixie-75"


def test_bad_bytes_of_a_text_are_replaced():
    driver = Hixie75Driver()
    driver.receive_data(b"\x00a\xc3\xff")
    assert driver.events_received() == ["a\ufffd"]


def test_messages_go_to_the_callback():
    driver = Hixie75Driver()
    messages = []
    driver.deliver = messages.append
    driver.receive_data(b"\x00a\xff")
    assert (messages, driver.events_received()) == (["a"], [])


@pytest.mark.parametrize(
    "wire", [b"\x00" + b"x" * 101, b"\x00" + b"x" * 101 + b"\xff", b"\x80\x65"]
)
def test_text_or_skipped_frame_over_the_limit_fails(wire):
    driver = Hixie75Driver(max_size=100)
    driver.receive_data(wire + b"\x00late\xff")
    events = driver.events_received()
    assert [type(event) for event in events] == [Failed, Closed]
    assert driver.data_to_send() == []


def test_empty_frame_is_skipped():
    driver = Hixie75Driver()
    driver.receive_data(b"\x80\x00\x00a\xff")
    assert driver.events_received() == ["a"]


def test_length_that_never_ends_fails():
    driver = Hixie75Driver()
    driver.receive_data(b"\x80" + b"\xff" * 10)
    assert driver.state is State.CLOSED


def test_close_just_ends():
    driver = Hixie75Driver(subprotocol="chat")
    assert driver.send_close()
    assert not driver.send_close()
    assert not driver.send_text("late")
    driver.receive_data(b"\x00late\xff")
    assert driver.data_to_send() == []
    assert driver.events_received() == [Closed(1005, "", False, "local")]
    assert driver.close_expected()


@pytest.mark.parametrize(
    ("is_secure", "location"), [(False, "ws://a/x?y"), (True, "wss://a/x?y")]
)
def test_response_repeats_origin_and_location(is_secure, location):
    request = Request("GET", "/x?y", url="/x", path="/x", headers=Headers())
    request.headers.add("Host", "a")
    request.is_secure = is_secure
    fields = response_fields(request, "chat", Headers([("X", "y")]))
    assert list(fields) == [
        ("X", "y"),
        ("Upgrade", "WebSocket"),
        ("Connection", "Upgrade"),
        ("WebSocket-Origin", "null"),
        ("WebSocket-Location", location),
        ("WebSocket-Protocol", "chat"),
    ]
    assert len(response_fields(request, None, Headers())) == 4


@given(st.binary(max_size=40))
def test_any_chopping_gives_the_same_events(wire):
    whole, chopped = Hixie75Driver(max_size=8), Hixie75Driver(max_size=8)
    whole.receive_data(wire)
    for at in range(len(wire)):
        chopped.receive_data(wire[at : at + 1])
    assert chopped.events_received() == whole.events_received()
    assert chopped.state is whole.state
