import pytest
from hypothesis import given, strategies as st

from beamfast.errors import TooLarge
from beamfast.http import Headers, Request, Response, reason_phrase

names = st.text("abcXYZ-_!", min_size=1, max_size=8)
values = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))


class Chunks:
    """A body source that counts how often it is asked."""

    def __init__(self, *chunks):
        self.left = list(chunks)
        self.closed = 0

    async def chunks(self):
        try:
            while self.left:
                yield self.left.pop(0)
        finally:
            self.closed += 1


def make(method="GET", *fields, version="1.1", source=None):
    return Request(
        method,
        "/",
        url="/",
        path="/",
        headers=Headers(fields),
        http_version=version,
        source=source,
    )


# Headers


def test_names_are_found_in_any_case():
    headers = Headers([("Content-Type", "text/html")])
    assert headers["content-TYPE"] == "text/html"
    assert "CONTENT-type" in headers
    assert headers.get("Content-Type") == "text/html"


def test_order_and_spelling_stay_as_given():
    fields = [("b", "1"), ("A", "2"), ("B", "3")]
    assert list(Headers(fields)) == fields
    assert len(Headers(fields)) == 3


def test_the_first_of_several_is_returned_alone():
    headers = Headers([("Set-Cookie", "a"), ("set-cookie", "b")])
    assert headers.get("Set-Cookie") == "a"
    assert headers.get_all("Set-Cookie") == ["a", "b"]


def test_what_is_absent_is_none_or_empty_or_an_error():
    headers = Headers()
    assert headers.get("Host") is None
    assert headers.get("Host", "default") == "default"
    assert headers.get_all("Host") == []
    assert "Host" not in headers
    assert 7 not in headers
    with pytest.raises(KeyError, match="Host"):
        headers["Host"]


def test_a_name_outside_of_latin_1_is_absent():
    assert Headers([("a", "1")]).get("\u0431") is None


def test_tokens_are_the_members_of_all_lines_in_lower_case():
    headers = Headers([("Connection", "Keep-Alive, ,Upgrade"), ("connection", "x,")])
    assert headers.tokens("Connection") == ["keep-alive", "upgrade", "x"]
    assert headers.tokens("Upgrade") == []


def test_weights_are_those_of_the_field():
    headers = Headers(
        [("Accept", "text/html;level=1, a/b; q=0.5"), ("accept", "*/*;Q=0")]
    )
    assert headers.weights("accept") == {"text/html": 1.0, "a/b": 0.5, "*/*": 0.0}


def test_a_weight_that_is_none_counts_as_refusal():
    assert Headers([("Accept-Encoding", "br;q=2, gzip;q=x")]).weights(
        "accept-encoding"
    ) == {"br": 0.0, "gzip": 0.0}


def test_an_update_replaces_all_fields_of_its_names():
    headers = Headers([("a", "1"), ("B", "2"), ("A", "3")])
    headers.update(Headers([("A", "4"), ("c", "5")]))
    assert list(headers) == [("B", "2"), ("A", "4"), ("c", "5")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], "Origin"),
        (["origin"], "origin"),
        (["*"], "*"),
        (["A", "B"], "A, B, Origin"),
    ],
)
def test_a_token_is_added_to_a_list_once(before, after):
    headers = Headers([("Vary", value) for value in before])
    headers.add_token("Vary", "Origin")
    assert headers.get_all("Vary") == [after]


@pytest.mark.parametrize(
    ("is_secure", "proto", "is_https"),
    [
        (False, None, False),
        (True, None, True),
        (False, "HTTPS", True),
        (False, "https, http", True),
        (True, "http", False),
    ],
)
def test_the_proxy_says_whether_the_client_uses_tls(is_secure, proto, is_https):
    fields = [] if proto is None else [("X-Forwarded-Proto", proto)]
    request = Request("GET", "/", url="/", path="/", headers=Headers(fields))
    request.is_secure = is_secure
    assert request.is_https is is_https


def test_an_added_field_is_found_after_a_look_up():
    headers = Headers()
    assert "a" not in headers
    headers.add("A", "1")
    assert headers["a"] == "1"


def test_setting_replaces_all_of_that_name():
    headers = Headers([("A", "1"), ("b", "2"), ("a", "3")])
    headers.set("a", "4")
    assert list(headers) == [("b", "2"), ("a", "4")]


def test_removing_what_is_absent_is_fine():
    headers = Headers([("A", "1")])
    headers.remove("b")
    headers.remove("a")
    assert list(headers) == []


def test_checked_pairs_are_wrapped_as_they_are():
    headers = Headers.from_raw([(b"Host", b"a"), (b"X", b"\xe9")])
    assert headers["host"] == "a"
    assert list(headers) == [("Host", "a"), ("X", "\xe9")]


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "\u00e4", "\u0131", "a\x00"])
def test_a_name_that_is_no_token_is_refused(name):
    with pytest.raises(ValueError, match="not a header name"):
        Headers().add(name, "x")


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "\r", "\0"])
def test_a_value_that_could_end_the_line_is_refused(value):
    with pytest.raises(ValueError, match="line end or NUL"):
        Headers([("A", value)])


