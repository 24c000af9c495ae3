import pytest

from beamfast._fields import Fields
from beamfast._scan import HeadScanner

RAW = [(b"B", b"1"), (b"a", b"2"), (b"b", b"3")]


class Request:
    __slots__ = ("headers", "method", "path", "query", "target", "url")


def put(raw):
    fields = Fields()
    fields.put(raw)
    return fields


def scanned(raw):
    """Return the same fields as a scanner leaves them, with a Host before them."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in raw)
    scanner = HeadScanner(
        *(Request(), Fields, lambda target: (target,) * 3, lambda value: True),
        *(1000, 1000, 100),
    )
    return scanner.read(b"GET / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n").headers


@pytest.fixture(params=[put, scanned], ids=["put", "scanned"])
def make(request):
    return request.param


def test_fields_stand_in_order_and_are_found_in_lower_case():
    fields = put(RAW)
    assert fields.raw is RAW
    assert len(fields) == 3
    assert fields.index == {b"b": [b"1", b"3"], b"a": [b"2"]}


def test_lines_are_those_of_the_wire_and_follow_a_change():
    fields = put(RAW)
    assert fields.lines == b"B: 1\r\na: 2\r\nb: 3\r\n"
    assert fields.lines is fields.lines
    fields.put([])
    assert (fields.lines, fields.index) == (b"", {})


def test_a_copy_shares_until_one_of_them_changes():
    class Kind(Fields):
        pass

    first = Kind()
    first.put(RAW)
    second = first.copy()
    assert type(second) is Kind
    assert second.raw is RAW
    assert second.lines is first.lines
    second.put(RAW[:1])
    assert first.raw is RAW
    assert first.index == {b"b": [b"1", b"3"], b"a": [b"2"]}


@pytest.mark.parametrize("raw", [None, [(b"a",)], [("a", b"1")]])
def test_what_is_no_list_of_pairs_of_bytes_is_refused(raw):
    with pytest.raises((TypeError, ValueError)):
        put(raw)


def test_an_only_value_is_not_one_of_several(make):
    fields = make(RAW)
    assert fields.only(b"a") == b"2"
    assert fields.only(b"b") is None
    assert fields.only(b"c") is None


def test_a_scanned_head_is_taken_apart_when_that_is_asked_for():
    raw = [(b"Host", b"h"), *RAW]
    fields = scanned(RAW)
    assert fields.raw == raw
    assert fields.raw is fields.raw
    assert fields.index == put(raw).index
    assert scanned(RAW).index == put(raw).index
    assert len(scanned(RAW)) == 4
    assert scanned(RAW).lines == put(raw).lines
    assert scanned(RAW).copy().raw == raw


def test_fields_of_a_scanned_head_can_be_replaced():
    fields = scanned(RAW)
    fields.put([(b"X", b"1")])
    assert (fields.has(b"host"), fields.has(b"x")) == (False, True)


def test_an_index_that_is_known_is_not_made():
    index = {b"a": [b"1"]}
    fields = Fields()
    fields.put([(b"A", b"1")], index)
    assert fields.index is index


def test_fields_are_found_by_name(make):
    fields = make(RAW)
    assert fields.has(b"a")
    assert not fields.has(b"c")
    assert not fields.has(b"bb")
    assert fields.first(b"b") == b"1"
    assert fields.first(b"c") is None
    assert fields.values(b"b") == [b"1", b"3"]
    assert fields.values(b"c") == []


@pytest.mark.parametrize(
    ("prefix", "is_there"),
    [
        (b"if-", True),
        (b"if-none-match", True),
        (b"if-none-matchx", False),
        (b"x", False),
    ],
)
def test_the_begin_of_a_name_is_found(make, prefix, is_there):
    assert make([(b"A", b"1"), (b"If-None-Match", b"2")]).has_prefix(prefix) is is_there


@pytest.mark.parametrize(
    ("needs", "is_there"),
    [
        ((), False),
        (((b"b", b""),), True),
        (((b"c", b""),), False),
        (((b"c", b""), (b"accept", b"")), True),
        (((b"accept", b"event-stream"),), True),
        (((b"accept", b"stream;q"),), True),
        (((b"accept", b"text/html"),), True),
        (((b"accept", b"streams"),), False),
        (((b"accept", b"a" * 99),), False),
        (((b"b", b"1"), (b"b", b"4")), True),
        (((b"b", b"3"),), True),
        (((b"b", b"4"),), False),
    ],
)
def test_a_word_is_found_in_any_value_of_a_name(make, needs, is_there):
    raw = [*RAW, (b"Accept", b"Text/HTML"), (b"Accept", b"text/Event-Stream;q=1")]
    assert make(raw).has_any(needs) is is_there


@pytest.mark.parametrize("needs", [None, (b"a",), ((b"a", "b"),), (("a", b""),)])
def test_what_is_no_pair_of_bytes_is_not_looked_for(make, needs):
    with pytest.raises((TypeError, ValueError)):
        make(RAW).has_any(needs)
