"""StreamItems: an entry in, the bytes that viewers get out, and back."""

import pytest
import turbohtml
from hypothesis import given, strategies as st

from beamfast.documents.comparison import is_same_tree
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.selector import Selector
from beamfast.documents.streamitem import (
    LEGACY_TYPE,
    SCHEMA_TYPE,
    Item,
    parse,
    render,
    render_reset,
)
from beamfast.entry import Entry
from beamfast.errors import DocumentError

METHODS = dict.fromkeys(Kind, "PUT") | {Kind.APPEND: "POST", Kind.DELETE: "DELETE"}


def entry_of(edit, operation):
    return Entry(
        method=METHODS[operation.kind],
        url="/page.html",
        selector=operation.selector.text,
        content=edit.content,
        wrapper=edit.wrapper,
        attributes=edit.attributes,
    )


def test_the_item_is_compact_and_in_this_shape():
    entry = Entry(method="PUT", url="/document.html", selector="p", content="<p>x</p>")
    assert render(entry) == (
        '<div itemscope itemtype="https://rustybeam.net/schema/StreamItem">'
        '<span itemprop="method">PUT</span>'
        '<span itemprop="url">/document.html</span>'
        '<span itemprop="selector">p</span>'
        '<div itemprop="content"><p>x</p></div></div>'
    )


def test_the_legacy_type_changes_nothing_else():
    entry = Entry(method="PUT", url="/", selector="p", content="x")
    assert render(entry, LEGACY_TYPE) == render(entry).replace(SCHEMA_TYPE, LEGACY_TYPE)


def test_method_url_and_selector_come_back_unchanged():
    selector = 'ul > li[title="<&\'>"]'
    entry = Entry(method="POST", url="/a&b<c>.html", selector=selector, content="x")
    assert parse(render(entry)) == Item(
        SCHEMA_TYPE, "POST", "/a&b<c>.html", selector, "x"
    )


@given(st.text(), st.text())
def test_no_url_or_selector_can_break_the_item(url, selector):
    # A parser cannot give NUL and lone surrogates back; neither names anything.
    url, selector = (
        text.replace("\0", "").encode("utf-8", "replace").decode()
        for text in (url, selector)
    )
    item = parse(render(Entry(method="PUT", url=url, selector=selector)))
    assert (item.url, item.selector, item.content) == (url, selector, "")


def test_an_item_for_new_content_is_an_operation():
    entry = Entry(method="POST", url="/", selector="ul > li", content="<b>é</b>")
    assert parse(render(entry)).operation() == Operation(
        Kind.APPEND, Selector("ul > li"), "<b>é</b>".encode()
    )


def test_table_parts_travel_in_a_template():
    document = Document(b"<table><tr><td>1</td></tr></table>")
    operation = Operation(Kind.REPLACE, Selector("td"), b"<td>2")
    item = render(entry_of(apply(document, operation), operation))
    assert '<template itemprop="content"><td>2</td></template></div>' in item
    assert parse(item).content == "<td>2</td>"


def test_a_new_body_travels_as_children_and_attributes():
    document = Document(b"<body>old</body>")
    operation = Operation(Kind.REPLACE, Selector("body"), b'<body class="a&amp;">x</b>')
    item = parse(render(entry_of(apply(document, operation), operation)))
    assert (item.content, item.attributes) == ("x", {"class": "a&"})
    with pytest.raises(ValueError, match="not an edit of one element"):
        item.operation()


def test_a_deletion_carries_what_was_removed():
    document = Document(b"<p>a<b>x</b>")
    operation = Operation(Kind.DELETE, Selector("b"))
    item = parse(render(entry_of(apply(document, operation), operation)))
    assert item.content == "<b>x</b>"
    assert item.operation() == operation


PIECES = [
    "</div>",
    "</template>",
    '<span itemprop="method">DELETE</span>',
    "<div itemprop=content>",
    "<template>",
    "<td>",
    "<p>",
    "<b>",
    "<pre>\n\n",
    "<textarea>\n\n",
    "text",
    "&lt;",
    "<!--",
    "<script>",
    "<plaintext>",
    "<!--<script>",
    "<svg><path/>",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1), st.sampled_from(list(Kind)))
