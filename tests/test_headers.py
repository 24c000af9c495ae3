import pytest
from hypothesis import given, strategies as st

from beamfast.headers import Headers

names = st.text("abcXYZ-_!", min_size=1, max_size=8)
values = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))


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


def test_the_lines_are_those_of_the_wire():
    headers = Headers([("A", "1"), ("b", "\xfc")])
    assert headers.lines == b"A: 1\r\nb: \xfc\r\n"
    headers.add("C", "")
    assert headers.lines == b"A: 1\r\nb: \xfc\r\nC: \r\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.add("B", "2"),
        lambda headers: headers.set("A", "2"),
        lambda headers: headers.remove("a"),
        lambda headers: headers.update(Headers([("A", "2")])),
        lambda headers: headers.add_token("A", "x"),
    ],
)
def test_a_copy_changes_alone(change):
    headers = Headers([("A", "1")])
    assert (headers.lines, "a" in headers) == (b"A: 1\r\n", True)
    first, second = headers.copy(), headers.copy()
    change(first)
    assert list(headers) == list(second) == [("A", "1")]
    assert (headers.lines, second.lines) == (b"A: 1\r\n", b"A: 1\r\n")
    assert first.lines == b"".join(b"%s: %s\r\n" % field for field in first.raw)
    assert list(first.index) == list(dict.fromkeys(k.lower() for k, _ in first.raw))