def test_a_value_outside_of_latin_1_is_refused():
    with pytest.raises(ValueError, match="latin-1"):
        Headers([("A", "\u20ac")])


@given(st.lists(st.tuples(names, values)))
def test_fields_come_back(fields):
    headers = Headers(fields)
    assert list(headers) == fields
    for name, _ in fields:
        same = [value for other, value in fields if other.lower() == name.lower()]
        assert headers.get_all(name) == same


def test_headers_show_their_fields():
    assert repr(Headers([("A", "1")])) == "Headers([('A', '1')])"


# What a request asks for

UPGRADE = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket")]


def test_a_request_for_a_websocket_is_recognised():
    assert make("GET", *UPGRADE).is_websocket
    assert make("GET", *UPGRADE, ("Content-Length", "0")).is_websocket


@pytest.mark.parametrize(
    ("method", "fields", "version"),
    [
        ("POST", UPGRADE, "1.1"),
        ("GET", UPGRADE, "1.0"),
        ("GET", UPGRADE[:1], "1.1"),
        ("GET", UPGRADE[1:], "1.1"),
        ("GET", [UPGRADE[0], ("Upgrade", "h2c")], "1.1"),
        ("GET", [*UPGRADE, ("Content-Length", "4")], "1.1"),
        ("GET", [*UPGRADE, ("Transfer-Encoding", "chunked")], "1.1"),
    ],
)
def test_other_requests_are_no_websockets(method, fields, version):
    assert not make(method, *fields, version=version).is_websocket


@pytest.mark.parametrize(
    ("accept", "accepts"),
    [
        ("text/event-stream", True),
        ("text/html, Text/Event-Stream;q=0.5", True),
        ("text/event-stream; charset=utf-8", True),
        ("*/*", False),
        ("text/*", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q = 0.000, */*", False),
        ("", False),
    ],
)
def test_an_event_stream_must_be_asked_for_by_name(accept, accepts):
    assert make("GET", ("Accept", accept)).accepts_event_stream is accepts


def test_a_request_without_accept_wants_no_event_stream():
    assert not make().accepts_event_stream


@pytest.mark.parametrize(
    ("version", "expect", "expects"),
    [
        ("1.1", "100-Continue", True),
        ("1.0", "100-continue", False),
        ("1.1", "x", False),
    ],
)
def test_100_continue_is_awaited_by_http_1_1_only(version, expect, expects):
    request = make("PUT", ("Expect", expect), version=version)
    assert request.expects_continue is expects


def test_a_request_shows_its_line():
    assert repr(make("PUT")) == "<Request PUT />"


# Bodies


async def test_a_body_is_read_once_and_kept():
    request = make("PUT")
    request.attach(Chunks(b"one ", b"two"))
    assert await request.body() == b"one two"
    assert await request.body() == b"one two"
    assert [chunk async for chunk in request.chunks()] == [b"one two"]


async def test_a_body_can_be_read_as_it_comes():
    request = make("PUT", source=Chunks(b"one", b"two"))
    assert [chunk async for chunk in request.chunks()] == [b"one", b"two"]


async def test_a_request_without_source_has_an_empty_body():
    request = make("PUT")
    assert await request.body() == b""
    assert [chunk async for chunk in request.chunks()] == []


async def test_a_body_over_its_limit_is_not_read_to_the_end():
    source = Chunks(b"12", b"34", b"56")
    request = make("PUT", source=source)
    with pytest.raises(TooLarge) as caught:
        await request.body(limit=3)
    assert (caught.value.status, caught.value.code) == (413, "body-too-large")
    assert source.left == [b"56"]
    assert source.closed == 1


async def test_a_body_over_its_limit_is_never_handed_out_in_part():
    request = make("PUT", source=Chunks(b"12", b"34", b"56"))
    for limit in (3, 100, None):
        with pytest.raises(TooLarge):
            await request.body(limit)


@pytest.mark.parametrize("limit", [None, 4])
async def test_a_body_within_its_limit_is_returned(limit):
    request = make("PUT", source=Chunks(b"12", b"34"))
    assert await request.body(limit) == b"1234"


async def test_the_limit_holds_for_a_body_that_was_read_before():
    request = make("PUT", source=Chunks(b"1234"))
    await request.body()
    with pytest.raises(TooLarge):
        await request.body(limit=3)


# Responses


def test_a_text_is_sent_as_utf_8():
    response = Response(200, "\u00e9")
    assert response.body == b"\xc3\xa9"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_the_media_type_can_be_said():
    assert Response(200, "x", content_type="text/css").headers["content-type"] == (
        "text/css"
    )
    assert Response(200, b"x", headers=[("A", "b")]).headers.get("content-type") is None


def test_a_response_shows_its_status():
    assert repr(Response(204)) == "<Response 204>"


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(200, "OK"), (404, "Not Found"), (507, "Insufficient Storage"), (599, "")],
)
def test_the_phrase_is_the_standard_one(status, phrase):
    assert reason_phrase(status) == phrase
