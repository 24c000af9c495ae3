import base64
import itertools
import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from beamfast.http import Headers
from beamfast.protocol.client import ClientDriver
from beamfast.protocol.deflate import PerMessageDeflate
from beamfast.protocol.driver import State
from beamfast.protocol.events import Closed, Failed, Opened, Ping, Requested
from beamfast.protocol.handshake import accept_key
from beamfast.protocol.server import ServerDriver

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]

FAULTS = {
    "status": "Unexpected response code",
    "invalid_http": "Invalid HTTP response",
    "upgrade": "'Upgrade'",
    "connection": "'Connection'",
    "accept": "Sec-WebSocket-Accept",
    "subprotocol": "Sec-WebSocket-Protocol",
    "extension": "extension|permessage-deflate",
}


def started(url="ws://example.org/", **options):
    driver = ClientDriver(url, **options)
    assert driver.start()
    (request,) = driver.data_to_send()
    line, *fields = request.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    return driver, line, Headers(field.split(": ", 1) for field in fields)


def response(driver_fields, *lines):
    accept = accept_key(driver_fields["sec-websocket-key"])
    return "\r\n".join(
        [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            *lines,
            "\r\n",
        ]
    ).encode()


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(one, id=one["name"])
        for one in VECTORS
        if one["group"] == "handshake_client"
    ],
)
def test_vector(vector, step, monkeypatch):
    setup, expect = vector["setup"], vector["expect"]
    key = base64.b64decode(setup["key"])
    monkeypatch.setattr(secrets, "token_bytes", lambda size: key[:size])
    extensions = [PerMessageDeflate()] if setup.get("extensions") else []
    driver = ClientDriver(
        setup["url"], subprotocols=setup.get("protocols", ()), extensions=extensions
    )
    driver.start()
    (request,) = driver.data_to_send()
    wire = bytes.fromhex(vector["wire"])
    if expect.get("client_sends"):
        assert sorted(request.split(b"\r\n")) == sorted(wire.split(b"\r\n"))
        assert request.startswith(wire[: wire.index(b"\r\n")])
        return
    for at in range(0, len(wire), step or len(wire)):
        driver.receive_data(wire[at : at + (step or len(wire))])
    events = driver.events_received()
    assert driver.data_to_send() == []
    if expect["open"]:
        assert events[0] == Opened("hybi-13", expect.get("subprotocol"))
        texts = [event["data"] for event in expect.get("then_events", ())]
        assert events[1:] == texts
        assert driver.state is State.OPEN
    else:
        failed, closed = events
        fault = FAULTS[expect["reason_kind"]]
        assert any(word in failed.message for word in fault.split("|"))
        assert closed == Closed(expect["app_close_code"], "", False, "remote")
    if "status" in expect:
        assert driver.response.status == expect["status"]


# The request


def test_request_is_written_once_with_all_that_was_asked_for():
    driver, line, fields = started(
        "wss://user:pass@example.org:8443/a?b",
        subprotocols=["x", "y"],
        origin="https://page.example",
        headers=[("X", "1"), ("X", "2")],
        extensions=[PerMessageDeflate()],
    )
    assert not driver.start()
    assert line == "GET /a?b HTTP/1.1"
    assert fields["host"] == "example.org:8443"
    assert fields["sec-websocket-version"] == "13"
    assert fields["sec-websocket-protocol"] == "x, y"
    assert fields["origin"] == "https://page.example"
    assert fields["authorization"] == "Basic dXNlcjpwYXNz"
    assert fields.get_all("x") == ["1", "2"]
    assert (
        fields["sec-websocket-extensions"]
        == "permessage-deflate; client_max_window_bits"
    )
    assert len(base64.b64decode(fields["sec-websocket-key"])) == 16


def test_each_request_has_its_own_key():
    keys = {started()[2]["sec-websocket-key"] for _ in range(20)}
    assert len(keys) == 20


def test_own_credentials_win_over_those_of_the_url():
    _, _, fields = started("ws://user:pass@a/", headers=[("Authorization", "Bearer x")])
    assert fields.get_all("authorization") == ["Bearer x"]
    assert "origin" not in fields


@pytest.mark.parametrize(
    "options",
    [
        {"headers": [("Upgrade", "x")]},
        {"headers": [("Host", "x")]},
        {"headers": [("Sec-WebSocket-Key", "x")]},
        {"headers": [("X", "a\r\nb")]},
        {"origin": "x\r\ny"},
        {"subprotocols": ["a b"]},
        {"subprotocols": ["a\r\nX: y"]},
        {"subprotocols": [""]},
        {"subprotocols": ["a", "a"]},
        {"extensions": [PerMessageDeflate(), PerMessageDeflate()]},
    ],
)
def test_what_breaks_the_request_is_refused(options):
    with pytest.raises(ValueError, match=r"handshake|header|twice"):
        ClientDriver("ws://a/", **options)


def test_invalid_url_and_unknown_option_are_refused():
    with pytest.raises(ValueError, match="scheme"):
        ClientDriver("ftp://a/")
    with pytest.raises(TypeError, match="max_length"):
        ClientDriver("ws://a/", max_length=1)


# The response


