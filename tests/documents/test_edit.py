"""Edits: a file and an operation in, the new file or a refusal out."""

import codecs

import pytest
from hypothesis import given, strategies as st

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.selector import Selector
from beamfast.entry import Version
from beamfast.errors import (
    DocumentError,
    EditConflict,
    EditRefused,
    NoElementMatched,
)

PAGE = (
    b"<!DOCTYPE html>\r\n<!-- c -->\n<html lang='en'>\n<head><title>t</title>\n"
    b"</head>\n"
    b'<body>\n<p id=a CLASS="x">one &copy; two</p>\n<ul>\n <li>1\n <li>2\n</ul>\n'
    b'<a href="{{ a b }}">{% x %}</a></body>\n</html>\n\n'
)


def edit(source, kind, css, content=b"", filters=(), template_scope=False):
    if isinstance(content, str):
        content = content.encode()
    operation = Operation(kind, Selector.parse(css), content, template_scope)
    wanted = [Selector.parse(text) for text in filters]
    return apply(Document(source), operation, filters=wanted)


def put(source, css, content):
    return edit(source, Kind.REPLACE, css, content).source


def post(source, css, content):
    return edit(source, Kind.APPEND, css, content).source


def delete(source, css):
    return edit(source, Kind.DELETE, css).source


def test_put_replaces_the_element_and_nothing_else():
    done = edit(PAGE, Kind.REPLACE, "#a", "<p id=a>new</p>")
    assert done.level == "splice"
    assert done.source == PAGE.replace(
        b'<p id=a CLASS="x">one &copy; two</p>', b"<p id=a>new</p>"
    )


def test_put_of_the_old_bytes_restores_the_file():
    old = Document(PAGE)
    for css in ("p", "ul", "li", "a", "title", "head", "body", "html"):
        element = old.select(Selector(css))[0]
        before = old.element_bytes(element)
        content = f"<{element.tag}>new</{element.tag}>"
        if element.tag == "head":
            content = "<head><title>new</title></head>"
        changed = put(PAGE, css, content)
        assert changed != PAGE
        assert put(changed, css, before) == PAGE


def test_post_appends_as_last_child():
    assert post(PAGE, "ul", "<li>3\n") == PAGE.replace(b"2\n", b"2\n<li>3\n")
    assert post(b"<p>a</p>", "p", "<b>x</b>") == b"<p>a<b>x</b></p>"


@pytest.mark.parametrize(
    ("source", "css", "result"),
    [
        (b"<p>a<p>b", "p", b"<p>aX<p>b"),
        (b"<ul><li>a\n<li>b</ul>", "li", b"<ul><li>a\nX<li>b</ul>"),
        (
            b"<table><tr><td>a<td>b</table>",
            "td",
            b"<table><tr><td>aX<td>b</table>",
        ),
        (
            b"<select><option>a<option>b</select>",
            "option",
            b"<select><option>aX<option>b</select>",
        ),
        (b"<dl><dt>a<dd>b</dl>", "dt", b"<dl><dt>aX<dd>b</dl>"),
        (b"<h1>a</h2>text", "h1", b"<h1>aX</h2>text"),
    ],
)
def test_post_into_an_element_without_end_tag_goes_before_what_ends_it(
    source, css, result
):
    assert post(source, css, "X") == result


def test_delete_removes_the_element():
    assert delete(PAGE, "li") == PAGE.replace(b"<li>1\n ", b"")
    assert delete(b"a<b>x</b>c", "b") == b"ac"


def test_put_of_nothing_removes_the_element():
    done = edit(b"<p>a</p><b>c</b>", Kind.REPLACE, "p")
    assert (done.source, done.content, done.result) == (b"<b>c</b>", "", b"")


@pytest.mark.parametrize(
    ("source", "css", "content"),
    [
        (b"<table><tr id=x><td>1</table>", "#x", "<tr><td>2"),
        (b"<table><tbody><tr id=x><td>1</table>", "#x", "<!--c--><TR><TD>2"),
        (b"<table><tr><td id=x>1</table>", "#x", "<TD>2"),
        (b"<table><tr><td id=x>1</table>", "#x", " <th>2"),
        (b"<table><tbody id=x><tr><td>1</table>", "#x", "<tbody><tr><td>2"),
        (b"<table><caption id=x>1</table>", "#x", "<CAPTION>2"),
        (b"<table><colgroup><col id=x></table>", "#x", "<col span=2>"),
        (b"<ul><li id=x>1</ul>", "#x", "<LI>2"),
        (b"<select><option id=x>1</select>", "#x", "<option>2"),
        (b"<dl><dt id=x>1</dl>", "#x", "<dt>2"),
    ],
)
def test_content_that_parsers_drop_elsewhere_keeps_its_tags(source, css, content):
    done = edit(source, Kind.REPLACE, css, content)
    assert done.level == "splice"
    assert content.encode() in done.source


