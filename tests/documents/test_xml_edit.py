"""Edits of XML documents."""

import pytest
from lxml import etree

from beamfast.documents.change import ElementEdit, Origin, carry_out, redo
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.documents.streamitem import parse, render
from beamfast.documents.xml_edit import apply_xml
from beamfast.entry import spliced
from beamfast.errors import DocumentError, EditRefused

HEAD = b'<?xml version="1.0" standalone="no"?>\n<!DOCTYPE svg>\n'
SVG = (
    HEAD + b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://'
    b'www.w3.org/1999/xlink">a<g id="x" class="k">b<path/>c</g>d<g>e</g>f</svg>\n'
)
BODY = b'xlink">a<g id="x" class="k">b<path/>c</g>d<g>e</g>f</svg>\n'


def edits(kind, css, content=b"", source=SVG, **fields):
    operation = Operation(kind, Selector.parse(css), content, **fields)
    return apply_xml(Document(source), operation)


def after(*arguments, **fields):
    done = edits(*arguments, **fields)[-1].source
    assert done.startswith(HEAD)
    etree.fromstring(done)
    return done[len(SVG) - len(BODY) :]


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        (Kind.REPLACE, b"x<rect/>y", b'xlink">ax<rect/>yd<g>'),
        (Kind.REPLACE, b"", b'xlink">ad<g>'),
        (Kind.DELETE, b"", b'xlink">ad<g>'),
        (Kind.BEFORE, b"x<rect/>y", b'xlink">ax<rect/>y<g id="x"'),
        (Kind.AFTER, b"x<rect/>y", b"c</g>x<rect/>yd<g>"),
        (Kind.PREPEND, b"x<rect/>y", b'class="k">x<rect/>yb<path/>c</g>d'),
        (Kind.APPEND, b"x<rect/>y", b"b<path/>cx<rect/>y</g>d"),
        (Kind.APPEND, b"1 text", b"b<path/>c1 text</g>d"),
        (Kind.INNER, b"x<rect/>y", b'class="k">x<rect/>y</g>d'),
        (Kind.INNER, b"", b'class="k"/>d'),
        (Kind.TEXT, b"<&>", b'class="k">&lt;&amp;&gt;</g>d'),
        (Kind.APPEND, b"<!--c--><?p i?>", b"c<!--c--><?p i?></g>d"),
        (Kind.APPEND, b"<![CDATA[<]]>", b"c<![CDATA[<]]></g>d"),
    ],
)
def test_every_operation(kind, content, expected):
    done = after(kind, "#x", content)
    assert expected in done
    assert done.endswith(b"<g>e</g>f</svg>\n")


def test_attributes_and_classes():
    assert b'<g id="&lt;" class="k">' in after(Kind.SET_ATTRIBUTE, "g", b"<", name="id")
    assert b'<g class="k">' in after(Kind.REMOVE_ATTRIBUTE, "g", name="id")
    assert b'xlink:href="#y"' in after(
        *(Kind.SET_ATTRIBUTE, "path", b"#y"), name="xlink:href"
    )
    assert b'viewBox="0"' in after(Kind.SET_ATTRIBUTE, "g", b"0", name="viewBox")
    assert b'class="k m"' in after(Kind.ADD_CLASS, "g", name="m")
    assert b'class=""' in after(Kind.REMOVE_CLASS, "g", name="k")
    assert after(Kind.TOGGLE_CLASS, "g:nth-child(2)", name="m").count(b'"m"') == 1
    assert after(Kind.ADD_CLASS, "g", name="k") == BODY


@pytest.mark.parametrize(
    ("kind", "css", "content", "code"),
    [
        (Kind.APPEND, "g", b"<b>", "not-well-formed"),
        (Kind.APPEND, "g", b"</content><content>", "not-well-formed"),
        (Kind.APPEND, "g", b"&nbsp;", "not-well-formed"),
        (Kind.APPEND, "g", b"<q:b/>", "not-well-formed"),
        (Kind.APPEND, "g", b"\x01", "not-well-formed"),
        (Kind.DELETE, "svg", b"", "structural-element"),
        (Kind.BEFORE, "svg", b"<a/>", "structural-element"),
        (Kind.REPLACE, "svg", b"<a/><b/>", "not-well-formed"),
        (Kind.REPLACE, "svg", b"<!--x--><a/>", "unrepresentable"),
        (Kind.SET_ATTRIBUTE, "g", b"x", "unrepresentable"),
        (Kind.DELETE, "h1", b"", "no-match"),
    ],
)
def test_what_cannot_be_is_refused(kind, css, content, code):
    document = Document(SVG)
    with pytest.raises(DocumentError) as caught:
        apply_xml(document, Operation(kind, Selector.parse(css), content, name="q:x"))
    assert caught.value.code == code
    assert document.source == SVG


def test_the_root_can_be_replaced():
    done = edits(Kind.REPLACE, "svg", b"\n<svg><a/></svg>\n")[-1].source
    assert done == HEAD + b"<svg><a/></svg>\n"


def test_the_file_is_written_as_a_whole_and_the_splice_says_where():
    (edit,) = edits(Kind.TEXT, "g", b"n")
    assert edit.level == "full"
    (splice,) = edit.splices
    assert splice.inserted == b"n"
    assert spliced(SVG, edit.splices) == edit.source


def test_all_matches_change_from_the_end_to_the_beginning():
    done = edits(Kind.APPEND, "g, svg", b"<i/>", match="all")
    assert [edit.selector for edit in done] == [
        *(":root", ":root > :nth-child(2)", ":root > :nth-child(1)")
    ]
    assert done[-1].source.count(b"<i/>") == 3
    assert [len(edit.splices) for edit in done] == [0, 0, 1]
    assert len(edits(Kind.DELETE, "g, path", match="all")) == 2
    assert edits(Kind.DELETE, "h1", match="none-ok") == ()


def test_viewers_get_the_content_as_text():
    operation = Operation(Kind.APPEND, Selector("g"), b"<path/>&amp;")
    document = Document(SVG)
    outcome = carry_out(
        ElementEdit(operation, "POST", is_xml=True),
        *(document, document.version, Origin("/a.svg")),
        edit_limit=2**20,
    )
    item = parse(render(outcome.entry))
    assert (item.method, item.selector) == ("POST", "g")
    assert item.content == "&lt;path/&gt;&amp;amp;"
    assert redo(outcome.entry, SVG) == outcome.document.source


def test_the_content_must_be_text_to_begin_with():
    with pytest.raises(DocumentError) as caught:
        edits(Kind.APPEND, "g", b"\xff")
    assert caught.value.code == "invalid-body"
    with pytest.raises(EditRefused):
        edits(Kind.APPEND, "g", b"", source=b"<svg><g></svg>")
