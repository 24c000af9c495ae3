import pytest

from beamfast.errors import TooLarge
from beamfast.http import Headers, Request, Response, reason_phrase


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


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        (["a=1; session=x"], "x"),
        (["session=first; session=second"], "first"),
        (["a=1", "session=x=y"], "x=y"),
        (['session="quoted"'], "quoted"),
        (["session="], ""),
        (["session"], None),
        (["xsession=1"], None),
        ([], None),
    ],
)
def test_a_cookie_is_found_by_its_name(fields, value):
    headers = Headers([("Cookie", field) for field in fields])
    request = Request("GET", "/", url="/", path="/", headers=headers)
    assert request.cookie("session") == value


def test_line_108_every_request_has_a_name_of_its_own():
    one, two = (Request("GET", "/", url="/", path="/") for _ in range(2))
    assert one.id == one.id
    assert one.id != two.id


def test_a_copied_response_is_the_same_and_changes_alone():
    first = Response(206, b"abc", headers=[("A", "1")], encoding="gzip")
    second = first.copy()
    assert (second.status, second.body, second.encoding) == (206, b"abc", "gzip")
    assert (second.stream, second.upgrade) == (None, None)
    assert list(second.headers) == [("A", "1")]
    second.headers.set("A", "2")
    second.body = b""
    assert (first.headers["A"], first.body) == ("1", b"abc")
