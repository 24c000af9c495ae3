import pytest

from beamfast.errors import HandshakeError
from beamfast.http import Headers, Request, Upgrade
from beamfast.protocol.handshake import (
    accept_key,
    accept_upgrade,
    bare_upgrade,
    check_origin,
    check_upgrade,
    choose_subprotocol,
    is_hixie,
    is_legacy,
    offered_subprotocols,
    origin_allowed,
    server_handshake,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {
    "Host": "example.org",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(*more, method="GET", without=(), **changed):
    changed = {name.replace("_", "-"): value for name, value in changed.items()}
    fields = {**FIELDS, **changed}
    pairs = [pair for pair in fields.items() if pair[0] not in without]
    return Request(method, "/", url="/", path="/", headers=Headers([*pairs, *more]))


def refusal(*args, **options):
    with pytest.raises(HandshakeError) as caught:
        check_upgrade(request(*args, **options))
    return caught.value


@pytest.mark.parametrize(
    ("key", "accept"),
    [
        (KEY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("JFBCWHksyIpXV+6Wlq/9pw==", "JdiiuafpBKRqD7eol0y4vJDTsTs="),
        ("2vBVWg4Qyk3ZoM/5d3QD9Q==", "QV3I5XUXU2CdhtjixE7QCkCcMZM="),
        ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
    ],
)
def test_key_is_accepted_by_its_digest(key, accept):
    assert accept_key(key) == accept


def test_valid_request_gives_its_key():
    asked = request()
    assert check_upgrade(asked) == KEY
    # What the head said is known; it is not read again.
    asked.headers = Headers()
    assert check_upgrade(asked) == KEY


@pytest.mark.parametrize(
    "options",
    [
        {"method": "POST"},
        {"without": ("Upgrade",)},
        {"without": ("Connection",)},
        {"Upgrade": "h2c"},
        {"without": ("Sec-WebSocket-Version", "Sec-WebSocket-Key")},
    ],
)
def test_request_without_the_marks_of_a_handshake_is_400(options):
    assert refusal(**options).status == 400


@pytest.mark.parametrize("version", ["12", "8", "99", "13, 8", "", "013"])
def test_other_version_is_426_and_told_which_is_spoken(version):
    error = refusal(Sec_WebSocket_Version=version)
    assert error.status == 426
    assert error.headers == (
        ("Sec-WebSocket-Version", "13"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
    )


def test_missing_version_is_426():
    assert refusal(without=("Sec-WebSocket-Version",)).status == 426


def test_older_versions_are_accepted_when_listed():
    old = request(Sec_WebSocket_Version="8")
    assert check_upgrade(old, versions=("13", "8", "7")) == KEY
    with pytest.raises(HandshakeError) as caught:
        check_upgrade(request(Sec_WebSocket_Version="6"), versions=("13", "8", "7"))
    assert caught.value.headers[0] == ("Sec-WebSocket-Version", "13, 8, 7")


@pytest.mark.parametrize(
    "key", ["", "abc", "c2hvcnQ=", "!" * 24, KEY + KEY, f"{KEY}, {KEY}", "\u00e4" * 24]
)
def test_key_that_is_not_16_bytes_of_base64_is_400(key):
    assert refusal(Sec_WebSocket_Key=key).status == 400


def test_missing_or_repeated_key_is_400():
    assert refusal(without=("Sec-WebSocket-Key",)).status == 400
    assert refusal(("Sec-WebSocket-Key", KEY)).status == 400


def test_broken_extension_field_is_400():
    error = refusal(("Sec-WebSocket-Extensions", "a;"))
    assert error.status == 400
    assert "Sec-WebSocket-Extensions" in str(error)


# Origin


def allowed(origin, *, host="example.org", listed=(), is_secure=False):
    headers = Headers([("Host", host)] if host else [])
    for one in [origin] if isinstance(origin, str) else origin:
        headers.add("Origin", one)
    return origin_allowed(headers, listed, is_secure=is_secure)


def test_request_without_origin_is_allowed():
    assert allowed([])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.org", "example.org"),
        ("http://EXAMPLE.org", "Example.org"),
        ("http://example.org", "example.org:80"),
        ("http://example.org:80", "example.org"),
        ("https://example.org", "example.org"),
        ("https://example.org", "example.org:443"),
        ("http://127.0.0.1:3000", "127.0.0.1:3000"),
        ("http://[::1]:3000", "[::1]:3000"),
    ],
)
def test_own_host_is_allowed(origin, host):
    assert allowed(origin, host=host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "example.org"),
        ("http://example.org:81", "example.org"),
        ("http://example.org", "example.org:3000"),
        ("http://example.org.evil.example", "example.org"),
        ("http://example.org@evil.example", "example.org"),
        ("http://evil.example/http://example.org", "example.org"),
        ("http://example.org/", "example.org"),
        ("ftp://example.org", "example.org"),
        ("example.org", "example.org"),
        ("http://", "example.org"),
        ("http://example.org:99999", "example.org"),
        ("null", "null"),
        ("http://example.org", ""),
        ("", "example.org"),
        (["http://example.org", "http://example.org"], "example.org"),
    ],
)
def test_other_origins_are_not_allowed(origin, host):
    assert not allowed(origin, host=host)


