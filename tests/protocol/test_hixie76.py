import json
from pathlib import Path

import pytest

from beamfast.errors import HandshakeError
from beamfast.http import Headers
from beamfast.protocol.driver import State
from beamfast.protocol.events import Closed, Failed
from beamfast.protocol.hixie76 import (
    Hixie76Driver,
    challenge_digest,
    key_numbers,
)

DATA = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(one, id=one["name"])
        for one in DATA["vectors"]
        if one["group"] == "hixie_frame" and one["setup"]["version"] == "hixie-76"
    ],
)
def test_vector(vector, step):
    driver = Hixie76Driver(max_size=vector["setup"].get("max_size", 2**20))
    wire = bytes.fromhex(vector["wire"])
    for at in range(0, len(wire), step or len(wire)):
        driver.receive_data(wire[at : at + (step or len(wire))])
    expect = vector["expect"]
    events = driver.events_received()
    if expect.get("fail"):
        assert [type(event) for event in events] == [Failed, Closed]
        assert driver.data_to_send() == []
    else:
        closed = Closed(1005, "", True, "remote")
        assert events == [event.get("data", closed) for event in expect["events"]]
        assert b"".join(driver.data_to_send()) == bytes.fromhex(expect["reply"])
    assert driver.state.name.lower() == expect["state"]


@pytest.mark.parametrize(
    "sample", DATA["hixie76_arithmetic"], ids=lambda sample: sample["name"]
)
def test_challenge_is_answered_as_the_samples_say(sample):
    headers = Headers(
        [
            ("Sec-WebSocket-Key1", sample["key1"]),
            ("Sec-WebSocket-Key2", sample["key2"]),
        ]
    )
    body = bytes.fromhex(sample["key3"])
    numbers = key_numbers(headers)
    assert (numbers + body).hex() == sample["challenge"]
    assert challenge_digest(numbers, body).hex() == sample["md5"]


@pytest.mark.parametrize(
    "key", ["", "123", "a b c", "1 3 5", "1" * 11 + " ", "4294967296 ", "\u0661 "]
)
def test_key_that_no_client_wrote_is_400(key):
    good = ("Sec-WebSocket-Key1", "2 ")
    assert key_numbers(Headers([good, ("Sec-WebSocket-Key2", "4 ")])) == (
        b"\0\0\0\2\0\0\0\4"
    )
    first, second = (b"Sec-WebSocket-Key1", b"2 "), b"Sec-WebSocket-Key2"
    headers = Headers.from_raw([first, (second, key.encode())])
    with pytest.raises(HandshakeError) as caught:
        key_numbers(headers)
    assert caught.value.status == 400


def test_missing_key_is_400():
    with pytest.raises(HandshakeError):
        key_numbers(Headers([("Sec-WebSocket-Key1", "2 ")]))


def test_our_closing_handshake_waits_for_the_other_one():
    driver = Hixie76Driver(subprotocol="chat")
    assert driver.version == "hixie-76"
    assert driver.send_close()
    assert not driver.send_close()
    assert driver.state is State.LOCAL_CLOSING
    driver.receive_data(b"\x00late\xff\xff\x00")
    assert driver.data_to_send() == [b"\xff\x00"]
    assert driver.events_received() == ["late", Closed(1005, "", True, "local")]


def test_nothing_is_read_after_the_closing_handshake():
    driver = Hixie76Driver()
    driver.receive_data(b"\xff\x00\x00late\xff")
    assert driver.events_received() == [Closed(1005, "", True, "remote")]
