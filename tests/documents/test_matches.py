"""Which of the matches an edit means, and by which selector viewers find it."""

import random

import pytest

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.matches import chosen, outermost, told_selector
from beamfast.documents.selector import Selector
from beamfast.errors import DocumentError

PAGE = Document(b"<!doctype html><div id=a><p>1<p>2</div><div><p id=b>3</p></div>")


@pytest.mark.parametrize(
    ("match", "numbers"),
    [("first", [0]), ("all", [0, 1, 2]), ("none-ok", [0]), (1, [0]), (3, [2])],
)
def test_the_meant_ones_are_chosen(match, numbers):
    found = PAGE.select(Selector("p"))
    assert list(chosen(found, match)) == [found[number] for number in numbers]


@pytest.mark.parametrize(
    ("css", "match", "code"),
    [
        ("h6", "first", "no-match"),
        ("h6", "all", "no-match"),
        ("h6", "only", "no-match"),
        ("p", 4, "no-match"),
        ("p", "only", "several-matches"),
    ],
)
def test_what_cannot_be_meant_is_an_error(css, match, code):
    with pytest.raises(DocumentError) as caught:
        chosen(PAGE.select(Selector(css)), match)
    assert caught.value.code == code


def test_none_may_be_meant():
    assert list(chosen([], "none-ok")) == []


def test_what_lies_inside_another_target_is_left_out():
    targets = PAGE.select(Selector("div, p"))
    assert [one.tag for one in outermost(targets)] == ["div", "div"]


def test_names_and_ids_that_css_has_to_escape_are_found():
    chance = random.Random(1)
    characters = "abA1-_:.<\"'=@#[](){}*~\\$\x01é,;!&%+^|`"
    for _ in range(500):
        name, text = ("".join(chance.choices(characters, k=3)) for _ in range(2))
        page = Document(f"<a{name}>x</a{name}><a{name} id='{text}'>y".encode())
        for element in page.html.iter_elements():
            assert page.html.select(element.css_path()) == [element]


def test_the_selector_of_the_writer_is_told_where_viewers_would_find_the_same():
    first, second, _ = PAGE.select(Selector("p"))
    operation = Operation(Kind.DELETE, Selector("p"))
    assert told_selector(operation, first, is_first=True) == "p"
    assert told_selector(operation, second, is_first=False) == ("#a > p:nth-of-type(2)")
    operation = Operation(Kind.DELETE, Selector.parse_xpath("//p"))
    assert told_selector(operation, first, is_first=True) == ("#a > p:nth-of-type(1)")