def test_only_the_first_match_is_changed():
    source = b"<p>a</p><p>b</p>"
    assert put(source, "p", "<p>x</p>") == b"<p>x</p><p>b</p>"
    assert post(source, "p", "x") == b"<p>ax</p><p>b</p>"
    assert delete(source, "p") == b"<p>b</p>"


def test_several_root_nodes_may_come():
    assert put(b"<p>a</p>", "p", "<p>b</p>c<i>d</i>") == b"<p>b</p>c<i>d</i>"


def test_unclosed_content_cannot_reach_what_follows():
    assert put(b"<p>a</p>b", "p", "<b>unclosed") == b"<b>unclosed</b>b"
    done = edit(b"<div><p>a</p>b</div>", Kind.REPLACE, "p", "</div>stray")
    assert done.source == b"<div>strayb</div>"
    assert done.level == "balanced"


@pytest.mark.parametrize("css", ["html", "head", "body"])
def test_the_structural_elements_cannot_be_removed(css):
    for kind in (Kind.DELETE, Kind.REPLACE):
        with pytest.raises(EditConflict) as caught:
            edit(PAGE, kind, css)
        assert (caught.value.status, caught.value.code) == (409, "structural-element")


@pytest.mark.parametrize("content", ["<body id=n>Hi</body>", "Hi", "<BODY>Hi"])
def test_put_of_the_body_keeps_exactly_one(content):
    done = edit(PAGE, Kind.REPLACE, "body", content)
    assert done.source.lower().count(b"<body") == 1
    assert done.source.startswith(PAGE[: PAGE.index(b"<body>")])
    assert done.wrapper == "template"
    assert done.content.strip() == "Hi"
    assert done.attributes == ({"id": "n"} if "id=n" in content else {})


def test_put_of_head_and_html_work():
    head = edit(PAGE, Kind.REPLACE, "head", "<title>new</title>")
    assert head.source == PAGE.replace(
        b"<head><title>t</title>\n</head>", b"<head><title>new</title></head>"
    )
    root = edit(PAGE, Kind.REPLACE, "html", "<html lang=fr><head></head><body>x</body>")
    assert root.source.startswith(b"<!DOCTYPE html>\r\n<!-- c -->\n<html lang=fr>")
    assert root.attributes == {"lang": "fr"}


def test_post_into_the_body_goes_before_its_end_tag():
    done = edit(PAGE, Kind.APPEND, "body", "<p>last</p>")
    assert done.source == PAGE.replace(b"</body>", b"<p>last</p></body>")
    assert post(b"<p>a</p></body></html>\n", "body", "<i>x</i>") == (
        b"<p>a</p><i>x</i></body></html>\n"
    )


@pytest.mark.parametrize("css", ["img", "br", "input"])
def test_void_elements_take_no_content(css):
    with pytest.raises(EditRefused) as caught:
        edit(b"<img><br><input>", Kind.APPEND, css, "x")
    assert caught.value.code == "void-element"


@pytest.mark.parametrize(
    ("source", "css", "content"),
    [
        (b"<p>a</p>", "p", "<p>b</p>"),
        (b"<head><title>t</title></head>", "head", "<div>x</div>"),
        (b"<table><tr><td>a</table>", "tr", "text"),
        (b"<script>a</script>", "script", "x</script>y"),
        (b"<a>x</a>", "a", "<a>y</a>"),
    ],
)
def test_what_no_html_says_is_refused_and_changes_nothing(source, css, content):
    document = Document(source)
    with pytest.raises(EditRefused) as caught:
        apply(document, Operation(Kind.APPEND, Selector(css), content.encode()))
    assert (caught.value.status, caught.value.code) == (422, "unrepresentable")
    assert document.source == source
    assert document.html.equals(Document(source).html)
    assert apply(document, Operation(Kind.APPEND, Selector(css), b"<!--c-->"))


def test_script_text_is_not_escaped():
    assert post(b"<script>if (</script>", "script", "a<b") == (
        b"<script>if (a<b</script>"
    )


