import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from beamfast._frames import build_frame
from beamfast.http import Headers, Request
from beamfast.protocol.driver import State
from beamfast.protocol.events import Closed, Failed, Opened, Requested
from beamfast.protocol.server import ServerDriver

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]
HANDSHAKES = [
    pytest.param(one, id=one["name"])
    for one in VECTORS
    if one["group"] == "handshake_server" and one["name"] != "deflate-offer"
]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    "GET /chat HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\n"
    f"Upgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
)
HIXIE_75 = (
    "GET /chat HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\n"
    "Upgrade: WebSocket\r\nOrigin: http://example.org\r\n"
)
HIXIE_76 = HIXIE_75 + "Sec-WebSocket-Key1: 2 !\r\nSec-WebSocket-Key2: 4 !\r\n"


def head(*lines, start=REQUEST):
    return (start + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


def frame(text):
    return build_frame(1, text, mask=b"beam")


def split(reply):
    """Return status line, fields and content of a response."""
    top, _, content = reply.partition(b"\r\n\r\n")
    line, *fields = top.decode("latin-1").split("\r\n")
    return line, Headers(field.split(": ", 1) for field in fields), content


def requested(data=None, *lines, **options):
    """Return a driver that has read a request."""
    driver = ServerDriver(**options)
    driver.receive_data(head(*lines) if data is None else data)
    (event,) = driver.events_received()
    assert event == Requested(driver.request)
    return driver


def reply_to(driver):
    return split(b"".join(driver.data_to_send()))


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("vector", HANDSHAKES)
def test_vector(vector, step):
    setup, expect = vector.get("setup", {}), vector["expect"]
    driver = ServerDriver(
        subprotocols=setup.get("protocols", ()),
        legacy_drafts=setup.get("legacy_drafts", False),
        allowed_origins=["*"],
    )
    wire = bytes.fromhex(vector["wire"])
    chunks = [bytes.fromhex(one) for one in vector.get("chunks", [])] or [wire]
    if step and "chunks" not in vector:
        chunks = [wire[at : at + step] for at in range(0, len(wire), step)]
    events, replies = [], []
    for chunk in chunks:
        driver.receive_data(chunk)
        for event in driver.events_received():
            events.append(event)
            if isinstance(event, Requested):
                driver.accept()
        events += driver.events_received()
        replies.append(b"".join(driver.data_to_send()))
    if "replies_after_chunk" in expect:
        assert [reply.hex() for reply in replies] == expect["replies_after_chunk"]
    if "reply_exact" in expect:
        assert b"".join(replies).hex() == expect["reply_exact"]
    line, fields, content = split(b"".join(replies))
    status = int(line.split()[1])
    if expect.get("fail") or expect.get("not_websocket"):
        assert status in (
            expect.get("status"),
            *expect.get("also_acceptable_status", ()),
            *expect.get("standalone_status", ()),
        )
        assert [type(event) for event in events[-2:]] == [Failed, Closed]
        assert fields["content-type"].startswith("text/plain")
        assert fields["content-length"] == str(len(content))
        assert "close" in fields.tokens("connection")
    else:
        assert status == expect.get("status", 101)
        assert driver.state is State.OPEN
    for name, value in expect.get("headers", {}).items():
        assert value in (fields[name], *fields.tokens(name))
    for name in expect.get("absent_headers", ()):
        assert name not in fields
    if "version" in expect:
        assert driver.version == expect["version"]
    if "subprotocol" in expect:
        assert driver.subprotocol == expect["subprotocol"]
    if "then_events" in expect:
        texts = [event for event in events if isinstance(event, str)]
        assert texts == [event["data"] for event in expect["then_events"]]


# Accepting


def test_accepting_writes_the_response_and_opens():
    driver = requested(None, "Sec-WebSocket-Protocol: a, chat", subprotocols=["chat"])
    assert driver.state is State.CONNECTING
    assert driver.accept()
    line, fields, content = reply_to(driver)
    assert line == "HTTP/1.1 101 Switching Protocols"
    assert list(fields) == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Sec-WebSocket-Protocol", "chat"),
    ]
    assert content == b""
    assert driver.events_received() == [Opened("hybi-13", "chat")]


def test_second_answer_writes_nothing():
    driver = requested()
    assert driver.accept()
    driver.data_to_send()
    assert not driver.accept()
    assert not driver.reject()
    assert driver.data_to_send() == []


def test_nothing_can_be_answered_before_the_request():
    driver = ServerDriver()
    assert not driver.accept()
    assert driver.data_to_send() == []


def test_request_may_be_parsed_elsewhere():
    fields = [line.split(": ") for line in REQUEST.splitlines()[1:]]
    request = Request("GET", "/", url="/", path="/", headers=Headers(fields))
    rest = frame("one")
    driver = ServerDriver.from_request(request, rest[:3], max_size=100)
    driver.receive_data(rest[3:])
    assert driver.accept()
    assert driver.events_received() == [Opened("hybi-13", None), "one"]


