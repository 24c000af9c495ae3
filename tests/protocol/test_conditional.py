import time

import pytest
from hypothesis import given, strategies as st

from beamfast.errors import PreconditionFailed
from beamfast.http import Headers
from beamfast.protocol.conditional import Conditions, EntityTags

NOVEMBER = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def conditions(*fields):
    return Conditions.from_headers(Headers(fields))


def is_met(*fields, etags=("a",), modified=None):
    try:
        conditions(*fields).require(*etags, modified=modified)
    except PreconditionFailed:
        return False
    return True


# Entity tags (RFC 9110, 8.8.3)


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ('"a"', ((False, "a"),)),
        ('W/"a"', ((True, "a"),)),
        ('"a", W/"b" ,"c"', ((False, "a"), (True, "b"), (False, "c"))),
        ('"a,b"', ((False, "a,b"),)),
        ('""', ((False, ""),)),
        ('"\xe9"', ((False, "\xe9"),)),
        # Empty members of a list are ignored (RFC 9110, 5.6.1.2).
        (', "a",, ,"b",', ((False, "a"), (False, "b"))),
    ],
)
def test_lists_of_tags_are_read(value, tags):
    assert EntityTags.parse(value) == EntityTags(is_any=False, tags=tags)


@pytest.mark.parametrize("value", ["", "a", 'w/"a"', '"a', '"a"b', '"a\x7f"', '*, "a"'])
def test_what_is_malformed_matches_nothing(value):
    tags = EntityTags.parse(value)
    assert not tags.matches("a", "b", "", weak=True)


def test_a_star_matches_what_exists():
    tags = EntityTags.parse(" * ")
    assert tags.matches("a", weak=False)
    assert not tags.matches(None, weak=False)


@given(st.text(st.characters(max_codepoint=255)))
def test_any_text_can_be_parsed(value):
    EntityTags.parse(value)


@given(st.lists(st.tuples(st.booleans(), st.text("!#a~\xff", max_size=3))))
def test_lists_of_tags_come_back(tags):
    value = ", ".join(f'{"W/" if is_weak else ""}"{tag}"' for is_weak, tag in tags)
    assert EntityTags.parse(value).tags == tuple(tags)


# If-Match, If-None-Match and the dates before a write (RFC 9110, 13.2.2)


def test_without_conditions_every_write_is_met():
    assert conditions().is_empty
    assert is_met()


@pytest.mark.parametrize(
    ("value", "etags", "met"),
    [
        ('"a"', ("a",), True),
        ('"b", "a"', ("a",), True),
        ('"f-1"', ("a", "f-1"), True),
        ('"b"', ("a",), False),
        ('W/"a"', ("a",), False),
        ("*", ("a",), True),
        ("*", (None,), False),
        ('"a"', (None,), False),
        # A list without members is a list that nothing is in.
        ("", ("a",), False),
    ],
)
def test_if_match_wants_one_of_its_tags(value, etags, met):
    assert is_met(("If-Match", value), etags=etags) is met


@pytest.mark.parametrize(
    ("value", "etags", "met"),
    [
        ('"a"', ("a",), False),
        ('W/"a"', ("a",), False),
        ('"b"', ("a",), True),
        ("*", ("a",), False),
        ("*", (None,), True),
        ("", ("a",), True),
    ],
)
def test_if_none_match_wants_none_of_its_tags(value, etags, met):
    assert is_met(("If-None-Match", value), etags=etags) is met


def test_all_field_lines_count():
    assert is_met(("If-Match", '"b"'), ("If-Match", '"a"'))


def test_if_match_does_not_excuse_if_none_match():
    assert not is_met(("If-Match", '"a"'), ("If-None-Match", "*"))


@pytest.mark.parametrize(
    ("modified", "met"),
    [(NOVEMBER, True), (NOVEMBER + 0.9, True), (NOVEMBER + 1, False), (None, True)],
)
def test_if_unmodified_since_compares_whole_seconds(modified, met):
    assert is_met(("If-Unmodified-Since", DATE), modified=modified) is met


def test_if_match_overrides_if_unmodified_since():
    fields = [("If-Match", '"a"'), ("If-Unmodified-Since", DATE)]
    assert is_met(*fields, modified=NOVEMBER + 9)


# Answering a read with 304


@pytest.mark.parametrize(
    ("value", "is_unmodified"),
    [('"a"', True), ('W/"a"', True), ('"b"', False), ("*", True), ("", False)],
)
def test_if_none_match_asks_for_what_is_new(value, is_unmodified):
    asked = conditions(("If-None-Match", value))
    assert not asked.is_empty
    assert asked.is_unmodified("a") is is_unmodified


@pytest.mark.parametrize(
    ("modified", "is_unmodified"),
    [(NOVEMBER, True), (NOVEMBER + 0.9, True), (NOVEMBER + 1, False), (None, False)],
)
def test_if_modified_since_compares_whole_seconds(modified, is_unmodified):
    asked = conditions(("If-Modified-Since", DATE))
    assert asked.is_unmodified("a", modified=modified) is is_unmodified


def test_if_none_match_overrides_if_modified_since():
    asked = conditions(("If-None-Match", '"b"'), ("If-Modified-Since", DATE))
    assert not asked.is_unmodified("a", modified=0.0)


def test_a_read_without_conditions_is_answered_in_full():
    assert not conditions().is_unmodified("a", modified=0.0)


# Dates (RFC 9110, 5.6.7)


@pytest.mark.parametrize(
    "date", [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_three_forms_of_dates_are_read(date):
    assert conditions(("If-Modified-Since", date)).if_modified_since == NOVEMBER


@pytest.fixture
def tokyo(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_a_date_without_zone_is_not_taken_for_local_time():
    asked = conditions(("If-Modified-Since", "Sun Nov  6 08:49:37 1994"))
    assert asked.if_modified_since == NOVEMBER


@pytest.mark.parametrize(
    "date",
    [
        "",
        "soon",
        "Sun, 06 Nov 1994",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +99999999999999999999",
        "0",
    ],
)
def test_an_unreadable_date_is_no_condition(date):
    assert conditions(("If-Modified-Since", date)).is_empty


DATE_PIECES = [
    "Sun",
    ",",
    " ",
    "06",
    "Nov",
    "1994",
    "08:49:37",
    "GMT",
    "+",
    "-",
    "9" * 20,
]


@given(
    st.text(st.characters(max_codepoint=255))
    | st.lists(st.sampled_from(DATE_PIECES)).map("".join)
)
def test_any_date_can_be_read(date):
    headers = Headers.from_raw([(b"If-Modified-Since", date.encode("latin-1"))])
    Conditions.from_headers(headers).is_unmodified("a", modified=0.0)