def test_sends_before_open_follow_the_response():
    driver, _, fields = started()
    assert driver.send_text("early")
    assert driver.data_to_send() == []
    driver.receive_data(response(fields))
    (frame,) = driver.data_to_send()
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert driver.events_received() == [Opened("hybi-13", None)]
    driver.receive_data(b"\x89\x00")
    assert driver.events_received() == [Ping(b"")]


def test_compression_is_used_when_the_server_agrees():
    driver, _, fields = started(extensions=[PerMessageDeflate()])
    line = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9"
    driver.receive_data(response(fields, line))
    assert driver.events_received() == [
        Opened("hybi-13", None, ("permessage-deflate",))
    ]
    driver.send_text("beam" * 100)
    assert driver.data_to_send()[0][0] == 0xC1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Sec-WebSocket-Protocol: a, b"], "mismatch"),
        (["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"], "mismatch"),
        (["Sec-WebSocket-Extensions: a;"], "Sec-WebSocket-Extensions"),
        (["Upgrade: h2c"], "'Upgrade'"),
        (["Sec-WebSocket-Accept: x"], "Accept"),
    ],
)
def test_repeated_or_broken_field_of_the_response_is_refused(lines, message):
    driver, _, fields = started(subprotocols=["a", "b"])
    driver.receive_data(response(fields, *lines))
    failed, closed = driver.events_received()
    assert message in failed.message
    assert isinstance(closed, Closed)
    assert driver.data_to_send() == []


def test_missing_subprotocol_is_fine_unless_it_is_required():
    for required in (False, True):
        driver, _, fields = started(subprotocols=["a"], require_subprotocol=required)
        driver.receive_data(response(fields))
        assert driver.close_expected() is required


def test_response_of_http_1_0_cannot_switch():
    driver, _, fields = started()
    driver.receive_data(response(fields).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert "version" in driver.events_received()[0].message


def test_refusal_can_be_read_within_a_limit():
    driver, _, _ = started()
    driver.receive_data(b"HTTP/1.1 401 Who\r\nX: y\r\n\r\nab")
    assert isinstance(driver.events_received()[0], Failed)
    driver.receive_data(b"c" * 100_000)
    assert driver.response.status == 401
    assert driver.response.headers["x"] == "y"
    assert driver.response.body == b"ab" + b"c" * (65536 - 2)
    assert driver.redirect is None


def test_redirect_is_reported():
    driver, _, _ = started()
    assert driver.redirect is None
    driver.receive_data(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n")
    assert driver.redirect == "/there"
    assert driver.close_expected()


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 101"])
def test_end_of_tcp_before_the_response_is_a_failure(start):
    driver, _, _ = started()
    driver.receive_data(start)
    driver.receive_eof()
    driver.receive_eof()
    failed, closed = driver.events_received()
    assert "ended" in failed.message
    assert closed == Closed(1006, "", False, "remote")


def test_end_of_tcp_after_open_is_1006():
    driver, _, fields = started()
    driver.receive_data(response(fields))
    driver.receive_eof()
    assert driver.events_received()[1:] == [Closed(1006, "", False, "remote")]


def test_closing_before_the_response_writes_nothing():
    driver, _, fields = started()
    assert driver.send_close()
    driver.receive_data(response(fields))
    assert driver.data_to_send() == []
    assert driver.events_received() == [Closed(1006, "", False, "local")]
    assert not ClientDriver("ws://a/").close_expected()


def test_closing_before_the_request_writes_none():
    driver = ClientDriver("ws://a/")
    driver.send_close()
    assert not driver.start()
    assert driver.data_to_send() == []


# Both ends together


@pytest.mark.parametrize("extensions", [(), (PerMessageDeflate(),)])
@given(
    messages=st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=6),
    step=st.integers(1, 400),
)
def test_own_server_and_client_understand_each_other(extensions, messages, step):
    server = ServerDriver(subprotocols=["chat"], extensions=extensions)
    client = ClientDriver("ws://a/", subprotocols=["chat"], extensions=extensions)
    client.start()
    for message in messages:
        if isinstance(message, str):
            client.send_text(message)
        else:
            client.send_binary(message)
    seen = {server: [], client: []}
    for _ in range(4):
        for sender, receiver in itertools.permutations((client, server)):
            data = b"".join(sender.data_to_send())
            for at in range(0, len(data), step):
                receiver.receive_data(data[at : at + step])
            for event in receiver.events_received():
                seen[receiver].append(event)
                if isinstance(event, Requested):
                    server.accept()
    client.send_close(4000, "bye")
    server.receive_data(b"".join(client.data_to_send()))
    client.receive_data(b"".join(server.data_to_send()))
    assert seen[server][2:] == messages
    assert server.events_received() == [Closed(4000, "bye", True, "remote")]
    assert client.events_received()[-1] == Closed(4000, "", True, "local")


@given(st.binary(max_size=60), st.booleans())
def test_no_input_raises(rubbish, begins_well):
    driver, _, fields = started()
    driver.receive_data((response(fields) if begins_well else b"") + rubbish)
    driver.receive_eof()
    assert driver.state is State.CLOSED
    assert isinstance(driver.events_received()[-1], Closed)