def test_nothing_matched_is_its_own_error():
    with pytest.raises(NoElementMatched, match="No elements matched the selector"):
        edit(PAGE, Kind.DELETE, "table")


def test_content_that_is_not_utf8_is_the_writers_fault():
    with pytest.raises(DocumentError) as caught:
        edit(PAGE, Kind.REPLACE, "p", b"\xff")
    assert (caught.value.status, str(caught.value)) == (400, "Invalid request body")


def test_template_content_can_be_edited_when_asked_for():
    source = b"<template><tr><td>a</td></tr></template>"
    with pytest.raises(NoElementMatched):
        edit(source, Kind.APPEND, "tr", "<td>b</td>")
    inside = edit(source, Kind.APPEND, "tr", "<td>b</td>", template_scope=True)
    assert inside.source == b"<template><tr><td>a</td><td>b</td></tr></template>"
    done = edit(source, Kind.APPEND, "template", "<tr><td>b</td></tr>")
    assert done.source == (
        b"<template><tr><td>a</td></tr><tr><td>b</td></tr></template>"
    )
    assert (done.position, done.count) == ((0, 0, 0, 0, 1), 1)


def test_foreign_content_closes_itself():
    assert put(b"<svg><path/><g/></svg>", "path", "<circle/>") == (
        b"<svg><circle/><g/></svg>"
    )


@pytest.mark.parametrize(
    ("source", "content", "result"),
    [
        (b"<p>\xe9\x81<b>x</b>", "é€漢", b"<p>\xe9\x81\xe9\x80&#28450;"),
        (
            b"<meta charset=iso-8859-2><p>\xb1<b>x</b>",
            "ąé€",
            b"<meta charset=iso-8859-2><p>\xb1\xb1\xe9&#8364;",
        ),
        (
            b"<meta charset=utf-8>\xff<b>x</b>\xfe",
            "é",
            b"<meta charset=utf-8>\xff\xc3\xa9\xfe",
        ),
        (codecs.BOM_UTF8 + b"\xff<b>x</b>", "é", codecs.BOM_UTF8 + b"\xff\xc3\xa9"),
        (b"\0\f<i>\0</i>\r<b>x</b>\0", "y", b"\0\f<i>\0</i>\ry\0"),
    ],
)
def test_the_charset_and_odd_bytes_of_the_file_are_kept(source, content, result):
    assert put(source, "b", content) == result


def test_characters_that_do_not_fit_are_refused_in_a_script():
    with pytest.raises(EditRefused):
        edit(b"<p>\xe9<script>x</script>", Kind.APPEND, "script", "'漢'")


def test_an_edit_that_would_change_the_charset_is_refused():
    # With the last byte beyond ASCII gone, these two would be read as UTF-8.
    with pytest.raises(EditRefused):
        edit(b"<p>\xe9</p>", Kind.REPLACE, "p", "<p>\xc3\xa9</p>")


@pytest.mark.parametrize("source", [b"", b"text", b"<frameset><frame></frameset>"])
@pytest.mark.parametrize("kind", [kind for kind in Kind if not kind.concerns_tag])
@pytest.mark.parametrize("css", ["html", "head", "body", "frameset", "frame"])
def test_odd_documents_are_edited_or_refused(source, kind, css):
    try:
        done = edit(source, kind, css, "new")
    except DocumentError as error:
        assert error.status in (404, 409, 422)
    else:
        assert b"new" in done.source or kind is Kind.DELETE


def test_the_result_is_what_stands_in_the_file():
    assert edit(PAGE, Kind.REPLACE, "#a", "<P>x</P>").result == b"<P>x</P>"
    assert edit(PAGE, Kind.APPEND, "#a", "&copy;").result == b"&copy;"
    assert edit(PAGE, Kind.DELETE, "#a").result == b""


def test_viewers_get_the_balanced_fragment():
    done = edit(b"<p>a</p>", Kind.REPLACE, "p", "<b>un<i>closed")
    assert (done.content, done.wrapper) == ("<b>un<i>closed</i></b>", "div")
    row = edit(b"<table><tr><td>1</table>", Kind.REPLACE, "td", "<td>2")
    assert (row.content, row.wrapper) == ("<td>2</td>", "template")
    gone = edit(b"<table><tr><td>1</table>", Kind.DELETE, "td")
    assert (gone.content, gone.wrapper) == ("<td>1</td>", "template")
    gone = edit(PAGE, Kind.DELETE, "#a")
    assert gone.content == '<p id="a" class="x">one © two</p>'