def test_no_content_can_alter_the_properties_of_its_item(pieces, kind):
    document = Document(b"<table><tr><td><div id=x>old</div>y</td></tr></table>")
    operation = Operation(kind, Selector("#x"), "".join(pieces).encode(), name="title")
    try:
        edit = apply(document, operation)
    except DocumentError:
        return
    item = parse(render(entry_of(edit, operation)))
    assert (item.method, item.selector) == (METHODS[kind], "#x")
    assert item.content == edit.content


class Viewer:
    """A page that applies items as the published browser client does."""

    def __init__(self, html):
        self.tree = turbohtml.parse(html, allow_declarative_shadow_roots=False)

    def apply(self, text):
        item = parse(text)
        target = self.tree.select_one(item.selector)
        content = turbohtml.parse_fragment(item.content, "template").children
        if item.method == "PUT":
            target.replace_with(*content) if content else target.extract()
        elif item.method == "POST":
            target.extend(content)
        else:
            target.extract()
        self.tree.root.normalize()


SOURCE = (
    "<!doctype html><title>t</title><table><tr><td>1<td>2</table><ul><li>a<li>b"
    "</ul><select><option>x</select><p>text<p>more"
)
EDITS = st.tuples(
    st.sampled_from(list(Kind)),
    st.sampled_from(["td", "tr", "ul", "li", "p", "option", "select", "b", "table"]),
    st.sampled_from(
        ["<td>n", "<tr><td>n", "<li>n", "<option>n", "<p>n", "t", "<b>n</b>u", "</p>"]
    ),
)


PARTS = [
    *("<p>", "</p>", "<ul>", "<li>", "</ul>", "<table><tr><td>", "</table>", "<b>"),
    *("</b>", "text", " ", "<select><option>", "</select>", "<div>", "</div>", "<i>"),
]
SOURCES = st.one_of(
    st.just(SOURCE),
    st.lists(st.sampled_from(PARTS), max_size=20).map(
        lambda parts: "<!doctype html>" + "".join(parts)
    ),
)


@given(SOURCES, st.lists(EDITS, max_size=12))
def test_replaying_all_items_gives_the_tree_of_the_file(source, edits):
    viewer = Viewer(source)
    document = Document(source.encode())
    for kind, css, content in edits:
        operation = Operation(kind, Selector(css), content.encode(), name="class")
        try:
            edit = apply(document, operation)
        except DocumentError:
            continue
        viewer.apply(render(entry_of(edit, operation)))
        document = edit.document(document.version.next(b""))
    assert is_same_tree(document.html, viewer.tree)


@pytest.mark.parametrize(
    "source", ["<!doctype html>\r\n<p>&amp;</template></div>\n é", "", None]
)
def test_a_reset_carries_the_text_of_the_file_or_nothing(source):
    item = parse(render_reset("/page.html", source))
    assert item == Item(SCHEMA_TYPE, "RESET", "/page.html", "", source)
    assert parse(render_reset("/", source, LEGACY_TYPE)).itemtype == LEGACY_TYPE
    with pytest.raises(ValueError, match="RESET is not an edit"):
        item.operation()


def test_a_reset_in_a_div_is_read_too():
    text = render_reset("/", "<p>").replace("template", "div")
    assert parse(text).content == "<p>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "<div>",
        "<div itemscope>",
        f"<div itemtype={SCHEMA_TYPE}>",
        f"<div itemscope itemtype={SCHEMA_TYPE}></div>",
        f"<div itemscope itemtype={SCHEMA_TYPE}><i itemprop=method>PUT</i></div>",
        render(Entry(method="PUT", url="/")) * 2,
    ],
)
def test_what_is_not_one_item_is_refused(text):
    with pytest.raises(ValueError, match="item"):
        parse(text)
