"""XPath 1.0: what it selects, and what it may not do."""

import random

import pytest

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.documents.several import apply_matching
from beamfast.errors import EditRefused, SelectorError

PAGE = Document(
    b"<!doctype html><title>t</title><div id=a @click=x><ul><li>1<li class='k m'>2<li>3"
    b"</ul><table><tr><td>c</table></div><template><p>in</p></template>"
    b"<svg viewBox='0 0 1 1'><path d=''/></svg><p>\x0c\x00end</p><o:p>z</o:p>"
)


def found(expression, document=PAGE, **options):
    selector = Selector.parse_xpath(expression)
    return [one.serialize() for one in document.select(selector, **options)]


@pytest.mark.parametrize(
    ("expression", "css"),
    [
        ("//li[2]", "li:nth-child(2)"),
        ("//*[@id='a']/ul/li", "#a > ul > li"),
        ("//li[contains(concat(' ', @class, ' '), ' k ')]", "li.k"),
        ("//tbody/tr/td", "tbody > tr > td"),
        ("//svg:path", "path"),
        ("//p", "body > p"),
        ("/html/body/*[last()]", "body > :last-child"),
        ("//li[. = '2'] | //title", "title, li.k"),
        ("//td[ancestor::div[@id]]", "div td"),
        ("//li[following-sibling::li]", "li:not(:last-child)"),
        ("//text()/..", "body *:has(> :not(*)), nothing"),
    ],
)
def test_it_selects_the_elements_that_css_would(expression, css):
    if css.endswith("nothing"):
        assert found(expression)
        return
    assert found(expression) == [
        one.serialize() for one in PAGE.select(Selector.parse(css))
    ]


@pytest.mark.system(debian=["git-doc", "sqlite3-doc"])
def test_every_element_of_real_pages_is_found_by_its_path(debian_pages):
    chance = random.Random(1)
    for source in chance.sample(debian_pages, 150):
        document = Document(source)
        if document.size > 60_000:
            continue
        elements = list(document.html.iter_elements())
        for copy in chance.sample(list(document.tree.iter("*")), 3):
            path = copy.getroottree().getpath(copy)
            (element,) = document.select(Selector.parse_xpath(path))
            css = element.css_path()
            assert document.html.select_one(css) is element
            assert elements.index(element) == list(document.tree.iter("*")).index(copy)


def test_only_elements_count_and_templates_are_closed():
    assert found("//comment() | //@id | //title") == ["<title>t</title>"]
    assert found("//template/p") == []
    assert found("//template//p", template_scope=True) == ["<p>in</p>"]


@pytest.mark.parametrize(
    "expression",
    [
        *("", "//", "//li[", "$x", "//li[$x]", "document('x')", "//x:y", "//li[foo()]"),
        *("re:test(., 'x')", "1 + 1", "'text'", "count(//li)", "\0", "//li[key('a')]"),
    ],
)
def test_what_selects_no_elements_is_refused(expression):
    with pytest.raises(SelectorError) as caught:
        found(expression)
    assert caught.value.status == 404


def test_words_in_literals_are_no_functions():
    assert found("//li[. = 'foo(2) $x']") == []
    assert found('//li[@class="k m"]') == ['<li class="k m">2</li>']


@pytest.mark.parametrize(
    "expression",
    [
        "//*" * 2000,
        "//*[count(//*[count(//*) > 0]) > 0]",
        "//*[preceding::*[following::*[1]]]",
        "//*[" * 9 + "1" + "]" * 9,
    ],
)
def test_what_would_take_unreasonably_long_is_refused(expression):
    document = Document(b"<div><i></i></div>" * 2000)
    with pytest.raises(SelectorError) as caught:
        found(expression, document)
    assert (caught.value.status, caught.value.code) == (400, "selector-too-complex")


def test_a_page_that_has_no_xml_form_has_no_xpath():
    document = Document(b"<p>a<a<b>c</p>")
    assert document.select(Selector("p"))
    with pytest.raises(EditRefused) as caught:
        found("//p", document)
    assert (caught.value.status, caught.value.code) == (422, "no-xml-tree")


def test_edits_find_their_elements_by_xpath_and_tell_a_css_path():
    operation = Operation(
        Kind.DELETE, Selector.parse_xpath("//li[position() > 1]"), match="all"
    )
    document = Document(PAGE.source)
    edits = apply_matching(document, operation)
    assert b"<ul><li>1</ul>" in edits[-1].source
    assert edits[0].selector == "#a > ul > li:nth-of-type(3)"
