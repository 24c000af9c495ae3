import pytest
from hypothesis import given, strategies as st

from beamfast.errors import HandshakeError
from beamfast.http import Headers
from beamfast.protocol.extensions import (
    Offer,
    activate,
    check_registered,
    negotiate,
    parse_extensions,
)


def parsed(*fields):
    return parse_extensions(
        Headers([("Sec-WebSocket-Extensions", field) for field in fields])
    )


class Fake:
    """Takes what it is told to take."""

    def __init__(self, name, rsv, *, declines=False):
        self.name = name
        self.rsv = rsv
        self.declines = declines
        self.seen = None

    def accept(self, offers):
        self.seen = offers
        return None if self.declines else (offers[0], self)

    def activate(self, parameters):
        self.seen = parameters
        return self


def test_no_field_means_no_offers():
    assert parsed() == parsed("") == parsed(" \t") == []


def test_names_parameters_and_values_are_read():
    offers = parsed('a; x; y=1;\tz = "q" ,b', 'c; w="a\\b"')
    assert offers == [
        Offer("a", [("x", None), ("y", "1"), ("z", "q")]),
        Offer("b", []),
        Offer("c", [("w", "ab")]),
    ]


def test_case_is_kept():
    assert parsed("PMD; X=Y") == [Offer("PMD", [("X", "Y")])]


@pytest.mark.parametrize(
    "field",
    [
        ",",
        "a,",
        ",a",
        "a,,b",
        "a;",
        "a; ;b",
        "a; =1",
        "a; x=",
        "a; x=,b",
        "a b",
        "a; x=y z",
        'a; x="y',
        'a; x="y"z',
        'a; x="y\\',
        'a; x=""',
        'a; x="y z"',
        "a; x=\u00e4",
        "a/b",
        "a\x0b",
    ],
)
def test_broken_field_is_refused_by_its_name(field):
    with pytest.raises(HandshakeError, match="Sec-WebSocket-Extensions") as caught:
        parsed('foo; bar="' + "\\a" * 100_000)
    assert caught.value.status == 400


def test_unclosed_string_of_escapes_is_read_once():
    # A parser that goes back in such fields does not end before the test run.
    with pytest.raises(HandshakeError):
        parsed('foo; bar="' + "\\a" * 100_000)
    with pytest.raises(HandshakeError):
        parsed("a" * 100_000 + '; x="' + '"' * 100_000)


TOKEN = st.text("abcXYZ0189-_.!~", min_size=1, max_size=6)
OFFER = st.builds(
    Offer, TOKEN, st.lists(st.tuples(TOKEN, st.none() | TOKEN), max_size=3)
)


@given(st.lists(OFFER, min_size=1, max_size=4))
def test_what_was_written_is_read_back(offers):
    assert parsed(", ".join(map(str, offers))) == offers
    assert parsed(*map(str, offers)) == offers


@given(st.text(max_size=30))
def test_any_field_is_read_or_refused(text):
    try:
        headers = Headers([("Sec-WebSocket-Extensions", text)])
    except ValueError:
        return
    try:
        offers = parse_extensions(headers)
    except HandshakeError:
        return
    assert offers or not text.strip(" \t")


# Negotiation


def test_server_answers_in_the_order_of_registration():
    first, second = Fake("a", 4), Fake("b", 2)
    offers = [Offer("b", [("y", None)]), Offer("c"), Offer("a", [("x", "1")])]
    answers, active = negotiate(offers, [first, second])
    assert [str(answer) for answer in answers] == ["a; x=1", "b; y"]
    assert active == (first, second)


def test_extension_sees_all_its_offers_at_once():
    extension = Fake("a", 4)
    negotiate([Offer("a", [("x", None)]), Offer("b"), Offer("a")], [extension])
    assert extension.seen == [[("x", None)], ()]


def test_second_extension_of_a_bit_is_passed_over():
    offers = [Offer("a"), Offer("b")]
    first, second = Fake("a", 4), Fake("b", 6)
    assert negotiate(offers, [first, second])[1] == (first,)


def test_bit_is_free_when_the_first_extension_declines():
    offers = [Offer("a"), Offer("b")]
    first, second = Fake("a", 4, declines=True), Fake("b", 4)
    assert negotiate(offers, [first, second])[1] == (second,)


def test_client_follows_the_order_of_the_response():
    first, second = Fake("a", 4), Fake("b", 2)
    answers = [Offer("b"), Offer("a", [("x", None)])]
    assert activate(answers, [first, second]) == (second, first)
    assert first.seen == [("x", None)]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["c"], "unexpected"), (["a", "a"], "unexpected"), (["a", "b"], "taken bit")],
)
def test_response_that_does_not_fit_the_offer_is_refused(names, message):
    with pytest.raises(HandshakeError, match=message):
        activate([Offer(name) for name in names], [Fake("a", 4), Fake("b", 4)])


def test_registering_twice_or_without_a_bit_is_refused():
    check_registered([Fake("a", 4), Fake("b", 4)])
    with pytest.raises(ValueError, match="twice"):
        check_registered([Fake("a", 4), Fake("a", 2)])
    with pytest.raises(ValueError, match="reserved"):
        check_registered([Fake("a", 0)])
