"""Fragments: content parsed in its place, and its balanced form."""

import pytest
import turbohtml

from beamfast.documents.fragment import (
    fragment_for,
    fragment_in,
    is_structural,
    parse_inside,
)
from beamfast.errors import DocumentError, EditRefused


def element(html, css):
    tree = turbohtml.parse(html, allow_declarative_shadow_roots=False)
    return tree.select(css)[0]


@pytest.mark.parametrize(
    ("html", "css", "content", "balanced"),
    [
        ("<table><tr><td>", "tr", "<td>x", "<td>x</td>"),
        ("<table><tr><td>", "tr", "<!--c--><TH>x", "<!--c--><th>x</th>"),
        ("<table><tr><td>", "tbody", "<tr><td>x", "<tr><td>x</td></tr>"),
        ("<table>", "table", "<caption>x", "<caption>x</caption>"),
        ("<table><colgroup>", "colgroup", "<col>", "<col>"),
        ("<ul>", "ul", "<li>a<li>b", "<li>a</li><li>b</li>"),
        ("<select>", "select", "<option>a", "<option>a</option>"),
        ("<dl>", "dl", "<dt>a<dd>b", "<dt>a</dt><dd>b</dd>"),
        ("<svg>", "svg", "<path/><g/>", "<path></path><g></g>"),
        ("<math>", "math", "<mi/>", "<mi></mi>"),
        ("<x-y>", "x-y", "<p>a", "<p>a</p>"),
        ("<acronym>", "acronym", "<p>a", "<p>a</p>"),
        ("<p>", "html", "<p>a", "<p>a</p>"),
        ("<div>", "div", "</div>stray", "stray"),
        ("<div>", "div", "<b>unclosed", "<b>unclosed</b>"),
        ("<div>", "div", "<body class=x>a", "a"),
    ],
)
def test_content_is_parsed_in_the_context_of_its_parent(html, css, content, balanced):
    fragment = fragment_in(content.encode(), element(html, css))
    assert fragment.verbatim == content
    assert fragment.balanced == fragment.content == balanced


def test_template_content_takes_table_parts():
    content = element("<template>", "template").children[0]
    assert fragment_in(b"<td>a", content).balanced == "<td>a</td>"


def test_a_leading_line_break_of_pre_survives_being_balanced():
    fragment = fragment_in(b"<pre>\n\nx</pre>", element("<div>", "div"))
    assert fragment.balanced == "<pre>\n\nx</pre>"
    assert fragment.wrapper == "div"


@pytest.mark.parametrize(
    ("html", "css", "content", "wrapper"),
    [
        ("<ul>", "ul", "<li>a", "div"),
        ("<select>", "select", "<option>a", "div"),
        ("<p>", "p", "text &amp; <b>x</b>", "div"),
        ("<table>", "tbody", "<tr><td>a", "template"),
        ("<table><tr>", "tr", "<td>a", "template"),
        ("<table>", "table", "<caption>a", "template"),
        ("<svg>", "svg", "<path/>", "template"),
    ],
)
def test_the_wrapper_keeps_what_a_browser_would_drop(html, css, content, wrapper):
    html = html if css != "tbody" else html + "<tr>"
    assert fragment_in(content.encode(), element(html, css)).wrapper == wrapper


def test_content_must_be_utf8():
    with pytest.raises(DocumentError, match="Invalid request body") as caught:
        fragment_in(b"\xff", element("<p>", "p"))
    assert (caught.value.status, caught.value.code) == (400, "invalid-body")


def test_300_attributes_on_one_element_are_refused():
    markup = "<p " + " ".join(f"a{nth}" for nth in range(300)) + ">"
    with pytest.raises(EditRefused) as caught:
        fragment_in(markup.encode(), element("<div>", "div"))
    assert caught.value.code == "hostile-markup"
    few = "<p " + " ".join(f"a{nth}" for nth in range(256)) + ">"
    assert fragment_in(few.encode(), element("<div>", "div")).nodes


@pytest.mark.parametrize("make", [fragment_in, fragment_for])
def test_repeated_root_tags_are_refused_without_parsing(make):
    content = b"".join(b"<BODY a%d>" % nth for nth in range(20_000))
    place = element("<div>", "div") if make is fragment_in else "body"
    with pytest.raises(EditRefused) as caught:
        make(content, place)
    assert caught.value.code == "hostile-markup"


@pytest.mark.parametrize(
    ("tag", "content", "verbatim", "balanced", "attributes"),
    [
        ("body", "Hi", False, "<body>Hi</body>", {}),
        ("body", "<BODY CLASS='a b'>Hi", True, '<body class="a b">Hi</body>', None),
        ("body", "<!--c--><body>a", True, "<!--c--><body>a</body>", {}),
        ("head", "<title>t</title>", False, "<head><title>t</title></head>", {}),
        ("head", "<head hidden></head>", True, '<head hidden=""></head>', None),
        ("html", "<p>a", False, "<html><head></head><body><p>a</p></body></html>", {}),
    ],
)
def test_the_structural_elements_take_content_with_and_without_their_tag(
    tag, content, verbatim, balanced, attributes
):
    fragment = fragment_for(content.encode(), tag)
    assert fragment.verbatim == (content if verbatim else None)
    assert fragment.balanced == balanced
    assert fragment.wrapper == "template"
    if attributes is not None:
        assert fragment.attributes == attributes


def test_attributes_of_a_structural_element_are_reported_as_written():
    fragment = fragment_for(b"<body class=' a  b' hidden>x", "body")
    assert fragment.attributes == {"class": " a  b", "hidden": ""}
    assert fragment.content == "x"


def test_a_whole_document_gives_the_element_that_was_asked_for():
    page = b"<!doctype html><html lang=en><head><title>t</title></head><body id=b>x"
    assert fragment_for(page, "body").balanced == '<body id="b">x</body>'
    assert fragment_for(page, "head").content == "<title>t</title>"
    assert fragment_for(page, "html").attributes == {"lang": "en"}


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        ("head", "<div>a</div>"),
        ("head", "text"),
        ("head", "<head></head><p>a"),
        ("body", "<title>lost</title><body>x"),
        ("body", "<html><frameset><frame></frameset>"),
    ],
)
def test_content_that_would_land_in_another_element_is_refused(tag, content):
    with pytest.raises(EditRefused, match=f"fit into one {tag} element"):
        fragment_for(content.encode(), tag)


def test_only_html_elements_are_structural():
    assert is_structural(element("", "body"))
    assert not is_structural(element("<svg><title>", "title"))
    assert not is_structural(element("<p>", "p"))


def test_an_unknown_parent_parses_like_a_block():
    assert parse_inside("<td>a", element("<my-row>", "my-row")).inner_html == "a"


def test_the_doctype_decides_whether_a_paragraph_holds_a_table():
    content = b"<p>a<table></table>"
    quirks = fragment_for(content, "body")
    standard = fragment_for(content, "body", "<!doctype html>")
    assert quirks.content == "<p>a<table></table></p>"
    assert standard.content == "<p>a</p><table></table>"


UNCLOSABLE = [b"<plaintext>x", b"<script><!--<script>"]


@pytest.mark.parametrize("content", UNCLOSABLE)
def test_an_element_that_nothing_can_close_is_refused(content):
    with pytest.raises(EditRefused, match="nothing can close"):
        fragment_in(content, element("<div>", "div"))
    for tag in ("html", "body"):
        with pytest.raises(EditRefused, match="nothing can close"):
            fragment_for(content, tag, "<!doctype html>")
