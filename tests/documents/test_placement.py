"""Content beside and inside an element: where it goes and what viewers are told."""

import pytest

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.selector import Selector
from beamfast.errors import EditConflict, EditRefused

INSIDE = [Kind.PREPEND, Kind.APPEND, Kind.INNER, Kind.TEXT]
BESIDE = [Kind.BEFORE, Kind.AFTER]

PAGE = (
    b"<!DOCTYPE html>\r\n<html lang=en><head><title>t</title></head>\r\n"
    b"<BODY>\r\n<p id=a>one <I>two</I></p>\r\n<ul>\r\n <li>1\r\n <li>2\r\n</ul>\r\n"
    b"</BODY></html>\r\n"
)


def edit(source, kind, css, content, template_scope=False):
    operation = Operation(kind, Selector.parse(css), content.encode(), template_scope)
    return apply(Document(source), operation)


def edited(source, kind, css, content, template_scope=False):
    return edit(source, kind, css, content, template_scope).source


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (Kind.BEFORE, b"<p id=a>", b"<b>x</b><p id=a>"),
        (Kind.PREPEND, b"<p id=a>", b"<p id=a><b>x</b>"),
        (Kind.APPEND, b"</p>", b"<b>x</b></p>"),
        (Kind.AFTER, b"</p>", b"</p><b>x</b>"),
        (Kind.INNER, b"one <I>two</I>", b"<b>x</b>"),
        (Kind.TEXT, b"one <I>two</I>", b"&lt;b>x&lt;/b>"),
    ],
)
def test_content_goes_to_its_place_and_no_other_byte_changes(kind, old, new):
    done = edit(PAGE, kind, "#a", "<b>x</b>")
    assert done.source == PAGE.replace(old, new)
    assert done.level == "splice"


def test_elements_without_end_tag():
    source = b"<ul><li>1\n<li>2\n</ul>"
    assert edited(source, Kind.BEFORE, "li + li", "<li>x") == (
        b"<ul><li>1\n<li>x<li>2\n</ul>"
    )
    assert edited(source, Kind.AFTER, "li", "<li>x") == b"<ul><li>1\n<li>x<li>2\n</ul>"
    assert edited(source, Kind.PREPEND, "li", "x") == b"<ul><li>x1\n<li>2\n</ul>"
    assert edited(source, Kind.INNER, "li", "x") == b"<ul><li>x<li>2\n</ul>"
    # Without its end tag the element would take in what shall stand behind it.
    done = edit(source, Kind.AFTER, "li", "<!--x-->")
    assert done.level == "closed"
    assert done.source == b"<ul><li>1\n</li><!--x--><li>2\n</ul>"


@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize("css", ["img", "br"])
def test_void_elements_have_no_inside(kind, css):
    with pytest.raises(EditRefused) as caught:
        edit(b"<p><img><br></p>", kind, css, "x")
    assert caught.value.code == "void-element"


@pytest.mark.parametrize("kind", BESIDE)
def test_there_is_room_beside_a_void_element(kind):
    source = edited(b"<p><img></p>", kind, "img", "x")
    assert source == (b"<p>x<img></p>" if kind is Kind.BEFORE else b"<p><img>x</p>")


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("css", ["html", "head", "body"])
def test_nothing_can_stand_beside_the_structure(kind, css):
    with pytest.raises(EditConflict) as caught:
        edit(PAGE, kind, css, "x")
    assert (caught.value.status, caught.value.code) == (409, "structural-element")


def test_the_inside_of_the_structure():
    inner = edit(PAGE, Kind.INNER, "body", "<p>new</p>")
    assert inner.source == (
        PAGE[: PAGE.index(b"<BODY>") + 6] + b"<p>new</p></BODY></html>\r\n"
    )
    assert (inner.content, inner.wrapper) == ("<p>new</p>", "template")
    assert inner.attributes == {}
    head = edited(PAGE, Kind.PREPEND, "head", "<meta name=a>")
    assert head == PAGE.replace(b"<head>", b"<head><meta name=a>")
    root = edit(PAGE, Kind.INNER, "html", "<title>u</title><body class=x>y")
    assert root.source == (
        b"<!DOCTYPE html>\r\n<html lang=en><head><title>u</title></head>"
        b'<body class="x">y</body></html>\r\n'
    )
    assert root.attributes == {"lang": "en"}
    with pytest.raises(EditRefused):
        edit(PAGE, Kind.INNER, "html", "<!-- outside --><html><body>y")


def test_implied_elements_are_edited_by_their_position():
    assert edited(b"<p>a", Kind.PREPEND, "body", "<i>x</i>") == b"<i>x</i><p>a"
    assert edited(b"<table><tr><td>1</table>", Kind.PREPEND, "tbody", "<tr><td>0") == (
        b"<table><tr><td>0<tr><td>1</table>"
    )


def test_a_script_takes_text_as_it_is():
    assert edited(b"<script>1</script>", Kind.INNER, "script", "a<b && c") == (
        b"<script>a<b && c</script>"
    )
    assert edited(b"<style>1</style>", Kind.TEXT, "style", "p > i {}<!-- &amp;") == (
        b"<style>p > i {}<!-- &amp;</style>"
    )
    for kind in (Kind.INNER, Kind.TEXT):
        with pytest.raises(EditRefused):
            edit(b"<script>1</script>", kind, "script", "'</script>'")


