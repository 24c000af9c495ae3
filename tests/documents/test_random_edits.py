"""
Random edits on real pages, on pages without optional end tags, and on tag soup.

Lexbor, an independent parser, has to read each new file as the tree that was verified;
on pages it also computes the wanted page itself. ``nox -s random_edits`` does 21,000
edits, the test suite a few hundred. Shares and seed are printed.
"""

import collections
import os
import random
import sys

import pytest
import turbohtml
from selectolax.lexbor import LexborHTMLParser

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.plan import outer_ranges
from beamfast.errors import DocumentError, EditRefused

from .test_corpus import (
    KINDS,
    LARGEST,
    normal,
    random_target,
    read,
    sensible,
    wanted_by_lexbor,
)

FULL = os.environ.get("BEAMFAST_RANDOM_EDITS") == "full"
SEED = os.environ.get("BEAMFAST_SEED", "beamfast")

HOSTILE = [
    *("<td>x</td>", "<b>unclosed", "</div>stray", "<p>a<p>b", "<li>x", "<body>x"),
    *("<tr><td>x", "<table><p>x", "</p>", "<a href=x><a href=y>z", "<option>x"),
    *("<!-- open", "<form><form>", "<script>x", "<h1>a</h2>", "&amp;&notit;<", "a\0b"),
]
SOUP = [
    *(
        f"<{tag}>"
        for tag in ("p", "div", "b", "i", "a", "ul", "li", "table", "tr", "td")
    ),
    *(f"</{tag}>" for tag in ("p", "div", "b", "i", "a", "ul", "li", "table", "td")),
    *("<h1>", "</h2>", "<form>", "</form>", "<button>", "<select>", "<option>", "<br>"),
    *("<dl>", "<dt>", "<dd>", "<center>", "<span id=x>", "</span>", "text", "a&lt;b"),
    *("\n", "\r\n", " ", "é", "<!--c-->", "<svg>", "<path/>", "</svg>", "<pre>\n"),
    *("</body>", "</html>", "<template>", "</template>", "<P CLASS='x y'>", "<hr/>"),
]
# Elements whose end tag may be left out, with what they hold (HTML, 13.1.2.4).
OMITTABLE = {
    "ul": "li",
    "dl": "dd",
    "table": "tr",
    "tr": "td",
    "select": "option",
    "div": "p",
}


def soup(chance):
    """Return a page that nobody would write."""
    pieces = chance.choices(SOUP, k=chance.randint(1, 24))
    return (chance.choice(["", "<!DOCTYPE html>"]) + "".join(pieces)).encode()


def omitted(chance):
    """Return a valid page that leaves out end tags where it may."""

    def element(tag, depth):
        children = []
        for _ in range(chance.randint(1, 4)):
            child = OMITTABLE.get(tag)
            if child is None:
                if tag in ("li", "dd", "td") and depth < 5 and chance.random() < 0.4:
                    inner = element(
                        chance.choice(["ul", "dl", "table", "div"]), depth + 1
                    )
                else:
                    inner = chance.choice(["text", "<b>b</b>", "a &amp; é", "<br>"])
                children.append(inner)
            else:
                children.append(element(child, depth + 1))
        may_leave_out = tag in OMITTABLE.values()
        end = "" if may_leave_out and chance.random() < 0.5 else f"</{tag}>"
        space = chance.choice(["", "\n", "  "])
        return f"<{tag}>{space.join(children)}{end}"

    parts = [
        element(chance.choice(["ul", "dl", "table", "div"]), 0)
        for _ in range(chance.randint(1, 4))
    ]
    return f"<!DOCTYPE html><title>t</title>\n{chr(10).join(parts)}\n".encode()


def own_content(kind, target, chance):
    return sensible(kind, target)


def hostile_content(kind, target, chance):
    return "" if kind is Kind.DELETE else chance.choice(HOSTILE)


def real(pages):
    return lambda chance: chance.choice(pages)


# Name; content; edits in the suite and in full; least share of splices among those
# done; most refusals; most disagreements with Lexbor.
SETS = [
    ("real pages", own_content, 60, 9000, 0.985, 0.0, 0.0),
    ("real pages, hostile content", hostile_content, 60, 3000, 0.50, 0.40, 0.01),
    ("pages without end tags", own_content, 250, 4000, 0.97, 0.01, 0.0),
    ("tag soup", own_content, 300, 5000, 0.70, 0.08, 0.03),
]


def places_of(document, element):
    """Return where the element may begin and end; broken markup leaves a choice."""
    return list(outer_ranges(document, element))


def check_bytes(source, edit, places):
    """Nothing outside the element has changed."""
    (splice,) = edit.splices
    end = splice.offset + splice.removed
    assert edit.source == (source[: splice.offset] + splice.inserted + source[end:])
    if edit.level == "splice":
        assert any(first <= splice.offset and end <= last for first, last in places)


@pytest.mark.system(debian=["git-doc", "sqlite3-doc"])
@pytest.mark.parametrize(
    ("name", "content_for", "few", "many", "splices", "refusals", "disagreements"),
    SETS,
    ids=[one[0] for one in SETS],
)
@pytest.mark.timeout(3600)
def test_random_edits_are_what_they_should_be(
    debian_pages, capsys, name, content_for, few, many, splices, refusals, disagreements
):
    chance = random.Random(f"{SEED} {name}")
    pages = [page for page in debian_pages if len(page) <= LARGEST]
    make = {"tag soup": soup, "pages without end tags": omitted}.get(name, real(pages))
    levels = collections.Counter()
    compared = 0
    others = []
    while levels.total() < (many if FULL else few):
        source = make(chance)
        kind = chance.choice(KINDS)
        document = Document(source)
        found = random_target(document, kind, chance)
        if found is None:
            continue
        selector, element, number = found
        content = content_for(kind, element, chance)
        places = places_of(document, element)
        wanted = None
        is_clear = name != "tag soup" and element.tag != "html"
        if content_for is own_content and is_clear:
            wanted = wanted_by_lexbor(read(document), kind, number, element, content)
        operation = Operation(kind, selector, content.encode(), name="title")
        try:
            edit = apply(document, operation)
        except DocumentError as error:
            assert isinstance(error, EditRefused) or error.status == 409
            assert document.source == source
            levels["refused"] += 1
            continue
        levels[edit.level] += 1
        check_bytes(source, edit, places)
        new = read(Document(edit.source))
        compared += 1
        if wanted is not None:
            agrees = normal(new) == normal(wanted)
        else:
            tree = turbohtml.parse(new, allow_declarative_shadow_roots=False)
            agrees = "".join(LexborHTMLParser(new).html.split()) == "".join(
                tree.serialize().split()
            )
        if not agrees:
            others.append((source[:200], selector.text, kind, content))
    edits = levels.total()
    shares = ", ".join(f"{level} {n / edits:.2%}" for level, n in levels.most_common())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{edits} edits, {name}, seed {SEED!r}: {shares}; Lexbor agrees on "
            f"{compared - len(others)} of {compared}\n"
        )
    done = edits - levels["refused"]
    assert levels["splice"] + levels["closed"] >= splices * done
    assert levels["refused"] <= refusals * edits
    assert len(others) <= disagreements * compared, others[:5]
