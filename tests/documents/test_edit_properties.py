"""Properties of edits, on markup that no person would write."""

import codecs

import pytest
import turbohtml
from hypothesis import given, settings, strategies as st
from selectolax.lexbor import LexborHTMLParser

from beamfast.documents.allocator import tune_allocator
from beamfast.documents.charset import decode
from beamfast.documents.comparison import is_same_tree
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.fragment import fragment_for, fragment_in, is_structural
from beamfast.documents.selector import Selector
from beamfast.documents.spans import doctype_text
from beamfast.entry import Version
from beamfast.errors import DocumentError, EditRefused, SelectorError

TAGS = [
    *("p", "div", "b", "i", "a", "span", "ul", "li", "table", "tr", "td", "tbody"),
    *("h1", "h2", "form", "button", "select", "option", "svg", "path", "math", "mi"),
    *("template", "title", "pre", "center", "dl", "dt", "br", "img", "caption", "x-y"),
]
SOUP = st.lists(
    st.one_of(
        st.sampled_from([f"<{tag}>" for tag in TAGS]),
        st.sampled_from([f"</{tag}>" for tag in TAGS]),
        st.sampled_from(["a", "b c", "&amp;", "\n", "\r\n", " ", "é", "€", "<!--c-->"]),
        st.sampled_from(["<path/>", "<P ID='x' class=y>", "<script>1</script>", "\0"]),
    ),
    max_size=16,
)
HEADS = st.sampled_from(
    ["", "<!doctype html>", "<!DOCTYPE html><html><head><title>t</title></head><body>"]
)
TAILS = st.sampled_from(["", "</body></html>\n", "\n"])
PAGES = st.builds(
    lambda head, soup, tail: f"{head}{''.join(soup)}{tail}".encode(), HEADS, SOUP, TAILS
)
CONTENTS = st.one_of(
    st.sampled_from(["<p>new</p>", "text", "<b>x</b>y", "<li>i</li>", "<tr><td>c"]),
    st.lists(
        st.sampled_from([*(f"<{tag}>" for tag in TAGS), "</p>", "</div>", "é", "<!--"]),
        min_size=1,
        max_size=4,
    ).map("".join),
)
KINDS = st.sampled_from(list(Kind))
NAMES = st.sampled_from(["title", "class", "id", "x", "y", "viewBox"])
CSS = st.sampled_from([*TAGS, "html", "head", "body", "p + p", "* > *", "body *"])


@st.composite
def edits(draw):
    """Draw a page and an edit of an element that it has."""
    source = draw(PAGES)
    tags = {element.tag for element in Document(source).html.iter_elements()}
    # The body is in every page; three in four edits go to something else.
    usual = sorted(tags - {"html", "head", "body"}) or ["body"]
    css = draw(st.sampled_from([*usual * 3, "body", "head", "html"]))
    try:
        selector = Selector.parse(css)
    except SelectorError:
        selector = Selector("body")
    if not Document(source).select(selector):
        selector = Selector("body")
    content, name = draw(CONTENTS).encode(), draw(NAMES)
    return source, Operation(draw(KINDS), selector, content, name=name)


INSIDE = (Kind.APPEND, Kind.PREPEND, Kind.INNER, Kind.TEXT)


def new_nodes(document, operation):
    """Return the target, the parent of the new nodes, and those nodes."""
    target = document.select(operation.selector)[0]
    kind, content = operation.kind, operation.content
    parent = target.parent
    if kind in INSIDE:
        parent = target
        for child in target.children[:1]:
            if isinstance(child, turbohtml.DocumentFragment):
                parent = child
    if kind is Kind.DELETE:
        return target, parent, ()
    if kind.concerns_tag:
        return target, parent, (target,)
    if kind is Kind.TEXT:
        return target, parent, (turbohtml.Text(content.decode()),)
    if kind is Kind.REPLACE and is_structural(target):
        doctype = doctype_text(document.text.text)
        return target, parent, fragment_for(content, target.tag, doctype).nodes
    if kind is Kind.INNER and target.tag == "html":
        (root,) = fragment_for(content, "html").nodes
        return target, parent, root.children
    return target, parent, fragment_in(content, parent).nodes


def change_tag(target, operation):
    """Change an attribute or a class as scripts in a page would."""
    name = operation.name
    classes = (target.attr("class") or "").split()
    match operation.kind:
        case Kind.SET_ATTRIBUTE:
            is_html = target.namespace is turbohtml.Namespace.HTML
            known = name.lower() if is_html else name
            target.attrs[known] = operation.content.decode()
        case Kind.REMOVE_ATTRIBUTE:
            for known in set(target.attrs) & {name, name.lower()}:
                del target.attrs[known]
        case Kind.ADD_CLASS | Kind.TOGGLE_CLASS if name not in classes:
            target.attrs["class"] = " ".join([*classes, name])
        case Kind.REMOVE_CLASS | Kind.TOGGLE_CLASS if name in classes:
            classes.remove(name)
            target.attrs["class"] = " ".join(classes)


def wanted_tree(source, operation):
    """Return the tree after a DOM operation made here, without the ladder."""
    document = Document(source)
    tree = document.html
    target, parent, nodes = new_nodes(document, operation)
    if operation.kind.concerns_tag:
        change_tag(target, operation)
        return tree
    match operation.kind:
        case Kind.BEFORE:
            target.insert_before(*nodes)
        case Kind.AFTER:
            target.insert_after(*nodes)
        case Kind.APPEND:
            for node in nodes:
                parent.append(node)
        case Kind.PREPEND:
            for node in reversed(nodes):
                parent.insert(0, node)
        case Kind.INNER | Kind.TEXT:
            for node in parent.children:
                node.extract()
            for node in nodes:
                parent.append(node)
        case _ if nodes:
            target.replace_with(*nodes)
        case _:
            target.extract()
    tree.root.normalize()
    return tree