def test_text_escapes_ampersand_and_less_than_only():
    text = "a < b > c & d &copy; \"e\" 'f' €"
    done = edit(b"<p>x</p>", Kind.TEXT, "p", text)
    assert done.source == (
        b"<p>a &lt; b > c &amp; d &amp;copy; \"e\" 'f' \xe2\x82\xac</p>"
    )
    assert Document(done.source).select(Selector("p"))[0].text == text
    title = edited(b"<title>x</title>", Kind.TEXT, "title", "</title>&")
    assert title == b"<title>&lt;/title>&amp;</title>"
    assert edited(b"<p>a<b>c</b></p>", Kind.TEXT, "p", "") == b"<p></p>"
    lines = edited(b"<p>x</p>", Kind.TEXT, "p", "a\r\nb\rc")
    assert lines == b"<p>a\r\nb\rc</p>"


def test_text_that_cannot_stand_there_is_refused():
    with pytest.raises(EditRefused):
        edit(b"<table><tr><td>1</table>", Kind.TEXT, "tr", "text")
    with pytest.raises(EditRefused):
        edit(b"<p>x</p>", Kind.TEXT, "p", "\0")


@pytest.mark.parametrize("kind", [Kind.INNER, Kind.TEXT, Kind.PREPEND])
@pytest.mark.parametrize("tag", ["pre", "textarea"])
def test_a_newline_at_the_beginning_is_kept(kind, tag):
    old = f"<{tag}></{tag}>".encode()
    done = edited(old, kind, tag, "\nnew")
    assert done == f"<{tag}>\n\nnew</{tag}>".encode()
    assert Document(done).select(Selector(tag))[0].text == "\nnew"


def test_template_content_keeps_its_cells():
    source = b"<template><tr><td>a</td></tr></template>"
    assert edited(source, Kind.BEFORE, "td", "<td>0", template_scope=True) == (
        b"<template><tr><td>0<td>a</td></tr></template>"
    )
    assert edited(source, Kind.AFTER, "td", "<td>0", template_scope=True) == (
        b"<template><tr><td>a</td><td>0</tr></template>"
    )
    assert edited(source, Kind.PREPEND, "tr", "<td>0", template_scope=True) == (
        b"<template><tr><td>0<td>a</td></tr></template>"
    )


def test_the_inside_of_a_template_is_its_content():
    source = b"<template><tr><td>a</td></tr></template>"
    assert edited(source, Kind.INNER, "template", "<td>0</td>") == (
        b"<template><td>0</td></template>"
    )
    assert edited(source, Kind.PREPEND, "template", "<tr></tr>") == (
        b"<template><tr></tr><tr><td>a</td></tr></template>"
    )


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Kind.BEFORE, '<b>x</b><p id="a">one <i>two</i></p>'),
        (Kind.PREPEND, '<p id="a"><b>x</b>one <i>two</i></p>'),
        (Kind.APPEND, "<b>x</b>"),
        (Kind.AFTER, '<p id="a">one <i>two</i></p><b>x</b>'),
        (Kind.INNER, '<p id="a"><b>x</b></p>'),
        (Kind.TEXT, '<p id="a">&lt;b&gt;x</p>'),
    ],
)
def test_viewers_get_the_element_with_what_came(kind, content):
    done = edit(PAGE, kind, "#a", "<b>x")
    assert (done.content, done.wrapper, done.attributes) == (content, "div", None)
    assert kind.told_as == ("POST" if kind is Kind.APPEND else "PUT")


def test_what_viewers_could_not_read_is_refused():
    # No end tag closes it, so nothing can be sent that holds it.
    source = b"<p>a</p><plaintext>b"
    for kind in (Kind.BEFORE, Kind.PREPEND):
        with pytest.raises(EditRefused, match="nothing can close"):
            edit(source, kind, "plaintext", "x")
    assert edited(source, Kind.AFTER, "p", "x") == b"<p>a</p>x<plaintext>b"


@pytest.mark.parametrize(
    ("kind", "position", "count"),
    [
        (Kind.BEFORE, (0, 1, 1), 2),
        (Kind.AFTER, (0, 1, 2), 2),
        (Kind.PREPEND, (0, 1, 1, 0), 2),
        (Kind.APPEND, (0, 1, 1, 2), 2),
        (Kind.INNER, (0, 1, 1, 0), 2),
    ],
)
def test_position_and_count_name_the_new_nodes(kind, position, count):
    done = edit(b"<b>0</b><p>a<i>b</i></p>", kind, "p", "<u>1</u><u>2</u>")
    assert (done.position, done.count) == (position, count)


def test_filters_see_what_goes_and_what_comes():
    def matched(kind, content, *filters):
        operation = Operation(kind, Selector("p"), content)
        document = Document(b"<div><p>a<i>b</i></p><u>c</u></div>")
        wanted = [Selector(css) for css in filters]
        return {one.text for one in apply(document, operation, filters=wanted).matched}

    filters = ("div", "i", "u", "b", "p > b", "div > b")
    assert matched(Kind.INNER, b"<b>x</b>", *filters) == {"div", "i", "b", "p > b"}
    assert matched(Kind.TEXT, b"x", *filters) == {"div", "i"}
    assert matched(Kind.PREPEND, b"<b>x</b>", *filters) == {"div", "b", "p > b"}
    assert matched(Kind.AFTER, b"<b>x</b>", *filters) == {"div", "b", "div > b"}
