"""The ladder: which rewrite is chosen, and what it leaves alone."""

import pytest

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.selector import Selector
from beamfast.errors import EditRefused

QUIRKS = b'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">'


def edit(source, kind, css, content=b""):
    return apply(Document(source), Operation(kind, Selector(css), content))


@pytest.mark.parametrize(
    ("source", "kind", "css", "content", "level", "result"),
    [
        (b"<p>a</p>b", Kind.REPLACE, "p", b"<b>x</b>", "splice", b"<b>x</b>b"),
        (
            b"<p>a</p>b",
            Kind.REPLACE,
            "p",
            b"<b>unclosed",
            "balanced",
            b"<b>unclosed</b>b",
        ),
        (
            b"<p>a</p>b",
            Kind.REPLACE,
            "p",
            b"<i>x</i><!-- open",
            "balanced",
            b"<i>x</i><!-- open-->b",
        ),
        (
            b"<b><p>x</b>y</p>",
            Kind.APPEND,
            "p b",
            b"z",
            "ancestor",
            b"<body><b></b><p><b>xz</b>y</p></body>",
        ),
        (
            b"<svg><path/></svg>",
            Kind.APPEND,
            "path",
            b"<title>x</title>",
            "ancestor",
            b"<svg><path><title>x</title></path></svg>",
        ),
        (
            b"<center><p>foo</center>",
            Kind.APPEND,
            "center",
            b"bar",
            "closed",
            b"<center><p>foo</p>bar</center>",
        ),
        (
            b"<p>a<ul></ul> b",
            Kind.DELETE,
            "ul",
            b"",
            "closed",
            b"<p>a</p> b",
        ),
        (
            b"a</p>b",
            Kind.APPEND,
            "p",
            b"x",
            "closed",
            b"a<p>x</p>b",
        ),
        (
            b"<!--c-->text",
            Kind.REPLACE,
            "body",
            b"<p>x</p>",
            "full",
            b"<!--c--><html><head></head><body><p>x</p></body></html>",
        ),
    ],
)
def test_the_narrowest_rewrite_that_verifies_is_chosen(
    source, kind, css, content, level, result
):
    done = edit(source, kind, css, content)
    assert done.level == level
    if result is not None:
        assert done.source == result


def test_a_wide_rewrite_answers_with_the_new_nodes_alone():
    assert edit(b"<b><p>x</b>y</p>", Kind.APPEND, "p b", b"z").result == b"z"


def test_a_wide_rewrite_keeps_the_line_breaks_of_the_file():
    source = b"<div>\r\n<b><p>x</b>\r\ny</p>\r\n</div>\r\n"
    done = edit(source, Kind.APPEND, "p b", b"z")
    assert done.level == "ancestor"
    assert b"\n" not in done.source.replace(b"\r\n", b"")


def test_a_wide_rewrite_never_loses_bytes_that_are_not_utf8():
    source = b"<meta charset=utf-8><b><p>x</b>\xff</p>"
    with pytest.raises(EditRefused):
        edit(source, Kind.APPEND, "p b", b"z")
    beside = b"<meta charset=utf-8><i>\xff</i><div><b><p>x</b>y</p></div>"
    assert b"\xff" in edit(beside, Kind.APPEND, "p b", b"z").source


@pytest.mark.parametrize(
    "doctype",
    [
        QUIRKS,
        b"",
        b"<!doctype>",
        b"<!DOCTYPE svg>",
        b'<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">',
        b"<!DOCTYPE HTML PUBLIC '-//IETF//DTD HTML//EN'>",
        b'<!DOCTYPE html SYSTEM "http://www.ibm.com/data/dtd/v11/ibmxhtml1-transitional.dtd">',
    ],
)
def test_the_full_rewrite_keeps_the_doctype_of_the_file(doctype):
    # Only in quirks mode may a paragraph hold a table (HTML, 13.2.6.4.7), so
    # with the doctype shortened the page would become another one.
    source = b"<!--c-->" + doctype + b"<!--d-->text<p>a<table>"
    done = edit(source, Kind.REPLACE, "body", b"<p>b<table><tr><td>2</table>")
    assert done.level == "full"
    assert done.source.startswith(b"<!--c-->" + doctype + b"<!--d--><html>")
    assert Document(done.source).select(Selector("p > table"))


def test_a_refusal_names_the_first_node_that_differs():
    with pytest.raises(EditRefused) as caught:
        edit(b"<div>a</div><p>b<p>c", Kind.APPEND, "p", b"<div>x</div>")
    assert caught.value.code == "unrepresentable"
    assert "p:nth-of-type(1)" in str(caught.value)
    assert "nothing instead of <div>" in str(caught.value)


def test_a_rung_over_the_limit_of_root_tags_gives_way_to_the_next():
    source = b"<body>" * 30 + b"<p>a</p>"
    done = edit(source, Kind.REPLACE, "p", b"<body>" * 60 + b"<b>x</b>")
    assert (done.level, done.result) == ("balanced", b"<b>x</b>")
    with pytest.raises(EditRefused) as caught:
        edit(b"<body>" * 60 + b"<a><b>", Kind.APPEND, "b", b"<body>" * 60 + b"<a>")
    assert caught.value.code == "unrepresentable"


def test_an_edit_is_refused_when_every_rung_is_too_expensive():
    comments = b"<!--<body>-->" * 40
    with pytest.raises(EditRefused) as caught:
        edit(b"<div>" + comments + b"</div>", Kind.APPEND, "div", comments)
    assert caught.value.code == "hostile-markup"