def edited(source, operation):
    try:
        return apply(Document(source), operation)
    except DocumentError:
        return None


@given(edits())
def test_every_edit_gives_the_wanted_tree_or_is_refused(edit):
    source, operation = edit
    done = edited(source, operation)
    if done is None:
        return
    assert is_same_tree(Document(done.source).html, wanted_tree(source, operation))


# Derandomized, because the two parsers differ on about one document in 20,000.
@settings(derandomize=True, max_examples=300)
@given(edits())
def test_an_independent_parser_sees_the_wanted_tree(edit):
    source, operation = edit
    done = edited(source, operation)
    if done is None:
        return
    wanted = wanted_tree(source, operation)
    text = wanted.serialize()
    again = turbohtml.parse(text, allow_declarative_shadow_roots=False)
    if not is_same_tree(again, wanted):
        return  # nested links and their like, which no text has
    read, expected = LexborHTMLParser(done.source.decode()), LexborHTMLParser(text)
    assert "".join(read.html.split()) == "".join(expected.html.split())


@given(edits())
def test_no_byte_outside_the_splices_changes(edit):
    source, operation = edit
    done = edited(source, operation)
    if done is None:
        return
    (splice,) = done.splices
    after = splice.offset + splice.removed
    assert done.source == source[: splice.offset] + splice.inserted + source[after:]
    if done.level in ("splice", "balanced", "closed") and operation.kind is Kind.APPEND:
        stray = source[splice.offset : after].lower()
        assert splice.removed == 0 or stray.startswith(b"</p")


@given(edits())
def test_position_and_count_find_the_new_nodes(edit):
    source, operation = edit
    done = edited(source, operation)
    if done is None:
        return
    parent = done.document(Version(1, "0" * 16)).html
    for index in done.position[:-1]:
        parent = parent[index]
    new = parent.children[done.position[-1] :][: done.count]
    assert len(new) == done.count
    elements = [node for node in new if isinstance(node, turbohtml.Element)]
    assert [node.tag for node in elements] == [
        node.tag
        for node in new_nodes(Document(source), operation)[2]
        if isinstance(node, turbohtml.Element)
    ]


@settings(max_examples=50)
@given(
    PAGES, st.lists(st.tuples(KINDS, CSS, CONTENTS, NAMES), min_size=20, max_size=20)
)
def test_chains_of_edits_on_kept_trees_equal_a_cold_parse(source, edits):
    document = Document(source)
    for kind, css, content, name in edits:
        operation = Operation(kind, Selector(css), content.encode(), name=name)
        before = document.source
        try:
            done = apply(document, operation)
        except DocumentError:
            assert document.source == before
            continue
        document = done.document(document.version.next(b"edit"))
        assert document.has_tree
    assert document.html.equals(Document(document.source).html)


@pytest.mark.parametrize(
    "label", ["utf-8", "windows-1252", "iso-8859-2", "koi8-r", "shift_jis", "gbk"]
)
@given(st.text(max_size=8), st.binary(max_size=12), st.booleans())
def test_edits_keep_the_charset_and_every_other_byte(label, content, noise, bom):
    noise = noise.replace(b"<", b"").replace(b"&", b"")
    before = codecs.BOM_UTF8 * bom + b'<meta charset="' + label.encode() + b'">'
    before += noise + b"<p>"
    after = b"</p>" + noise
    source = before + b"<b>old</b>" + after
    content = content.replace("\0", "").encode("utf-8", "ignore")
    try:
        codec, _ = decode(source)
        done = apply(Document(source), Operation(Kind.REPLACE, Selector("b"), content))
    except EditRefused:
        return
    assert done.source.startswith(before)
    assert done.source.endswith(after)
    inserted = done.source[len(before) : len(done.source) - len(after)]
    if done.level == "splice":
        assert inserted == codec.encode_content(content.decode())


HOSTILE = {
    "nested": "<div>",
    "misnested": "<b><i></b>",
    "formatting": "<p><a><b>",
    "foster parents": "<table><a>x",
    "less than": "<",
    "ampersands": "&",
    "open comment": "<!--",
    "declarations": "<!",
    "end tags": "</p>",
    "breaks": "</br>",
    "open attribute": '<p a="',
    "attributes": " a=1",
    "rows": "<table><tr><td>",
    "options": "<select><option>",
    "foreign": "<svg><foreignObject>",
    "cdata": "<svg><![CDATA[",
    "scripts": "<script><!--<script>",
    "templates": "<template>",
    "headings": "<h1></h2>",
    "forms": "<form></div>",
    "lists": "<li><dd>",
    "buttons": "<button><p>",
    "null": "\0",
    "line breaks": "\r\n",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_markup_costs_no_more_than_its_length(piece, best_time):
    """Twice the markup takes at most two and a half times as long."""

    def edit(count):
        source = f"<p>x</p>{piece * count}".encode()
        operations = [
            Operation(kind, Selector("p"), b"<b>y</b>", name="title")
            for kind in (Kind.REPLACE, Kind.APPEND, Kind.DELETE, Kind.SET_ATTRIBUTE)
        ]
        return lambda: [edited(source, operation) for operation in operations]

    tune_allocator()  # as the server does
    count = 40_000 // len(piece)
    ratios = []
    # A busy machine can spoil one measurement, hardly three.
    for _ in range(3):
        ratios.append(best_time(edit(2 * count)) / best_time(edit(count)))
        if ratios[-1] <= 2.5:
            break
    assert min(ratios) <= 2.5
