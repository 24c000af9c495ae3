"""Blocks on lines of their own, and nothing that is shown changes."""

import re

import pytest
import turbohtml
from hypothesis import given, strategies as st

from beamfast.documents import indent as module
from beamfast.documents.indent import indent


@pytest.mark.parametrize(
    ("text", "pretty"),
    [
        ("<ul><li>a<li>b</ul>", "<ul>\n  <li>a</li>\n  <li>b</li>\n</ul>"),
        ("<td>1</td><td>2</td>", "<td>1</td>\n<td>2</td>"),
        ("<tr><td>1</tr>", "<tr>\n  <td>1</td>\n</tr>"),
        ("text<b>bold</b> text", "text<b>bold</b> text"),
        ("<p>a</p>x<b>y</b> <p>b</p>", "<p>a</p>\nx<b>y</b>\n<p>b</p>"),
        ("<div><p> a <i>b</i></div>", "<div>\n  <p> a <i>b</i></p>\n</div>"),
        ("<body class=x><p>a", '<body class="x">\n  <p>a</p>\n</body>'),
        (
            "<div a='&quot;\xa0&amp;<'><p>",
            '<div a="&quot;&nbsp;&amp;<">\n  <p></p>\n</div>',
        ),
        ("<div><!-- c --><p>a</div>", "<div>\n  <!-- c -->\n  <p>a</p>\n</div>"),
        ("", ""),
    ],
)
def test_blocks_have_lines_and_what_flows_stays(text, pretty):
    assert indent(text) == pretty


def test_a_document_is_laid_out_with_its_doctype():
    assert indent("<!DOCTYPE html><title>x</title><p>y") == (
        "<!DOCTYPE html>\n<html>\n  <head>\n    <title>x</title>\n  </head>\n"
        "  <body>\n    <p>y</p>\n  </body>\n</html>"
    )


@pytest.mark.parametrize("tag", ["pre", "textarea", "script", "style"])
def test_what_is_kept_to_the_letter(tag):
    kept = f"<{tag}>a\n    b\n\n  c</{tag}>"
    assert kept in indent(f"<div><div>{kept}</div><p>x</div>")


def test_a_space_that_is_shown_is_no_white_space():
    assert indent("<div>\u2003<p>a</p></div>") == (
        "<div>\n  \u2003\n  <p>a</p>\n</div>"
    )


def test_deep_nesting_does_not_become_gigabytes():
    assert indent("<div>" * 5000) is None


def test_the_limit_is_what_may_be_added(monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 8)
    assert indent("<ul><li>a</li></ul>") is not None
    monkeypatch.setattr(module, "LIMIT", 2)
    assert indent("<ul><li>a</li></ul>") is None


PIECES = st.sampled_from(
    [
        *("<div>", "</div>", "<p>", "<b>", "</b>", "<ul><li>", "</ul>", "<table><td>"),
        *("</table>", "text", " ", "&amp;", "<br>", "<pre>\n a", "</pre>", "<!--c-->"),
        *("<template><p>x</template>", "<svg><p>", "<textarea> t\n", "</textarea>"),
    ]
)


def shown(text: str) -> tuple[str, list[str]]:
    """Return the text without white space, and what is in every ``pre``."""
    tree = turbohtml.parse_fragment(text, "template")
    kept = [pre.serialize() for pre in tree.find_all("pre")]
    return re.sub(r"\s+", "", tree.text), kept


@given(st.lists(PIECES, max_size=20).map("".join))
def test_no_text_is_lost_and_a_second_time_changes_nothing(text):
    balanced = turbohtml.parse_fragment(text, "template").serialize(inner=True)
    if turbohtml.parse_fragment(balanced, "template").serialize(inner=True) != balanced:
        # No text has these nodes; edits refuse such content.
        return
    pretty = indent(balanced)
    assert shown(pretty) == shown(balanced)
    assert indent(pretty) == pretty


def words(text: str) -> list[str]:
    """Return the words that a reader sees, blocks apart."""
    blocks = re.sub(r"</?(?:p|div|ul|li)\b[^>]*>", "\n", text)
    return re.sub(r"<[^>]*>", "", blocks).split()


@given(
    st.lists(
        st.sampled_from(
            ["<p>a</p>", "<div>b</div>", "x", "<b>y</b>", " ", "<i> z</i>"]
        ),
        max_size=12,
    ).map("".join)
)
def test_words_stay_apart_or_together(text):
    assert words(indent(f"<div>{text}</div>")) == words(f"<div>{text}</div>")
