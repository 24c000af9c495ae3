import gc
import itertools
import weakref

import pytest
from hypothesis import given, strategies as st

from beamfast.errors import RequestError
from beamfast.http import Headers
from beamfast.protocol.http11 import (
    LAST_CHUNK,
    Limits,
    RequestParser,
    chunk,
    response_head,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: b\r\n\r\n"
WEBSOCKET = (
    GET + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Recorder:
    """Writes down what a parser calls."""

    def __init__(self, *, limits=None):
        self.requests = []
        self.bodies = []
        self.ended = 0
        self.decide = None
        self.parser = RequestParser(self.begin, self.body, self.end, limits=limits)

    def begin(self, request):
        self.requests.append(request)
        self.bodies.append(b"")
        if self.decide is not None:
            self.decide(self.parser)

    def body(self, data):
        self.bodies[-1] += data

    def end(self):
        self.ended += 1

    def feed(self, data, step=None):
        for start in range(0, len(data), step or len(data)):
            self.parser.feed(data[start : start + (step or len(data))])
        return self

    @property
    def seen(self):
        heads = [(r.method, r.target, list(r.headers)) for r in self.requests]
        return heads, self.bodies, self.ended


def refused(data, *, step=None, limits=None):
    """Return the status that ``data`` is refused with, 0 for none."""
    try:
        Recorder(limits=limits).feed(data, step)
    except RequestError as error:
        return error.status
    return 0


def targets(recorder):
    return [request.target for request in recorder.requests]


# Heads


def test_head_becomes_a_request():
    head = b"PUT /a%20b?x=%20 HTTP/1.1\r\nHost: a\r\nX-Y:  z \t\r\nEmpty:\r\n\r\n"
    (request,) = Recorder().feed(head).requests
    assert (request.method, request.target) == ("PUT", "/a%20b?x=%20")
    assert (request.url, request.path, request.query) == ("/a b", "/a b", "x=%20")
    assert list(request.headers) == [("Host", "a"), ("X-Y", "z"), ("Empty", "")]
    assert request.http_version == "1.1"


def test_path_is_normal_and_url_is_as_sent():
    (request,) = Recorder().feed(b"GET //a/../b HTTP/1.0\r\n\r\n").requests
    assert (request.url, request.path, request.http_version) == (
        "//a/../b",
        "/b",
        "1.0",
    )


def test_absolute_form_replaces_the_host_field():
    head = b"GET http://b:80/x HTTP/1.1\r\nAccept: */*\r\nHOST: a\r\n\r\n"
    (request,) = Recorder().feed(head).requests
    assert list(request.headers) == [("Host", "b:80"), ("Accept", "*/*")]


def test_empty_lines_before_a_request_are_ignored():
    recorder = Recorder().feed(b"\r\n\r\n" + NEXT)
    assert targets(recorder) == ["/next"]


def test_more_than_one_space_in_the_request_line_is_read_as_one():
    # Allowed by RFC 9112, 3, and no two readers differ about its parts.
    recorder = Recorder().feed(b"GET   /next   HTTP/1.1\r\nHost: b\r\n\r\n")
    assert targets(recorder) == ["/next"]


def test_request_is_announced_before_its_body_arrives():
    recorder = Recorder().feed(POST + b"Content-Length: 5\r\n\r\nhe")
    assert recorder.seen[1:] == ([b"he"], 0)
    assert recorder.feed(b"llo").seen[1:] == ([b"hello"], 1)


@pytest.mark.parametrize(
    ("fields", "expects"),
    [(b"", False), (b"Expect: 100-Continue\r\n", True)],
)
def test_expectation_is_reported(fields, expects):
    (request,) = Recorder().feed(GET + fields + b"\r\n").requests
    assert request.expects_continue is expects


def test_expectation_of_http_1_0_is_ignored():
    head = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"
    (request,) = Recorder().feed(head).requests
    assert not request.expects_continue


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (GET + b"\r\n", True),
        (GET + b"Connection: close\r\n\r\n", False),
        (GET + b"Connection: x, Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_persistence_follows_version_and_connection_field(head, stays):
    recorder = Recorder().feed(head)
    assert recorder.parser.should_keep_alive is stays
    # What follows a last request is dropped, not an error (RFC 9112, 9.6).
    assert targets(recorder.feed(NEXT)) == (["/", "/next"] if stays else ["/"])
    assert targets(Recorder().feed(head + NEXT)) == targets(recorder)


# Content


def test_chunks_arrive_as_content_and_trailers_are_dropped():
    body = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX: y\r\n\r\n"
    recorder = Recorder().feed(CHUNKED + body + NEXT)
    assert recorder.bodies == [b"hello world", b""]
    assert list(recorder.requests[1].headers) == [("Host", "b")]
    assert recorder.ended == 2


def test_own_chunks_are_read_back():
    body = chunk(b"a" * 300) + chunk(b"") + chunk(b"b") + LAST_CHUNK
    recorder = Recorder().feed(CHUNKED + body)
    assert recorder.seen[1:] == ([b"a" * 300 + b"b"], 1)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (POST + b"Content-Length: 11\r\n\r\n", 413),
        (POST + b"Content-Length: 10\r\n\r\n", 0),
        (CHUNKED + b"6\r\n123456\r\n5\r\n12345\r\n", 413),
        (CHUNKED + b"6\r\n123456\r\n4\r\n1234\r\n0\r\n\r\n", 0),
    ],
)
def test_content_over_its_limit_is_413(data, status):
    limits = Limits(max_body=10)
    assert refused(data, limits=limits) == refused(data, limits=limits, step=1)
    assert refused(data, limits=limits) == status


def test_content_without_a_limit_is_passed_on():
    recorder = Recorder(limits=Limits(max_body=None))
    recorder.feed(POST + b"Content-Length: 9000000\r\n\r\n").feed(b"x" * 9_000_000)
    assert len(recorder.bodies[0]) == 9_000_000
    assert recorder.ended == 1


# What is refused. Rows: section of RFC 9112 if no other is named, bytes, status.

FRAMING = {
    "2.2 bare LF after the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "2.2 bare LF after a field": (GET + b"X: a\nY: b\r\n\r\n", 400),
    "2.2 bare LF at the end of the head": (GET + b"\n", 400),
    "2.2 bare CR in a field": (GET + b"X: a\rY: b\r\n\r\n", 400),
    "2.2 whitespace before the first field": (
        b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n",
        400,
    ),
    "2.3 version 2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "2.3 version 1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "2.3 version 0.9": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 400),
    "2.3 no version": (b"GET /\r\n\r\n", 400),
    "2.3 lower-case protocol": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "2.3 HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "3 whitespace before the method": (b" " + NEXT, 400),
    "3 whitespace after the version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "3 tab as separator": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "3 binary rubbish": (b"\x16\x03\x01\x02\x00", 400),
    "3.1 unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "3.1 lower-case method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "3.2 no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "3.2 two Hosts": (GET + b"Host: a\r\n\r\n", 400),
    "3.2 two Hosts, other case": (GET + b"hOST: b\r\n\r\n", 400),
    "3.2 empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "3.2 list of Hosts": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    "3.2 Host with user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "3.2 absolute form without Host": (b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
    "3.2 raw bytes in the target": (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "3.2 fragment in the target": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "3.2 asterisk with GET": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "3.2 CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "3.2 control byte in the target": (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "3.2 broken escape": (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "5 no colon": (GET + b"X\r\n\r\n", 400),
    "5 no name": (GET + b": a\r\n\r\n", 400),
    "5 delimiter in a name": (GET + b"X(: a\r\n\r\n", 400),
    "5.1 whitespace before the colon": (GET + b"X : a\r\n\r\n", 400),
    "5.2 obsolete line folding": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "5.5 of RFC 9110, NUL in a value": (GET + b"X: a\0b\r\n\r\n", 400),
    "5.5 of RFC 9110, DEL in a value": (GET + b"X: a\x7fb\r\n\r\n", 400),
    "6.1 coding before chunked": (
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + LAST_CHUNK,
        501,
    ),
    "6.1 chunked twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    "6.1 two fields": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "6.1 coding in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "6.1 both framings": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "6.1 both framings, other order": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        400,
    ),
    "6.3 chunked is not last": (
        POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
        400,
    ),
    "6.3 not chunked": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "6.3 identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "6.3 looks like chunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    "6.3 control byte before chunked": (
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
        400,
    ),
    "6.3 two lengths": (
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        400,
    ),
    "6.3 equal lengths": (
        POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        400,
    ),
    "6.3 list of lengths": (POST + b"Content-Length: 5, 5\r\n\r\n", 400),
    "6.3 plus sign": (POST + b"Content-Length: +5\r\n\r\n", 400),
    "6.3 minus sign": (POST + b"Content-Length: -5\r\n\r\n", 400),
    "6.3 hexadecimal": (POST + b"Content-Length: 0x5\r\n\r\n", 400),
    "6.3 space between digits": (POST + b"Content-Length: 5 5\r\n\r\n", 400),
    "6.3 empty length": (POST + b"Content-Length:\r\n\r\n", 400),
    "6.3 enormous length": (
        POST + b"Content-Length: 99999999999999999999\r\n\r\n",
        400,
    ),
    "7.1 bare LF after the size": (CHUNKED + b"5\nhello\r\n", 400),
    "7.1 bare LF after the data": (CHUNKED + b"5\r\nhello\n0\r\n\r\n", 400),
    "7.1 no line end after the data": (CHUNKED + b"5\r\nhello0\r\n\r\n", 400),
    "7.1 space after the size": (CHUNKED + b"5 \r\nhello\r\n", 400),
    "7.1 space before the size": (CHUNKED + b" 5\r\nhello\r\n", 400),
    "7.1 prefix 0x": (CHUNKED + b"0x5\r\nhello\r\n", 400),
    "7.1 negative size": (CHUNKED + b"-5\r\nhello\r\n", 400),
    "7.1 underscore in the size": (CHUNKED + b"5_0\r\n", 400),
    "7.1 size over 64 bits": (CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n", 400),
    "7.1 empty size": (CHUNKED + b"\r\n", 400),
    "7.1.1 bare LF after an extension": (CHUNKED + b"5;x=y\nhello\r\n", 400),
    "7.1.1 line end in a quoted extension": (CHUNKED + b'5;x="a\r\nb"\r\n', 400),
    "7.1.1 NUL in an extension": (CHUNKED + b"5;\0\r\n", 400),
    "7.1.2 malformed trailer": (CHUNKED + b"0\r\nX y\r\n\r\n", 400),
    "7.1.2 bare LF at the end": (CHUNKED + b"0\r\n\n", 400),
    "7.1.2 length in a trailer": (CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n", 400),
    "7.1.2 coding in a trailer": (
        CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "7.1.2 connection in a trailer": (CHUNKED + b"0\r\nConnection: close\r\n\r\n", 400),
    "7.1.2 upgrade in a trailer": (CHUNKED + b"0\r\nUpgrade: x\r\n\r\n", 400),
    "7.1.2 Host in a trailer": (CHUNKED + b"0\r\nHost: b\r\n\r\n", 400),
    "10.1.1 of RFC 9110, unknown expectation": (GET + b"Expect: x\r\n\r\n", 417),
}


@pytest.mark.parametrize(("data", "status"), FRAMING.values(), ids=FRAMING)
def test_ambiguous_or_malformed_request_is_refused(data, status):
    assert refused(data) == status


@pytest.mark.parametrize(
    "data", [data for data, _ in FRAMING.values()], ids=list(FRAMING)
)
def test_ambiguous_request_is_refused_in_any_chopping(data):
    assert refused(data + NEXT, step=1) in (400, 417, 501, 505)
    assert refused(NEXT + data, step=7) in (400, 417, 501, 505)


def test_nothing_is_read_after_an_error():
    recorder = Recorder()
    with pytest.raises(RequestError):
        recorder.feed(GET + b"Host: b\r\n\r\n")
    assert recorder.feed(NEXT).requests == []
    assert not recorder.parser.at_boundary


def test_error_of_the_application_comes_through_and_ends_the_parser():
    def fail(request):
        raise LookupError(request.target)

    parser = RequestParser(fail, print, print)
    with pytest.raises(LookupError, match="/next"):
        parser.feed(NEXT)
    parser.feed(NEXT)


# Sizes


@pytest.mark.parametrize("step", [None, 1000])
def test_request_line_over_its_limit_is_414(step):
    fits = b"GET /" + b"a" * (8192 - 14) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert refused(fits, step=step) == 0
    assert refused(fits.replace(b" /", b" /a"), step=step) == 414


@pytest.mark.parametrize("step", [None, 1000])
def test_head_over_its_limit_is_431(step):
    room = 32 * 1024 - len(GET) - len(b"X: \r\n")
    assert refused(GET + b"X: " + b"a" * room + b"\r\n\r\n", step=step) == 0
    assert refused(GET + b"X: " + b"a" * (room + 1) + b"\r\n\r\n", step=step) == 431


def test_more_than_100_fields_are_431():
    assert refused(GET + b"X: a\r\n" * 99 + b"\r\n") == 0
    assert refused(GET + b"X: a\r\n" * 100 + b"\r\n") == 431
    assert refused(CHUNKED + b"0\r\n" + b"X: a\r\n" * 99 + b"\r\n") == 431


@pytest.mark.parametrize(
    "start", [GET + b"X: ", b"GET " + b" " * 99, CHUNKED + b"0\r\nX: "]
)
def test_line_that_never_ends_is_431(start):
    recorder = Recorder().feed(start)
    with pytest.raises(RequestError) as caught:
        for _ in range(40):
            recorder.feed(b" " * 1024)
    assert caught.value.status == 431


def test_chunk_extensions_without_end_are_431():
    recorder = Recorder().feed(CHUNKED)
    with pytest.raises(RequestError) as caught:
        for _ in range(40):
            recorder.feed(b"1;" + b"x" * 1022 + b"\r\na\r\n")
    assert caught.value.status == 431


def test_small_chunks_are_no_overhead():
    recorder = Recorder().feed(CHUNKED)
    for _ in range(100):
        recorder.feed(b"1;x=y\r\na\r\n" * 100)
    assert recorder.feed(LAST_CHUNK).bodies == [b"a" * 10_000]


def test_long_reads_of_short_requests_are_within_the_limits():
    recorder = Recorder()
    for _ in range(3):
        recorder.feed(NEXT * 2000)
    recorder.feed(NEXT[:9])
    recorder.feed(NEXT[9:] + NEXT * 2000 + NEXT[:9])
    recorder.feed(NEXT[9:])
    assert recorder.ended == 3 * 2000 + 2002


def test_long_body_before_a_short_head_is_within_the_limits():
    body = POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000
    recorder = Recorder().feed(POST[:9]).feed(body[9:] + POST[:9])
    recorder.feed(body[9:] + POST[:9]).feed(body[9:-5])
    assert recorder.feed(body[-5:]).ended == 3


# Upgrades


@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("upgrade", [b"h2c", b"TLS/1.0", b"websocket"])
def test_upgrade_that_is_not_offered_goes_on_as_http_with_its_body(upgrade, step):
    head = POST + b"Connection: Upgrade, x\r\nUpgrade: " + upgrade + b"\r\n"
    data = head + b"Content-Length: 5\r\n\r\nhello" + NEXT
    data += head + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nhi\r\n0\r\n\r\n"
    data += head + b"\r\n" + NEXT
    recorder = Recorder().feed(data, step)
    assert targets(recorder) == ["/", "/next", "/", "/", "/next"]
    assert recorder.bodies == [b"hello", b"", b"hi", b"", b""]
    assert recorder.ended == 5
    assert recorder.parser.at_boundary


def test_last_request_with_an_ignored_upgrade_ends_the_connection():
    head = POST + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n"
    recorder = Recorder().feed(head + b"Content-Length: 2\r\n\r\nhi" + NEXT)
    assert (targets(recorder), recorder.bodies) == (["/"], [b"hi"])


@pytest.mark.parametrize("step", [None, 1])
def test_websocket_request_keeps_what_follows_for_the_new_protocol(step):
    recorder = Recorder().feed(WEBSOCKET + b"\x81\x80abcd", step).feed(b"more")
    parser = recorder.parser
    assert parser.upgrade_pending
    assert not parser.at_boundary
    assert recorder.ended == 1
    assert parser.take_rest() == b"\x81\x80abcdmore"
    assert not parser.upgrade_pending
    assert recorder.feed(NEXT).ended == 1


def test_websocket_request_that_is_declined_goes_on_as_http():
    recorder = Recorder().feed(WEBSOCKET + NEXT[:9]).feed(NEXT[9:] + NEXT)
    recorder.parser.resume()
    assert targets(recorder) == ["/", "/next", "/next"]
    recorder.parser.resume()
    assert recorder.ended == 3


def test_a_websocket_request_that_was_read_elsewhere_can_be_declined():
    recorder = Recorder()
    recorder.parser.expect_decision()
    assert recorder.parser.upgrade_pending
    recorder.feed(NEXT)
    assert targets(recorder) == []
    recorder.parser.resume()
    assert len(targets(recorder)) == 1


def test_websocket_requests_can_be_declined_at_once():
    recorder = Recorder()
    recorder.decide = RequestParser.resume
    recorder.feed((WEBSOCKET + NEXT) * 2000)
    assert recorder.ended == 4000
    assert recorder.parser.at_boundary


def test_websocket_request_can_be_taken_at_once():
    recorder = Recorder()
    rests = []
    recorder.decide = lambda parser: rests.append(parser.take_rest())
    recorder.feed(WEBSOCKET + b"frame").feed(b"dropped")
    assert rests == [b"frame"]
    assert recorder.ended == 0


def test_declined_last_request_ends_the_connection():
    last = WEBSOCKET.replace(b"keep-alive", b"close") + NEXT
    recorder = Recorder().feed(last)
    recorder.parser.resume()
    assert targets(recorder) == ["/"]
    at_once = Recorder()
    at_once.decide = RequestParser.resume
    assert at_once.feed(last).seen == recorder.seen


# The parser as a whole


def test_idle_parser_is_freed_without_the_collector():
    recorder = Recorder().feed(POST + b"Content-Length: 2\r\n\r\n")
    gc.disable()
    try:
        recorder.feed(b"hi")
        recorder.parser.feed(NEXT)

        class Weak(RequestParser):
            __slots__ = ("__weakref__",)

        parser = Weak(print, print, lambda: None)
        parser.feed(b"\r\n")
        gone = weakref.ref(parser)
        del parser
        assert gone() is None
    finally:
        gc.enable()


STREAM = (
    NEXT
    + POST
    + b"Content-Length: 5\r\n\r\nhello"
    + CHUNKED
    + b"3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\n"
    + POST
    + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"
    + b"\r\n"
    + NEXT
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_chopping_gives_the_same_requests(cuts):
    recorder = Recorder()
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(edges):
        recorder.parser.feed(STREAM[start:end])
    assert recorder.seen == Recorder().feed(STREAM).seen
    assert recorder.ended == 5


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"BREW / HTTP/1.1\r\n", 501),
        (b"GETS / HTTP/1.0\r\n", 501),
        (b"GE / HTTP/1.1\r\n", 501),
        (b"*GET /a HTTP/1.1\r\n", 501),
        (b"\r\nBREW / HTTP/1.1\r\n", 501),
        (b"BREW / HTTP/3.0\r\n", 400),
        (b" / HTTP/1.1\r\n", 400),
        (b"hello\r\n", 400),
        (b"hello world\n", 400),
        (b"hello\x00", 400),
        (b"h" * 9000, 414),
    ],
)
def test_where_a_line_is_cut_does_not_change_how_it_is_refused(data, status):
    assert refused(data) == status
    for cut in range(1, min(len(data), 100)):
        recorder = Recorder()
        with pytest.raises(RequestError) as caught:
            recorder.feed(data[:cut]).feed(data[cut:])
        assert caught.value.status == status, cut
    assert refused(data, step=1) == status


def test_an_unknown_method_is_not_refused_before_its_line_ends():
    recorder = Recorder().feed(b"BREW / HT")
    assert not recorder.parser.at_boundary
    recorder.feed(b"TP/1.1")
    with pytest.raises(RequestError):
        recorder.feed(b"\r\n")
    recorder.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert recorder.requests == []


@given(st.binary(max_size=60), st.sampled_from([b"", GET, CHUNKED, WEBSOCKET]))
def test_no_input_raises_anything_but_a_request_error(rubbish, start):
    try:
        Recorder().feed(start + rubbish + NEXT)
    except RequestError as error:
        assert error.status in (400, 413, 414, 417, 431, 501, 505)


# Responses


def test_response_head_is_status_line_fields_and_an_empty_line():
    headers = Headers([("Content-Length", "0"), ("X", "ä")])
    expected = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \xe4\r\n\r\n"
    assert response_head(200, headers) == expected


def test_unknown_status_has_an_empty_phrase():
    assert response_head(299, Headers()) == b"HTTP/1.1 299 \r\n\r\n"
