"""What selectors cost, estimated."""

import pytest
import turbohtml

from beamfast.documents.document import Document
from beamfast.documents.selector import Selector
from beamfast.documents.selector_cost import Shape, Weight, shape_of, weight_of
from beamfast.errors import SelectorError


@pytest.mark.parametrize(
    ("css", "numbering", "climbing"),
    [
        *(("p", 0, 0), ("li:nth-child(2n + 1) .text", 0, 0), ("a:hover", 0, 0)),
        *(("li:nth-last-child(2)", 0, 0), (":first-of-type", 0, 0)),
        *(("p:nth-of-type(3)", 1, 0), ("p:nth-of-type(1) > b:nth-of-type(2)", 2, 0)),
        *(("p:nth-child(2):nth-last-child(3)", 2, 0), ("p:nth-child(2 of b)", 4, 0)),
        *((":nth-child(n of :nth-child(2 of b))", 32, 0), ("a:has(b)", 0, 0)),
        *((":has(> b)", 0, 0), (":has(+ b)", 0, 0), (":has( > b )", 0, 0)),
        *((":has(b c)", 0, 1), (":has(> a > b)", 0, 1), (":has(:has(b))", 0, 1)),
        *((":has(:is(a b))", 0, 1), (":is(a b)", 0, 0), ("[a=':has(b c)']", 0, 0)),
        ('a[title=":nth-of-type("]:has(b)', 0, 0),
    ],
)
def test_only_what_takes_more_than_a_pass_has_weight(css, numbering, climbing):
    assert weight_of(css) == Weight(numbering, climbing)


def test_the_shape_counts_elements_levels_and_pairs():
    tree = turbohtml.parse("<ul><li>1<li>2<li>3</ul><template><p><b>x</b></template>")
    # html; head, body; ul, template; three li; p and b in the template.
    assert shape_of(tree) == Shape(10, 4, 1 + 4 + 4 + 9 + 1 + 1)


@pytest.mark.parametrize(
    ("source", "css"),
    [
        (b"<ul>" + b"<li>a</li>" * 30_000, "li:nth-child(2n):nth-of-type(3n)"),
        (b"<div>" + b"<p></p><b></b>" * 15_000, "p:nth-of-type(2), b:nth-of-type(2)"),
        (b"<div>" * 30_000, "div:has(b *)"),
        (b"<div>" * 30_000, "div:has(* *)"),
    ],
)
def test_what_would_take_minutes_is_refused_at_once(source, css):
    document = Document(source)
    with pytest.raises(SelectorError) as caught:
        document.select(Selector.parse(css))
    assert (caught.value.status, caught.value.code) == (400, "selector-too-complex")
    # The same document and a cheaper selector.
    assert document.select(Selector.parse("li:nth-child(2n), p, div"))


def test_documents_that_people_write_take_any_selector():
    page = b"<ul>" + b"<li><b>a</b><i>c</i></li>" * 3000
    document = Document(page)
    for css in ("li:nth-of-type(2n) b:nth-of-type(1)", "ul:has(li > b):has(b + i)"):
        assert document.select(Selector.parse(css))
