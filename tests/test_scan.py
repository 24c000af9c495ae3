import pytest

from beamfast._fields import Fields
from beamfast._scan import HeadScanner

LINE = b"GET /a?b HTTP/1.1\r\n"
HEAD = LINE + b"Host: a\r\n"


class Request:
    __slots__ = (
        *("_is_websocket", "headers", "method", "path", "query"),
        *("target", "url", "user"),
    )

    def __init__(self):
        self.user = "nobody"
        self._is_websocket = False


class Calls:
    """What a scanner asks, and how often."""

    def __init__(self):
        self.split = []

    def split_path(self, target):
        self.split.append(target)
        path, _, query = target.partition("?")
        return None if "!" in path else (path, path.upper(), query)


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def scanner(calls):
    return HeadScanner(
        *(Request(), Fields, calls.split_path, {b"a", b"bc"}.__contains__),
        *(600, 1000, 3),
    )


def test_a_head_becomes_a_request(scanner):
    request = scanner.read(HEAD + b"x-Y:1\r\nX-y:  2 3 \r\n\r\n")
    assert type(request) is Request
    assert (request.method, request.target, request.user) == ("GET", "/a?b", "nobody")
    assert (request.url, request.path, request.query) == ("/a", "/A", "b")
    assert type(request.headers) is Fields
    assert request.headers.raw == [(b"Host", b"a"), (b"x-Y", b"1"), (b"X-y", b"2 3")]
    assert request.headers.index == {b"host": [b"a"], b"x-y": [b"1", b"2 3"]}
    assert scanner.read(b"HEAD / HTTP/1.1\r\nHost: bc\r\n\r\n").method == "HEAD"


def test_requests_share_nothing_that_one_could_change(scanner):
    first, second = scanner.read(HEAD + b"\r\n"), scanner.read(HEAD + b"\r\n")
    first.headers.raw.clear()
    first.headers.index[b"host"].clear()
    assert second.headers.raw == [(b"Host", b"a")]
    assert second.headers.index == {b"host": [b"a"]}


def test_a_target_is_looked_at_once_while_there_are_few(scanner, calls):
    scanner.read(HEAD + b"\r\n")
    scanner.read(HEAD + b"\r\n")
    assert calls.split == ["/a?b"]
    for number in range(256):
        scanner.read(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
    scanner.read(HEAD + b"\r\n")
    assert calls.split[-1] == "/a?b"
    assert len(calls.split) == 258


def test_names_that_share_a_place_are_told_apart(scanner):
    for number in range(1000):
        name = b"X-%d" % number
        request = scanner.read(HEAD + name + b": 1\r\n\r\n")
        assert request.headers.raw[1] == (name, b"1")
        assert request.headers.index[name.lower()] == [b"1"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /",
        b"HEAD /",
        b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /! HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /" + b"a" * 512 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        LINE,
        LINE + b"\r\n",
        LINE + b"Host: b\r\n\r\n",
        HEAD,
        HEAD + b"\r",
        HEAD + b"\ra",
        HEAD + b"\r\na",
        HEAD + b"\r\n\r\n",
        HEAD + b"x",
        HEAD + b"x\r\n\r\n",
        HEAD + b": 1\r\n\r\n",
        HEAD + b"x : 1\r\n\r\n",
        HEAD + b" x: 1\r\n\r\n",
        HEAD + b"x: 1",
        HEAD + b"x: 1\r",
        HEAD + b"x: 1\r\r\n\r\n",
        HEAD + b"x: 1\n\r\n",
        HEAD + b"x:\r\n\r\n",
        HEAD + b"x: \r\n\r\n",
        HEAD + b"x: 1\t\r\n\r\n",
        HEAD + b"x: 1\x00\r\n\r\n",
        HEAD + b"x: 1\x7f\r\n\r\n",
        HEAD + b"x: \xe9\r\n\r\n",
        HEAD + b"x" * 65 + b": 1\r\n\r\n",
        HEAD + b"x: 1\r\n" * 3 + b"\r\n",
        HEAD + b"x: " + b"1" * 1000 + b"\r\n\r\n",
        HEAD + b"host: a\r\n\r\n",
        HEAD + b"Connection: close\r\n\r\n",
        HEAD + b"Connection: keep-alive, x\r\n\r\n",
        HEAD + b"Connection: keep-alive\r\nConnection: keep-alive\r\n\r\n",
        HEAD + b"Content-Length: 0\r\n\r\n",
        HEAD + b"Transfer-encoding: chunked\r\n\r\n",
        HEAD + b"Trailer: x\r\n\r\n",
        HEAD + b"Expect: 100-continue\r\n\r\n",
        HEAD + b"UPGRADE: websocket\r\n\r\n",
        HEAD + b"Proxy-Connection: close\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_left_alone(scanner, data):
    for _ in range(2):
        assert scanner.read(data) is None


def test_a_connection_that_stays_may_say_so(scanner):
    assert scanner.read(HEAD + b"Connection: keep-alive\r\n\r\n") is not None


@pytest.mark.parametrize(
    ("method", "protocol", "connection", "is_websocket"),
    [
        ("GET", "websocket", "Upgrade", True),
        ("GET", "WebSocket", "keep-alive, Upgrade", True),
        ("HEAD", "websocket", "Upgrade", None),
        ("GET", "h2c", "Upgrade", None),
        ("GET", "websocket", "keep-alive", None),
    ],
)
def test_a_connection_may_become_a_websocket_and_nothing_else(
    scanner, method, protocol, connection, is_websocket
):
    head = f"Host: a\r\nConnection: {connection}\r\nUpgrade: {protocol}\r\n\r\n"
    request = scanner.read(f"{method} / HTTP/1.1\r\n{head}".encode())
    assert (request and request._is_websocket) is is_websocket


@pytest.mark.parametrize(("limit", "is_read"), [(17, True), (16, False)])
def test_the_first_line_has_its_own_limit(calls, limit, is_read):
    scanner = HeadScanner(
        *(Request(), Fields, calls.split_path, {b"a"}.__contains__),
        *(limit, 1000, 3),
    )
    assert (scanner.read(HEAD + b"\r\n") is not None) == is_read


@pytest.mark.parametrize(
    ("model", "fields", "error"),
    [
        (object(), Fields, AttributeError),
        (Request(), object, TypeError),
        (Request(), None, TypeError),
        (Calls(), Fields, TypeError),
    ],
)
def test_a_scanner_fills_only_what_it_knows(model, fields, error):
    with pytest.raises(error):
        HeadScanner(model, fields, str, bool, 1, 1, 1)


def test_a_scanner_fills_slots_only():
    class Odd:
        __slots__ = ("headers", "path", "query", "target", "url")
        method = property()

    with pytest.raises(TypeError, match="method is no slot"):
        HeadScanner(Odd(), Fields, str, bool, 1, 1, 1)


def test_more_fields_than_are_usual_are_left_alone(calls):
    scanner = HeadScanner(
        *(Request(), Fields, calls.split_path, {b"a"}.__contains__),
        *(600, 100_000, 1000),
    )
    assert len(scanner.read(HEAD + b"x: 1\r\n" * 127 + b"\r\n").headers) == 128
    assert scanner.read(HEAD + b"x: 1\r\n" * 128 + b"\r\n") is None
    assert scanner.read(HEAD + b"x: " + b"1" * 70_000 + b"\r\n\r\n") is None