@pytest.mark.parametrize(
    ("source", "kind", "css", "content", "position", "count"),
    [
        (b"<p>a</p><i>b</i>", Kind.REPLACE, "i", "<b>1</b><b>2</b>", (0, 1, 1), 2),
        (b"<p>a</p><i>b</i>", Kind.DELETE, "i", "", (0, 1, 1), 0),
        (b"<p>a<b>b</b>", Kind.APPEND, "p", "<i>c</i>", (0, 1, 0, 2), 1),
        (b"<p>a", Kind.APPEND, "p", "text", (0, 1, 0, 1), 0),
        (b"<p>a", Kind.APPEND, "p", "text<i>b</i>", (0, 1, 0, 1), 1),
        (b"<p>a<b>b</b>c", Kind.REPLACE, "b", "x", (0, 1, 0, 1), 0),
        (b"<p>a<b>b</b>c", Kind.REPLACE, "b", "x<i>y</i>z", (0, 1, 0, 1), 2),
        (b"<p><b>b</b>c", Kind.REPLACE, "b", "x", (0, 1, 0, 0), 1),
        (b"<!doctype html><!--c--><p>", Kind.REPLACE, "html", "x", (2,), 1),
    ],
)
def test_position_and_count_name_the_changed_nodes(
    source, kind, css, content, position, count
):
    done = edit(source, kind, css, content)
    assert (done.position, done.count) == (position, count)


def test_the_splices_lead_from_the_old_file_to_the_new_one():
    done = edit(PAGE, Kind.REPLACE, "li", "<li>x")
    (splice,) = done.splices
    assert PAGE[splice.offset :].startswith(b"<li>1\n ")
    assert splice.removed == 7
    assert splice.inserted == b"<li>x"


def test_the_new_document_keeps_the_verified_tree():
    done = edit(PAGE, Kind.REPLACE, "li", "<li>x")
    document = done.document(Version(1, "a" * 16))
    assert document.has_tree
    assert document.source == done.source
    assert document.version == Version(1, "a" * 16)
    assert document.html.equals(Document(done.source).html)


def matched(*arguments):
    return {found.text for found in edit(PAGE, *arguments).matched}


def test_filters_match_what_holds_equals_or_lies_inside_the_changed_nodes():
    filters = ["ul", "li", "li b", "p", "#n", "*", "body", "ul > li:last-child", "i"]
    assert matched(Kind.REPLACE, "li", "<li id=n><b>x</b>", filters) == (
        {"ul", "li", "li b", "#n", "*", "body"}
    )


def test_filters_are_asked_before_and_after_the_edit():
    assert matched(Kind.DELETE, "#a", "", ["p", ".x", "a"]) == {"p", ".x"}
    assert matched(Kind.APPEND, "#a", "text", ["p", "i", "li"]) == {"p"}
    assert matched(Kind.APPEND, "#a", "<i>x</i>", ["p", "i", "li"]) == {"p", "i"}
    assert matched(Kind.REPLACE, "#a", "text", ["i", "#a"]) == {"#a"}


def test_a_filter_of_the_same_text_always_matches():
    assert matched(Kind.REPLACE, "ul  >  li", "<p>x</p>", ["ul > li"]) == {"ul > li"}
    assert matched(Kind.REPLACE, "ul > li", "<p>x</p>", []) == set()


def test_100000_nested_elements_are_edited():
    source = b"<p>a</p>" + b"<div>" * 100_000
    assert post(source, "p", "b").startswith(b"<p>ab</p><div>")
    assert delete(source, "div > div").startswith(b"<p>a</p><div>")
    with pytest.raises(EditRefused) as caught:
        edit(b"<div>" * 100_000 + b"<p>a</p>", Kind.APPEND, "p", "<p>")
    assert len(str(caught.value)) < 300


PIECES = [
    "</p>",
    "</b>",
    "<b>",
    "<i>",
    "a",
    "<table>",
    "<td>",
    "<p>",
    "<svg>",
    "</main>",
]


@given(st.lists(st.sampled_from(PIECES)))
def test_content_never_reaches_outside_its_place(pieces):
    before, after = b"<main><p>before</p>", b"<p>after</p></main>"
    source = before + b"<div id=x>old</div>" + after
    try:
        done = edit(source, Kind.REPLACE, "#x", "".join(pieces) or "-")
    except EditRefused:
        return
    new = Document(done.source)
    texts = [found.text for found in new.select(Selector("main > p"))]
    assert texts[0] == "before"
    assert texts[-1] == "after"