def test_frames_after_open_reach_the_driver_of_the_version():
    driver = requested()
    driver.accept()
    driver.receive_data(frame("one"))
    assert driver.events_received()[1:] == ["one"]


def test_options_reach_the_driver_of_the_version():
    driver = requested(max_size=3)
    driver.accept()
    driver.receive_data(frame("long"))
    assert driver.close_expected()


def test_further_fields_come_first():
    driver = requested(headers=[("X", "1")])
    driver.accept(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    _, fields, _ = reply_to(driver)
    names = [name for name, _ in fields]
    assert names[:4] == ["X", "Set-Cookie", "Set-Cookie", "Upgrade"]


@pytest.mark.parametrize("header", [("Upgrade", "x"), ("X", "a\r\nb")])
def test_field_that_breaks_the_handshake_is_the_callers_fault(header):
    with pytest.raises(ValueError, match=r"handshake|header"):
        ServerDriver(headers=[header])
    driver = requested()
    with pytest.raises(ValueError, match=r"handshake|header"):
        driver.accept(headers=[header])
    assert driver.accept()


def test_server_preference_and_function_choose_too():
    line = "Sec-WebSocket-Protocol: a, b"
    driver = requested(
        None, line, subprotocols=["b", "a"], subprotocol_preference="server"
    )
    driver.accept()
    assert driver.subprotocol == "b"
    driver = requested(None, line, subprotocols=lambda offered: offered[-1])
    driver.accept()
    assert driver.subprotocol == "b"


class Upper:
    """An extension that writes in capitals."""

    name = "upper"
    rsv = 2

    def accept(self, offers):
        return offers[0], self

    def encode(self, payload):
        return payload.upper(), self.rsv

    def decode(self, payload, max_size):
        return payload.lower()

    def close(self):
        pass


def test_extensions_are_negotiated_and_used():
    driver = requested(
        None, "Sec-WebSocket-Extensions: x, upper; a=1", extensions=[Upper()]
    )
    driver.accept()
    _, fields, _ = reply_to(driver)
    assert fields["sec-websocket-extensions"] == "upper; a=1"
    assert driver.events_received() == [Opened("hybi-13", None, ("upper",))]
    driver.receive_data(build_frame(1, "LOUD", rsv=2, mask=b"beam"))
    assert driver.events_received() == ["loud"]
    driver.send_text("x")
    assert driver.data_to_send() == [b"\xa1\x01X"]
    driver.send_close()
    driver.receive_eof()


def test_registering_an_extension_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        ServerDriver(extensions=[Upper(), Upper()])


# Refusing


@pytest.mark.parametrize(
    ("lines", "options", "status"),
    [
        (["Origin: http://evil.example"], {}, 403),
        ([], {"require_origin": True}, 403),
        (["Sec-WebSocket-Protocol: x"], {"require_subprotocol": True}, 400),
        (["Sec-WebSocket-Extensions: x;"], {}, 400),
    ],
)
def test_refused_request_is_answered_and_the_connection_ends(lines, options, status):
    driver = requested(None, *lines, **options)
    assert not driver.accept()
    line, fields, content = reply_to(driver)
    assert line.split()[1] == str(status)
    assert fields["connection"] == "close"
    assert driver.events_received() == [
        Failed(content.decode(), 1006),
        Closed(1006, "", False, "local"),
    ]
    assert driver.close_expected()
    driver.receive_data(b"late")
    assert driver.data_to_send() == []


def test_listed_origin_is_accepted():
    origin = "Origin: http://friend.example"
    driver = requested(None, origin, allowed_origins=["http://friend.example"])
    assert driver.accept()


def test_host_may_reject_with_its_own_answer():
    driver = requested()
    assert driver.reject(401, [("WWW-Authenticate", "Basic")], "Who are you?")
    assert not driver.accept()
    line, fields, content = reply_to(driver)
    assert line == "HTTP/1.1 401 Unauthorized"
    assert fields["www-authenticate"] == "Basic"
    assert (fields["content-length"], content) == ("12", b"Who are you?")
    assert driver.events_received() == [Closed(1006, "", False, "local")]


def test_content_type_of_the_host_stays():
    driver = requested()
    driver.reject(403, [("Content-Type", "text/html")], "<p>No")
    assert reply_to(driver)[1]["content-type"] == "text/html"


def test_exception_of_a_choosing_function_answers_500_and_passes():
    def choose(offered):
        raise LookupError("secret")

    driver = requested(subprotocols=choose)
    with pytest.raises(LookupError):
        driver.accept()
    line, _, content = reply_to(driver)
    assert line == "HTTP/1.1 500 Internal Server Error"
    assert b"secret" not in content
    assert driver.close_expected()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", 414),
    ],
)
def test_malformed_request_is_answered_at_once(data, status):
    driver = ServerDriver()
    driver.receive_data(data)
    assert reply_to(driver)[0].split()[1] == str(status)
    assert [type(event) for event in driver.events_received()] == [Failed, Closed]
    driver.receive_data(head())
    assert driver.events_received() == []


