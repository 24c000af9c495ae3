"""
All vectors of ``tests/data/vectors.json``, on whole connections.

The test file of each driver plays its own groups; here those that say something about
frames or extensions arrive behind a handshake, in the same packet.
"""

import json
import secrets
from collections import Counter
from pathlib import Path

import pytest

from beamfast.http import Headers
from beamfast.protocol.client import ClientDriver
from beamfast.protocol.deflate import PerMessageDeflate
from beamfast.protocol.events import Opened, Requested
from beamfast.protocol.handshake import accept_key
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side
from beamfast.protocol.server import ServerDriver

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]
FRAMES = ("frame_valid", "frame_invalid", "close", "close_invalid", "limits")
REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


def vectors(*groups, direction=None):
    return [
        pytest.param(one, id=one["name"])
        for one in VECTORS
        if one["group"] in groups and direction in (None, one["direction"])
    ]


def wire_of(vector):
    return bytes.fromhex(vector.get("wire", "")) or b"".join(
        bytes.fromhex(part) * count for part, count in vector["wire_parts"]
    )


def pieces(data, step):
    return (data[at : at + step] for at in range(0, len(data), step))


def test_every_vector_is_there_and_has_its_own_name():
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS) == 331


def test_every_group_is_played_by_a_driver_test():
    played = "".join(
        path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py")
    )
    groups = Counter(vector["group"] for vector in VECTORS)
    assert [group for group in groups if f'"{group}"' not in played] == []


def expected(vector, side):
    """Return what the bare driver makes of a vector."""
    driver = Rfc6455Driver(side, **limits_of(vector))
    begin_close(vector, driver)
    driver.receive_data(wire_of(vector))
    return driver.events_received(), b"".join(driver.data_to_send())


def limits_of(vector):
    setup = vector.get("setup", {})
    return {"max_size": setup["max_size"]} if "max_size" in setup else {}


def begin_close(vector, driver):
    if code := vector.get("setup", {}).get("local_close_sent"):
        driver.send_close(code)
        driver.data_to_send()


@pytest.mark.parametrize("step", [2**24, 97])
@pytest.mark.parametrize("vector", vectors(*FRAMES, direction="client_to_server"))
def test_vector_behind_a_request(vector, step):
    driver = ServerDriver(**limits_of(vector))
    closing = "local_close_sent" in vector.get("setup", {})
    wire = REQUEST + b"\r\n" + (b"" if closing else wire_of(vector))
    for piece in pieces(wire, step):
        driver.receive_data(piece)
        if driver.request is not None:
            driver.accept()
    head, *output = driver.data_to_send()
    assert head.startswith(b"HTTP/1.1 101 ")
    requested, opened, *events = driver.events_received()
    assert isinstance(requested, Requested)
    assert isinstance(opened, Opened)
    if closing:
        begin_close(vector, driver)
        driver.receive_data(wire_of(vector))
        events, output = driver.events_received(), driver.data_to_send()
    assert (events, b"".join(output)) == expected(vector, Side.SERVER)


@pytest.mark.parametrize("vector", vectors(*FRAMES, direction="server_to_client"))
def test_vector_behind_a_response(vector, monkeypatch):
    monkeypatch.setattr(secrets, "token_bytes", bytes)
    driver = ClientDriver("ws://example.org/", **limits_of(vector))
    driver.start()
    driver.data_to_send()
    accept = accept_key("AAAAAAAAAAAAAAAAAAAAAA==")
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    driver.receive_data(head.encode() + wire_of(vector))
    opened, *events = driver.events_received()
    assert isinstance(opened, Opened)
    output = b"".join(driver.data_to_send())
    assert (events, output) == expected(vector, Side.CLIENT)


def answer_to(offer, options):
    """Return the extension field of a handshake, None for none."""
    driver = ServerDriver(extensions=[PerMessageDeflate(**options)])
    field = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
    driver.receive_data(REQUEST + field.encode() + b"\r\n")
    assert driver.accept()
    head = b"".join(driver.data_to_send()).decode("latin-1").split("\r\n\r\n")[0]
    fields = Headers(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return fields.get("sec-websocket-extensions")


@pytest.mark.parametrize("vector", vectors("permessage_deflate_negotiation"))
def test_offer_in_a_request_gets_the_answer_of_its_row(vector):
    setup, answer = vector["setup"], vector["expect"]["answer"]
    given = answer_to(setup["offer"], setup["server_options"])
    parts = None if given is None else sorted(given.split("; "))
    assert parts == (None if answer is None else sorted(answer.split("; ")))


def test_vector_deflate_offer():
    (vector,) = (one for one in VECTORS if one["name"] == "deflate-offer")
    driver = ServerDriver(extensions=[PerMessageDeflate()])
    driver.receive_data(wire_of(vector))
    assert driver.accept()
    head = b"".join(driver.data_to_send()).decode("latin-1")
    status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    assert status.split()[1] == str(vector["expect"]["status"])
    fields = Headers(line.split(": ", 1) for line in lines)
    assert {name: fields[name] for name in vector["expect"]["headers"]} == (
        vector["expect"]["headers"]
    )
    assert driver.version == vector["expect"]["version"]
