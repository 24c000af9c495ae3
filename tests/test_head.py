import pytest
from httptools import HttpParserCallbackError, HttpRequestParser

from beamfast._head import BODY, HEAD, IDLE, SKIP, UPGRADE, HeadCollector

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\nX: 1 \t\r\nx: 2\r\n\r\n"


class Refused(Exception):
    pass


class Collector(HeadCollector):
    """Stops at the end of the head, unless told to go on."""

    def __init__(self, *limits):
        self.trailers = []

    def on_excess(self, status):
        raise Refused(status)

    def on_trailer(self, key):
        self.trailers.append(key)

    def on_headers_complete(self):
        if self.part == HEAD:
            self.part = BODY


def collect(*pieces, limits=(100, 200, 10), part=IDLE):
    collector = Collector(*limits)
    collector.part = part
    collector.llhttp = HttpRequestParser(collector)
    for piece in pieces:
        collector.llhttp.feed_data(piece)
    return collector


def refused(*pieces, limits):
    with pytest.raises(HttpParserCallbackError) as caught:
        collect(*pieces, limits=limits)
    return caught.value.__context__.args[0]


def test_the_parts_of_a_message_are_five():
    assert len({IDLE, HEAD, BODY, SKIP, UPGRADE}) == 5


def test_fields_are_kept_as_they_stand_and_found_by_lower_case():
    collector = collect(REQUEST)
    assert (collector.method, collector.target) == (b"GET", b"/a")
    assert collector.raw == [(b"Host", b"a"), (b"X", b"1"), (b"x", b"2")]
    assert collector.index == {b"host": [b"a"], b"x": [b"1", b"2"]}
    assert collector.head_size == REQUEST.index(b"\r\n\r\n") + 2


def test_the_next_message_begins_afresh():
    collector = collect(REQUEST, REQUEST)
    assert (collector.part, collector.begun) == (BODY, True)
    assert len(collector.raw) == 3


def test_a_target_in_pieces_is_put_together():
    collector = collect(b"GET /ab", b"c/d", b"ef HTTP/1.1\r\n")
    assert (collector.target, collector.part) == (b"/abc/def", HEAD)


def test_every_message_begins_anew():
    collector = collect(REQUEST, b"GET / HTTP/1.1\r\nY: \r\n\r\n")
    assert (collector.target, collector.raw) == (b"/", [(b"Y", b"")])


@pytest.mark.parametrize("pieces", [[b"GET /" + b"a" * 90], [b"GET /", b"a" * 90]])
def test_a_request_line_over_its_limit_is_414(pieces):
    assert refused(*pieces, b" HTTP/1.1\r\n", limits=(100, 999, 10)) == 414


def test_a_request_line_may_have_its_limit():
    line = b"GET /" + b"a" * 86 + b" HTTP/1.1\r\n"
    assert len(line) == 102
    assert collect(line, limits=(100, 999, 10)).head_size == 102


@pytest.mark.parametrize("limits", [(100, 39, 10), (100, 200, 2)])
def test_fields_over_a_limit_are_431(limits):
    assert refused(REQUEST, limits=limits) == 431
    assert len(collect(REQUEST, limits=(100, 40, 3)).raw) == 3


def test_trailer_fields_are_counted_and_named_but_not_kept():
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    collector = collect(head, b"0\r\nCheck: sum\r\n\r\n")
    assert collector.trailers == [b"check"]
    assert list(collector.index) == [b"transfer-encoding"]
    assert refused(head, b"0\r\nA: b\r\n\r\n", limits=(100, 200, 1)) == 431


def test_a_head_that_was_announced_before_is_passed_over():
    collector = collect(REQUEST[:-2], part=SKIP)
    assert (collector.raw, collector.target, collector.part) == ([], b"", SKIP)


def test_the_class_alone_refuses_nothing_by_itself():
    collector = HeadCollector(10, 10, 1)
    collector.on_trailer(b"x")
    with pytest.raises(NotImplementedError):
        collector.on_excess(431)


def test_only_bytes_are_taken():
    collector = HeadCollector(10, 10, 1)
    for wrong in (None, "text"):
        with pytest.raises(TypeError):
            collector.on_url(wrong)
        with pytest.raises(TypeError):
            collector.on_header(wrong, b"")
        with pytest.raises(TypeError):
            collector.on_header(b"", wrong)