def test_plain_page_may_not_talk_to_a_secure_server():
    assert allowed("https://example.org", is_secure=True)
    assert not allowed("http://example.org", is_secure=True)


def test_listed_origins_are_allowed():
    listed = ("https://App.example/", "null")
    assert allowed("https://app.example", listed=listed)
    assert allowed("null", listed=listed)
    assert not allowed("http://app.example", listed=listed)
    assert allowed("http://evil.example", listed=("*",))


@pytest.mark.parametrize("field", ["Origin", "Sec-WebSocket-Origin"])
def test_pages_of_other_origins_are_refused_in_every_version(field):
    check_origin(request((field, "http://example.org")))
    check_origin(request((field, "http://app.example")), ["http://app.example"])
    with pytest.raises(HandshakeError) as caught:
        check_origin(request((field, "http://evil.example")))
    assert caught.value.status == 403


def test_a_handshake_is_accepted_as_a_whole():
    upgrade = Upgrade(print)
    response = accept_upgrade(request(), upgrade, headers=[("X-Test", "1")])
    assert (response.status, response.upgrade) == (101, upgrade)
    assert response.headers["x-test"] == "1"
    with pytest.raises(HandshakeError):
        accept_upgrade(request(("Origin", "http://evil.example")), upgrade)


# Old drafts


def test_old_drafts_are_told_by_their_fields():
    neither = ("Sec-WebSocket-Key", "Sec-WebSocket-Version")
    hixie = request(without=neither).headers
    assert is_hixie(hixie)
    assert is_legacy(hixie)
    for version, legacy in [("7", True), ("8", True), ("13", False), ("6", False)]:
        headers = request(Sec_WebSocket_Version=version).headers
        assert not is_hixie(headers)
        assert is_legacy(headers) is legacy


# Subprotocols


def test_offers_of_several_fields_are_joined():
    headers = Headers(
        [("Sec-WebSocket-Protocol", "a, B"), ("Sec-WebSocket-Protocol", ",c ")]
    )
    assert offered_subprotocols(headers) == ["a", "B", "c"]


@pytest.mark.parametrize(
    ("offered", "options", "chosen"),
    [
        (["a", "b"], {}, "a"),
        (["x", "b"], {}, "b"),
        (["a", "b"], {"preference": "server"}, "b"),
        (["A"], {}, None),
        ([], {}, None),
    ],
)
def test_subprotocol_is_the_first_that_both_know(offered, options, chosen):
    assert choose_subprotocol(offered, ("b", "a"), **options) == chosen


def test_function_may_choose_among_the_offers():
    assert choose_subprotocol(["a", "b"], lambda offered: offered[-1]) == "b"
    assert choose_subprotocol(["a"], lambda offered: None) is None
    with pytest.raises(ValueError, match="not offered"):
        choose_subprotocol(["a"], lambda offered: "b")


def test_required_subprotocol_that_is_not_shared_is_400():
    assert choose_subprotocol(["a"], ["a"], require=True) == "a"
    with pytest.raises(HandshakeError) as caught:
        choose_subprotocol(["a"], ["b"], require=True)
    assert caught.value.status == 400


# The response


def test_response_has_each_field_once_and_frames_no_content():
    fields = server_handshake(
        request(), subprotocol="chat", extensions="x", headers=[("X", "y")]
    )
    assert list(fields) == [
        ("X", "y"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(KEY)),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "x"),
    ]


def test_a_bare_response_is_the_same_in_one_piece():
    first, *lines = bare_upgrade(KEY, b"Server: x\r\n").decode().split("\r\n")
    assert first == "HTTP/1.1 101 Switching Protocols"
    pairs = [tuple(line.split(": ")) for line in lines if line]
    assert pairs == [*server_handshake(request()), ("Server", "x")]
    assert lines[-2:] == ["", ""]


def test_response_without_agreements_has_no_fields_for_them():
    assert len(server_handshake(request())) == 3


@pytest.mark.parametrize(
    "header",
    [
        ("Upgrade", "x"),
        ("SEC-WEBSOCKET-ACCEPT", "x"),
        ("Content-Length", "0"),
        ("X", "a\r\nEvil: 1"),
        ("X", "a\0"),
        ("X\n", "a"),
    ],
)
def test_further_fields_cannot_break_the_handshake(header):
    with pytest.raises(ValueError, match=r"handshake|header"):
        server_handshake(request(), headers=[header])


def test_cookies_may_be_set_twice():
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    fields = server_handshake(request(), headers=cookies)
    assert fields.get_all("set-cookie") == ["a=1", "b=2"]


def test_refused_request_gets_no_response_fields():
    with pytest.raises(HandshakeError):
        server_handshake(request(Sec_WebSocket_Key=""))
