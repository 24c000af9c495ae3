"""Spans: HTML in, byte ranges out."""

import codecs

import pytest
from hypothesis import given, strategies as st

from beamfast.documents.charset import decode
from beamfast.documents.document import Document
from beamfast.documents.selector import Selector
from beamfast.documents.spans import (
    SourceText,
    content_ends_of,
    content_start,
    doctype_span,
    doctype_text,
    ends_of,
    omitted_end_tags,
    start_of,
    stray_tag_span,
)


def span(source, css, nth=0):
    """Return the first candidate range of an element, in bytes."""
    document = Document(source if isinstance(source, bytes) else source.encode())
    element = document.select(Selector(css), template_scope=True)[nth]
    text = document.text
    start = start_of(element, text.text)
    end = next(ends_of(element, text.text))
    return text.byte_offset(start), text.byte_offset(end)


def content_span(source, css):
    """Return the first candidate range between the tags, in bytes."""
    document = Document(source.encode())
    element = document.select(Selector(css), template_scope=True)[0]
    text = document.text
    return (
        text.byte_offset(content_start(element, text.text)),
        text.byte_offset(next(content_ends_of(element, text.text))),
    )


def candidates(source, css):
    document = Document(source.encode())
    element = document.select(Selector(css))[0]
    return list(ends_of(element, document.text.text))


LIST = "<ul>\n<li>a\n<li>b\n</ul>"


def test_list_items_without_end_tags_end_where_the_next_one_starts():
    assert span(LIST, "li", 0) == (5, 11)
    assert span(LIST, "li", 1) == (11, 17)
    assert span(LIST, "ul") == (0, 22)


def test_line_breaks_of_two_bytes_count_as_two():
    windows = LIST.replace("\n", "\r\n")
    assert span(windows, "li", 0) == (6, 13)
    assert span(windows, "li", 1) == (13, 20)
    assert span(windows, "ul") == (0, 25)


def test_line_breaks_of_old_macs_count_as_one():
    assert span(LIST.replace("\n", "\r"), "li", 1) == (11, 17)


def test_an_implied_tbody_lies_between_the_tags_of_the_table():
    assert span("<table><tr><td>1<td>2</table>", "tbody") == (7, 21)
    assert span("<table><td>1</table>", "tbody") == (7, 12)


def test_a_heading_closed_by_another_end_tag_ends_before_it():
    assert span("<h1>a</h2>text", "h1") == (0, 5)
    assert content_span("<h1>a<i>b</i></h2><!--c-->", "h1") == (4, 13)


def test_void_elements_end_with_their_tag():
    assert span("a<br>b<img src=x>c", "br") == (1, 5)
    assert span("a<br>b<img src=x/>c", "img") == (6, 18)


def test_foreign_elements_may_close_themselves():
    assert span("<svg><path d=M0 /><g></g></svg>", "path") == (5, 18)
    # The solidus belongs to the value here (HTML, 13.2.5.38); the end is behind.
    assert candidates("<svg><path d=M0/><g/></svg>", "path")[-1] > 17


@pytest.mark.parametrize("before", ["é", "€", "😀", "\0", "\f", "\ufeff"])
def test_characters_of_any_length_before_inside_and_after(before):
    source = f"x{before}<p>{before}</p>{before}".encode()
    start, end = span(source, "p")
    assert source[start:end] == f"<p>{before}</p>".encode()


def test_the_byte_order_mark_is_counted():
    source = codecs.BOM_UTF8 + "<p>é</p><b>x</b>".encode()
    assert span(source, "p") == (3, 12)
    assert span(source, "b") == (12, 20)


def test_single_byte_charsets_count_bytes():
    source = b"\x81\x8d<p>\xe9\x8f</p>"
    assert span(source, "p") == (2, 11)


def test_bytes_that_are_not_utf8_keep_their_place():
    source = codecs.BOM_UTF8 + b"\xff\xfe<p>\xff</p>"
    start, end = span(source, "p")
    assert source[start:end] == b"<p>\xff</p>"


@pytest.mark.parametrize(
    "tag",
    [
        "<p title='a>b'>",
        '<p title="a>b" >',
        "<p title=a/>",
        "<p hidden>",
        "<p a=1 a=2>",
        "<p\na\n=\n1\n>",
        "<P TITLE=X>",
        "<p a='\r\n'>",
    ],
)
def test_start_tags_of_every_spelling_are_measured(tag):
    source = f"é{tag}text</p >rest".encode()
    start, end = span(source, "p")
    assert source[start:end] == f"{tag}text</p >".encode()


def test_implied_structure_begins_behind_what_precedes_it():
    assert span("<p>a</p>", "body") == (0, 8)
    assert span("hello<b>x</b>", "body") == (0, 13)
    assert span("<!doctype html>hello", "body") == (15, 20)
    assert span("<!doctype html><html>hello", "body") == (21, 26)
    assert span("<!doctype html><title>x</title>y<b>z", "head") == (15, 31)
    assert span("<title>x</title>y<b>z", "body") == (16, 21)
    assert span("<head></head>y<b>z", "body") == (13, 18)
    assert span("<head><title>x</title>y", "body")[0] == 22
    assert span("<!doctype html><p>a", "html") == (15, 19)
    assert span("", "body") == (0, 0)
    assert span("<!doctype html><p>a", "head") == (15, 15)
    assert span("<!doctype html><html><p>a", "head") == (21, 21)
    assert span("<head><title>x</title><meta>y", "body")[0] == 28
    assert span("<meta>\ny", "body")[0] == 6
    assert content_span("<p>a<i>b</i></p>", "p") == (3, 12)


