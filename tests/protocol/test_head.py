import pytest
from hypothesis import given, strategies as st

from beamfast._head import HeadCollector
from beamfast.errors import RequestError
from beamfast.protocol.head import HeadReader, Limits, build_request
from beamfast.protocol.http11 import RequestParser

GET = b"GET /a%20b/../c?d HTTP/1.1\r\nHost: a\r\n"
END = b"\r\n"
LEFT = [
    b"",
    GET,
    GET + END + GET + END,
    GET + END + GET,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    GET + b"Connection: close\r\n\r\n",
    GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    GET + b"Upgrade: h2c\r\n\r\n",
    GET + b"Expect: 100-continue\r\n\r\n",
    GET + b"Host: b\r\n\r\n",
    GET + b"broken\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    GET + b"X: y\r\n" * 100 + END,
    GET + b"X: " + b"y" * 33_000 + END + END,
]
TAKEN = [
    GET + END,
    END + GET + END,
    GET + b"Connection: keep-alive\r\nAccept: */*\r\n\r\n",
    b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"DELETE / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2 \r\n\r\n",
]


def parsed(data):
    """Return what the parser makes of it: requests, ends, and whether it stays open."""
    requests, bodies, ends = [], [], []
    parser = RequestParser(requests.append, bodies.append, lambda: ends.append(1))
    try:
        parser.feed(data)
    except RequestError:
        return None
    if bodies or len(requests) != 1 or len(ends) != 1 or not parser.at_boundary:
        return None
    return requests[0] if parser.should_keep_alive else None


def seen(request):
    named = (request.method, request.target, request.url, request.path, request.query)
    fields = (list(request.headers), request.headers.index)
    return *named, *fields, request.http_version, request.has_content


@pytest.mark.parametrize("data", TAKEN)
def test_a_read_that_is_one_whole_request_is_that_request(data):
    reader = HeadReader(Limits())
    for _ in range(2):
        assert seen(reader.read(data)) == seen(parsed(data))


@pytest.mark.parametrize("data", LEFT)
def test_everything_else_is_left_to_the_parser(data):
    reader = HeadReader(Limits())
    for _ in range(2):
        assert reader.read(data) is None
        assert seen(reader.read(GET + END)) == seen(parsed(GET + END))


def test_limits_are_those_of_the_parser():
    assert HeadReader(Limits(fields=0)).read(GET + END) is None
    assert HeadReader(Limits(fields=1)).read(GET + END) is not None


@pytest.mark.parametrize(
    ("line", "version", "status"),
    [
        (b"GET /", "0.9", 400),
        (b"GET /", "2.0", 505),
        (b"CONNECT a:1", "1.1", 501),
        (b"GET a", "1.1", 400),
    ],
)
def test_what_is_not_answered_is_refused_with_its_status(line, version, status):
    head = HeadCollector(100, 100, 10)
    head.method, head.target = line.split(b" ")
    head.index = {b"host": [b"a"]}
    with pytest.raises(RequestError) as caught:
        build_request(head, version, None)
    assert caught.value.status == status


PIECES = [
    GET,
    END,
    b"X: y\r\n",
    b"Content-Length: 2\r\n",
    b"Connection: close\r\n",
    b"z",
]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join))
def test_what_is_taken_is_what_the_parser_would_have_read(data):
    request = HeadReader(Limits()).read(data)
    if request is not None:
        assert seen(request) == seen(parsed(data))
