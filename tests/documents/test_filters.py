"""Which subscription filters a recorded edit concerns."""

import random

import pytest

from beamfast.documents.change import ElementEdit, Origin, Replacement, carry_out
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.filters import matching_filters
from beamfast.documents.selector import Selector
from beamfast.entry import Version
from beamfast.errors import DocumentError

PAGE = (
    b"<!doctype html><title>t</title><div class=k>x<p id=a><i>1</i> y<b>2</b></p>"
    b"<ul><li>1<li class=k>2<li>3</ul><p>z</p><table><tr><td>c</table></div>tail"
)
FILTERS = [
    Selector.parse(css)
    for css in (
        *("p", "#a", "i", "b", "u", ".k", "li", "ul > li", "td", "table", "title"),
        *("*", "html", "body", "p + ul", "li:last-child", "li:nth-child(2)", ":root"),
    )
]
CONTENTS = [b"<u>n</u>", b"text", b"<p class=k>1</p><p>2</p>", b"", b"<i>1</i>t"]


def outcome_of(kind, css, content=b"", name="class", filters=FILTERS):
    operation = Operation(kind, Selector.parse(css), content, name=name)
    change = ElementEdit(operation, kind.told_as)
    document = Document(PAGE)
    return carry_out(
        *(change, document, document.version, Origin("/p")),
        edit_limit=2**20,
        filters=filters,
    )


def matching(outcome, filters=FILTERS):
    before, after = Document(PAGE), outcome.document
    return matching_filters(filters, outcome.entry, before, after)


def definition(before, after, selector):
    """Return the filters that hold something which the edit took away or brought."""
    old = before.html.select_one(selector)
    return {
        wanted
        for wanted in FILTERS
        if old in wanted.select(before.html)
        or any(one in wanted.select(before.html) for one in old.iter_elements())
        or any(old in one.iter_elements() for one in wanted.select(before.html))
    }


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
def test_the_entry_alone_says_what_the_edit_said(kind):
    chance = random.Random(kind.value)
    compared = 0
    for _ in range(150):
        css = chance.choice(FILTERS).text
        try:
            outcome = outcome_of(kind, css, chance.choice(CONTENTS), "title")
        except DocumentError:
            continue
        compared += 1
        assert matching(outcome) == outcome.edit.matched, (css, outcome.entry)
    assert compared > 20


def test_what_holds_and_what_lies_inside_the_removed_element_counts():
    outcome = outcome_of(Kind.DELETE, "#a")
    assert matching(outcome) >= definition(Document(PAGE), outcome.document, "#a")
    assert Selector("table") not in matching(outcome)
    assert Selector("li") not in matching(outcome)


def test_what_the_edit_brings_counts():
    outcome = outcome_of(Kind.APPEND, "#a", b"<u>n</u>")
    assert Selector("u") in matching(outcome)
    assert Selector("i") not in matching(outcome)


def test_everybody_gets_what_cannot_be_compared():
    outcome = outcome_of(Kind.DELETE, "#a")
    entry, after = outcome.entry, outcome.document
    assert matching_filters(FILTERS, entry, None, after) == set(FILTERS)
    assert matching_filters(FILTERS, entry, Document(PAGE), None) == set(FILTERS)
    # An entry that was not made on this document.
    assert matching_filters(FILTERS, entry, Document(b"x"), after) == set(FILTERS)
    whole = carry_out(
        *(Replacement(b"<p>"), Document(PAGE), Version.of_file(PAGE), Origin("/p")),
        edit_limit=2**20,
    ).entry
    assert matching_filters(FILTERS, whole, Document(PAGE), after) == set(FILTERS)
    assert matching_filters([], entry, Document(PAGE), after) == set()