def test_an_implied_body_ends_before_its_end_tag():
    assert content_span("<p>a</p></body></html>\n", "body") == (0, 8)
    assert span("<body><p>a</p></body></html>\n", "body") == (0, 21)


def test_clones_for_misnested_markup_have_no_place():
    document = Document(b"<b><p>x</b>y</p>")
    clone = document.select(Selector("p b"))[0]
    assert start_of(clone, document.text.text) is None


def test_template_content_ends_with_the_template():
    assert span("<template><td>a<td>b</template>", "td", 1) == (15, 20)


def test_candidates_come_once_and_never_before_the_start_tag():
    ends = candidates("<div><p>a<table><b>x</table></div>", "b")
    assert len(ends) == len(set(ends))
    assert min(ends) >= 19


def test_the_doctype_may_follow_comments_only():
    assert doctype_span("<!-- <!doctype x> -->\n<!DOCTYPE html>") == (22, 37)
    assert doctype_span("<p><!doctype html>") is None


@given(st.text(st.sampled_from("a\r\né€😀<b>\ud7ff")), st.booleans())
def test_offsets_agree_with_the_encoded_prefix(text, bom):
    source = codecs.BOM_UTF8 * bom + text.encode()
    codec, decoded = decode(source)
    mapped = SourceText(decoded, codec)
    assert mapped.text == text.replace("\r\n", "\n").replace("\r", "\n")
    for offset in [*range(len(mapped.text)), len(mapped.text), 0, 1]:
        rest = source[mapped.byte_offset(offset) :].decode()
        assert rest.replace("\r\n", "\n").replace("\r", "\n") == mapped.text[offset:]


@pytest.mark.parametrize(
    ("source", "span"),
    [
        ("a</p>b", (1, 5)),
        ("<div>a</P class=x>b</div>", (6, 18)),
        ("<p>x</p>a</p>", (9, 13)),
        ("<p>x</p><!--c--></p>", (16, 20)),
    ],
)
def test_a_stray_end_tag_is_the_place_of_the_paragraph_it_makes(source, span):
    document = Document(source.encode())
    (element,) = (found for found in document.select(Selector("p")) if not len(found))
    assert start_of(element, document.text.text) is None
    assert stray_tag_span(element, document.text.text) == span


def test_no_other_element_has_a_stray_tag():
    document = Document(b"<b><p>x</b></p></div>")
    clone = document.select(Selector("p b"))[0]
    assert stray_tag_span(clone, document.text.text) is None


def source_text(source):
    codec, decoded = decode(source)
    return SourceText(decoded, codec)


def test_rewritten_text_gets_the_usual_line_break_of_the_file():
    assert source_text(b"a\r\nb\r\nc\nd").newline == "\r\n"
    assert source_text(b"a\r\nb\nc").newline == "\n"
    assert source_text(b"a\rb").newline == "\n"


def test_parts_with_invalid_bytes_are_known():
    text = source_text(codecs.BOM_UTF8 + b"a\r\n\xff\r\nb")
    assert not text.is_faithful(0, 3)
    assert text.is_faithful(0, 2)
    assert text.is_faithful(3, 5)
    assert source_text(b"\xff").is_faithful(0, 1)


def find(source, css):
    document = Document(source.encode())
    return document.select(Selector(css))[0], document.text.text


def test_content_of_implied_elements_begins_where_they_do():
    assert content_start(*find("<table><tr><td>1</table>", "tbody")) == 7
    assert content_start(*find("<p class=x>a", "p")) == 11


def test_end_tags_that_the_file_leaves_out_are_listed_innermost_first():
    def tags(source, css="section"):
        return omitted_end_tags(find(source, css)[0])

    assert tags("<section><p>a<i>b") == "</i></p></section>"
    assert tags("<section><p>a</p>b") == "</section>"
    assert tags("<section>a<br>") == "</section>"
    assert tags("<section>a<svg>") == "</section>"
    assert tags("<section>a</section>") == ""
    assert omitted_end_tags(None) == ""


def test_the_doctype_is_kept_as_it_is_spelled():
    assert doctype_text("<!DocType  HTML >x") == "<!DocType  HTML >"
    assert doctype_text("x") == ""


@pytest.mark.parametrize(
    ("source", "css", "ends"),
    [
        ("<div><h1>a</h2>text</div>", "h1", [10, 19]),
        ("<h1>a</h2><!--c-->", "h1", [5, 18]),
        ("<h1>a<b>x</h2>text", "h1", [18]),
        ("<h1>a<b>x</b></h2>text", "h1", [13, 22]),
        ("<h1>a<template><i>y</template></h2>text", "h1", [30, 39]),
        ("<p>a", "p", [4]),
        ("<h1>a</h2", "h1", [9]),
        ("<p>a</body></html>", "body", [4, 11, 18]),
        ("<template><p>a<p>b</template>", "template", [29]),
        ("<table><p>a<tr><td>x</table>", "p", [28]),
        ("<ul><li>a</p><li>b</ul>", "li", [13, 18]),
        ("<table><tr></table><p>", "tbody", [11]),
        ("<form><div></form><p>x</div>y", "p", [22]),
        ("<form><x-y></form><x-z>a", "x-z", [24]),
        ("<table></pre><form>\n<tbody>", "form", [20, 27]),
        ("<h1>a</p></h2>text", "h1", [5, 18]),
        ("a<br>b", "br", [5]),
        ("<svg><g>a</svg>", "g", [9]),
    ],
)
def test_ends_are_guessed_from_what_follows(source, css, ends):
    assert candidates(source, css) == ends


def test_text_before_a_table_row_lies_outside_of_the_table():
    ends = candidates("<table>x<tr><td>1</table>y", "body")
    assert ends == [26]
    assert span("<table><tr><td>1</table>", "tr") == (7, 16)
