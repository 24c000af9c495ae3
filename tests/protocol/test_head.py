import pytest
from hypothesis import given, strategies as st

from beamfast._head import HeadCollector
from beamfast.errors import RequestError
from beamfast.protocol.head import Limits, build_request, head_scanner
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
    GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    GET + b"Connection: close\r\nUpgrade: websocket\r\n\r\n",
    GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
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
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    GET + b"Connection: keep-alive\r\nAccept: */*\r\n\r\n",
    GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    GET + b"Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n",
    b"GET /?a=b?c&%20 HTTP/1.1\r\nX:  1\r\nhost:[::1]:80\r\nx: 2 \r\nX: ~ !\r\n\r\n",
]


def parsed(data):
    """Return what the parser makes of it: requests, ends, and whether it stays open."""
    requests, bodies, ends = [], [], []
    parser = RequestParser(requests.append, bodies.append, lambda: ends.append(1))
    try:
        parser.feed(data)
    except RequestError:
        return None
    if bodies or len(requests) != 1 or len(ends) != 1:
        return None
    if not parser.at_boundary and (not parser.upgrade_pending or parser.take_rest()):
        return None
    return requests[0] if parser.should_keep_alive else None


def scanned(data, limits=None):
    return head_scanner(limits or Limits()).read(data)


def seen(request):
    named = (request.method, request.target, request.url, request.path, request.query)
    fields = (list(request.headers), request.headers.index, request.is_websocket)
    return *named, *fields, request.http_version, request.has_content


@pytest.mark.parametrize("data", TAKEN)
def test_a_read_that_is_plainly_one_request_is_that_request(data):
    scanner = head_scanner(Limits())
    for _ in range(2):
        assert seen(scanner.read(data)) == seen(parsed(data))


def test_a_host_in_the_first_line_counts_more_than_the_field():
    request = parsed(b"GET http://b:8/c HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n")
    assert list(request.headers) == [("Host", "b:8"), ("X", "y")]
    assert request.path == "/c"


@pytest.mark.parametrize("data", LEFT)
def test_everything_else_is_left_to_the_parser(data):
    scanner = head_scanner(Limits())
    for _ in range(2):
        assert scanner.read(data) is None
        assert seen(scanner.read(GET + END)) == seen(parsed(GET + END))


@pytest.mark.parametrize(
    ("enough", "too_little"),
    [
        (Limits(fields=1), Limits(fields=0)),
        (Limits(request_line=26), Limits(request_line=25)),
        (Limits(head=len(GET + END)), Limits(head=len(GET + END) - 1)),
    ],
)
def test_limits_are_not_passed(enough, too_little):
    assert len(GET.partition(b"\r\n")[0]) == 26
    assert scanned(GET + END, enough) is not None
    assert scanned(GET + END, too_little) is None


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


NAMES = [
    *(b"Host", b"host", b"HOST", b"X", b"Accept", b"Connection", b"Cookie"),
    *(b"Content-Length", b"Transfer-Encoding", b"Expect", b"Upgrade"),
    *(b"Proxy-Connection", b"Trailer", b"TE", b"X Y", b"", b"X\x00", b"H\xc3\xb6"),
]
VALUES = [
    *(b"a", b"a:80", b"keep-alive", b"Keep-Alive", b"close", b"upgrade", b"0"),
    *(b"", b" ", b"a b", b"a\tb", b"\ta", b"a ", b"\xff", b"\x7f", b"a\x00b"),
    *(b"chunked", b"a,b", b"a\r b", b"a\n b", b"100-continue"),
]
ENDS = [b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\r\n", b"\r\n\r\n", b""]
LINES = [
    *(b"GET / HTTP/1.1", b"HEAD /a?b HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.0"),
    *(
        b"get / HTTP/1.1",
        b"GET /\xe9 HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET / http/1.1",
    ),
    *(
        b"GET /a b HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET /%2 HTTP/1.1",
        b"POST / HTTP/1.1",
    ),
    *(b"GET a HTTP/1.1", b"GET /{}|^`<> HTTP/1.1", b"GETX / HTTP/1.1", b"GET /"),
]
PLAIN = [b"Accept: */*\r\n", b"X: y z\r\n", b"x:1 \r\n", b"Connection: keep-alive\r\n"]
separators = st.sampled_from([b": ", b":", b":  ", b" :", b":\t", b""])
ends = st.sampled_from(ENDS)
names, values = st.sampled_from(NAMES), st.sampled_from(VALUES)
hostile = st.tuples(names, separators, values, ends).map(b"".join)
plain = st.sampled_from(PLAIN)
lines = st.sampled_from([LINES[0] + END, LINES[1] + END]) | st.tuples(
    st.sampled_from(LINES), ends
).map(b"".join)
middles = st.lists(plain | plain | hostile, max_size=4).map(b"".join)
heads = st.tuples(
    *(lines, st.just(b"Host: a\r\n"), middles),
    st.just(END) | ends,
).map(b"".join)


@given(heads)
def test_what_is_taken_is_what_the_parser_would_have_read(data):
    request = scanned(data)
    if request is not None:
        assert seen(request) == seen(parsed(data))


@given(st.sampled_from(TAKEN), st.data())
def test_one_byte_more_or_less_or_another_changes_both_alike(data, draw):
    at = draw.draw(st.integers(0, len(data) - 1))
    piece = draw.draw(st.binary(max_size=2))
    changed = data[:at] + piece + data[at + draw.draw(st.integers(0, 2)) :]
    request = scanned(changed)
    if request is not None:
        assert seen(request) == seen(parsed(changed))