def test_request_that_is_no_handshake_is_reported_and_its_followers_are_not():
    plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    driver = requested(plain + plain)
    assert not driver.accept()
    assert reply_to(driver)[0].split()[1] == "400"


def test_content_of_a_request_that_is_no_handshake_is_dropped():
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    assert requested(post).reject(405)


def test_too_much_before_the_answer_is_refused():
    driver = requested()
    driver.receive_data(bytes(64 * 1024))
    assert driver.state is State.CONNECTING
    driver.receive_data(b"x")
    assert reply_to(driver)[0].split()[1] == "400"


def test_failure_before_the_request_writes_nothing():
    driver = ServerDriver()
    driver.fail(1001, "server stops")
    driver.receive_data(head())
    assert driver.data_to_send() == []
    assert [type(event) for event in driver.events_received()] == [Failed, Closed]


# Drafts


@pytest.mark.parametrize("start", [HIXIE_75, HIXIE_76])
def test_drafts_are_refused_unless_asked_for(start):
    driver = requested(head(start=start))
    assert not driver.accept()
    assert reply_to(driver)[0].split()[1] == "400"


def test_versions_7_and_8_send_their_origin_in_another_field():
    start = REQUEST.replace("Version: 13", "Version: 8")
    line = "Sec-WebSocket-Origin: http://evil.example"
    driver = requested(head(line, start=start), legacy_drafts=True)
    assert not driver.accept()
    assert reply_to(driver)[0].split()[1] == "403"


@pytest.mark.parametrize("start", [HIXIE_75, HIXIE_76])
def test_origin_and_limits_hold_for_the_drafts_too(start):
    evil = start.replace("http://example.org", "http://evil.example")
    driver = requested(head(start=evil), legacy_drafts=True)
    assert not driver.accept()
    assert reply_to(driver)[0].split()[1] == "403"
    driver = requested(head(start=start), legacy_drafts=True, max_size=3)
    assert driver.accept()
    driver.receive_data(b"8 bytes!" if start == HIXIE_76 else b"")
    driver.receive_data(b"\x00abcd\xff")
    assert driver.close_expected()


def test_draft_76_waits_for_the_end_of_its_challenge():
    driver = requested(head(start=HIXIE_76), legacy_drafts=True)
    assert driver.send_text("early")
    assert driver.accept()
    assert not driver.accept()
    assert not driver.reject()
    (response,) = driver.data_to_send()
    assert response.startswith(b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n")
    for byte in b"8 bytes":
        driver.receive_data(bytes([byte]))
    assert driver.state is State.CONNECTING
    assert driver.data_to_send() == []
    driver.receive_data(b"!\x00Hi\xff")
    digest, early = driver.data_to_send()
    assert (len(digest), early) == (16, b"\x00early\xff")
    assert driver.events_received() == [Opened("hixie-76", None), "Hi"]


def test_subprotocols_of_the_drafts_have_their_own_fields():
    for start, prefix in [(HIXIE_75, ""), (HIXIE_76, "Sec-")]:
        data = head(f"{prefix}WebSocket-Protocol: chat", start=start) + b"8 bytes!"
        driver = requested(data, legacy_drafts=True, subprotocols=["chat"])
        assert driver.accept()
        _, fields, _ = reply_to(driver)
        assert fields[f"{prefix}websocket-protocol"] == driver.subprotocol == "chat"


# Properties

STREAM = head("Sec-WebSocket-Protocol: chat") + frame("one") + frame("two")


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_chopping_gives_the_same_events(cuts):
    driver = ServerDriver(subprotocols=["chat"])
    events = []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(STREAM)]):
        driver.receive_data(STREAM[start:end])
        events += driver.events_received()
        if len(events) == 1:
            driver.accept()
    events += driver.events_received()
    assert events[1:] == [Opened("hybi-13", "chat"), "one", "two"]


@given(st.binary(max_size=60), st.sampled_from([b"", REQUEST.encode(), head()]))
def test_no_input_raises(rubbish, start):
    driver = ServerDriver(legacy_drafts=True)
    driver.receive_data(start + rubbish)
    driver.accept()
    driver.receive_data(rubbish)
    driver.receive_eof()
    assert driver.state is State.CLOSED
    assert isinstance(driver.events_received()[-1], Closed)
