"""One edit of many elements."""

import random

import pytest
import turbohtml
from hypothesis import given, settings, strategies as st

from beamfast.documents.comparison import is_same_tree
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.fragment import is_structural
from beamfast.documents.selector import Selector
from beamfast.documents.several import apply_matching
from beamfast.entry import spliced
from beamfast.errors import DocumentError, EditConflict, SelectorError, TooLarge

LIST = b"<ul><li>1\n<li>2\n<li>3\n</ul><p>x"


def edits_of(source, kind, css, content=b"", match="all", **fields):
    operation = Operation(kind, Selector.parse(css), content, match=match, **fields)
    return apply_matching(Document(source), operation)


def test_every_match_changes_in_one_step_and_nothing_else_does():
    edits = edits_of(LIST, Kind.APPEND, "li", b"<b>n</b>")
    assert edits[-1].source == (
        b"<ul><li>1\n<b>n</b><li>2\n<b>n</b><li>3\n<b>n</b></ul><p>x"
    )
    assert {edit.level for edit in edits} == {"splice"}
    assert [len(edit.splices) for edit in edits] == [0, 0, 3]
    assert spliced(LIST, edits[-1].splices) == edits[-1].source
    # Between them the file is what it was.
    assert [edit.source for edit in edits[:-1]] == [LIST, LIST]


def test_items_go_from_the_end_of_the_document_to_its_beginning():
    edits = edits_of(LIST, Kind.DELETE, "li")
    assert [edit.content for edit in edits] == [
        *("<li>3\n</li>", "<li>2\n</li>", "<li>1\n</li>")
    ]
    assert edits[0].selector.endswith("li:nth-of-type(3)")


def test_one_match_keeps_the_selector_of_its_writer():
    (edit,) = edits_of(LIST, Kind.REPLACE, "p", b"<p>y")
    assert edit.selector == "p"


@pytest.mark.parametrize(
    ("kind", "count"), [(Kind.REPLACE, 1), (Kind.DELETE, 1), (Kind.INNER, 1)]
)
def test_of_nested_matches_the_outermost_is_taken(kind, count):
    edits = edits_of(b"<div><div><i>a</i></div></div>", kind, "div", b"x")
    assert len(edits) == count


def test_insertions_go_into_nested_matches_too():
    edits = edits_of(b"<div>a<div>b</div>c</div>", Kind.APPEND, "div", b"!")
    assert edits[-1].source == b"<div>a<div>b!</div>c!</div>"
    edits = edits_of(b"<div>a<div>b</div>c</div>", Kind.PREPEND, "div", b"!")
    assert edits[-1].source == b"<div>!a<div>!b</div>c</div>"
    assert edits[-1].content == "<div>!a<div>!b</div>c</div>"


def test_attributes_and_classes_of_all_matches():
    source = b"<i class=a>1</i><i>2</i><I CLASS='b a'>3</I>"
    edits = edits_of(source, Kind.TOGGLE_CLASS, "i", name="a")
    assert edits[-1].source == (
        b'<i class="">1</i><i class="a">2</i>' + b"<I CLASS='b'>3</I>"
    )
    assert [edit.result for edit in edits] == [
        *(b"<I CLASS='b'>3</I>", b'<i class="a">2</i>', b'<i class="">1</i>')
    ]


@pytest.mark.parametrize(
    ("match", "changed"), [("first", "1"), ("none-ok", "1"), (1, "1"), (3, "3")]
)
def test_a_match_is_chosen_by_its_number(match, changed):
    (edit,) = edits_of(LIST, Kind.DELETE, "li", match=match)
    assert edit.content == f"<li>{changed}\n</li>"
    selected = Document(LIST).select(Selector.parse(edit.selector))
    assert selected[0].serialize() == edit.content


def test_the_only_match_is_the_only_one():
    assert len(edits_of(LIST, Kind.DELETE, "p", match="only")) == 1
    with pytest.raises(EditConflict) as caught:
        edits_of(LIST, Kind.DELETE, "li", match="only")
    assert (caught.value.status, caught.value.code) == (409, "several-matches")


@pytest.mark.parametrize("match", ["first", "all", "only", 1, 4])
def test_what_does_not_match_is_an_error(match):
    with pytest.raises(DocumentError) as caught:
        edits_of(LIST, Kind.DELETE, "h6" if match != 4 else "li", match=match)
    assert (caught.value.status, caught.value.code) == (404, "no-match")


def test_nothing_matched_and_nothing_done_can_be_all_right():
    assert edits_of(LIST, Kind.DELETE, "h6", match="none-ok") == ()


def test_the_number_of_matches_and_what_they_amount_to_are_bounded():
    with pytest.raises(SelectorError) as caught:
        edits_of(b"<i></i>" * 4097, Kind.DELETE, "i")
    assert (caught.value.status, caught.value.code) == (400, "selector-too-complex")
    assert len(edits_of(b"<i></i>" * 4096, Kind.DELETE, "i")) == 4096
    with pytest.raises(TooLarge) as caught:
        edits_of(b"<i></i>" * 4096, Kind.APPEND, "i", b"x" * 2100)
    assert (caught.value.status, caught.value.code) == (413, "edit-too-large")
    # Every element is told anew, and the outer ones hold the inner ones.
    with pytest.raises(TooLarge):
        edits_of(b"<div>" * 400 + b"x" * 60_000, Kind.SET_ATTRIBUTE, "div", name="id")


def test_what_cannot_stand_in_one_place_is_done_in_none():
    document = Document(b"<p>a</p><div>b</div>")
    operation = Operation(Kind.INNER, Selector("p, div"), b"<p>x</p>", match="all")
    with pytest.raises(DocumentError):
        apply_matching(document, operation)
    assert document.source == b"<p>a</p><div>b</div>"
    assert [one.tag for one in document.select(Selector("p, div"))] == ["p", "div"]


def test_wider_rungs_serve_several_changes_as_well():
    source = b"<div><b><p>x</b>y</p><i>z</i></div>tail"
    edits = edits_of(source, Kind.APPEND, "p b, i", b"<u>n</u>")
    assert edits[0].level == "ancestor"
    assert edits[-1].source.endswith(b"</div>tail")
    assert [edit.result for edit in edits] == [b"<u>n</u>"] * 2


def test_new_children_take_the_place_of_those_with_the_same_id():
    source = b"<ul><li id=a>1<li id=b>2<li id=c>3</ul>"
    edits = edits_of(source, Kind.APPEND, "ul", b"<li id=a>n<li id=x>m", dedupe=True)
    assert edits[-1].source == b"<ul><li id=b>2<li id=c>3<li id=a>n<li id=x>m</ul>"
    edits = edits_of(source, Kind.PREPEND, "ul", b"<li id=a>n", "first", dedupe=True)
    assert edits[-1].source == b"<ul><li id=a>n<li id=b>2<li id=c>3</ul>"
    (edit,) = edits_of(source, Kind.APPEND, "ul", b"<li id=x>n", "first", dedupe=True)
    assert edit.selector == "ul"


class Viewer:
    """A page that applies what it is told with ``querySelector``."""

    def __init__(self, source):
        self.tree = turbohtml.parse(source.decode())

    def apply(self, edit, kind):
        target = self.tree.select_one(edit.selector)
        content = turbohtml.parse_fragment(edit.content, "template").children
        if kind.told_as == "POST":
            target.extend(content)
        elif kind.told_as == "PUT" and content:
            target.replace_with(*content)
        else:
            target.extract()
        self.tree.root.normalize()


PIECES = [
    *("<p>", "</p>", "<div>", "</div>", "<b>", "</b>", "<i id=x>", "</i>", "<ul>"),
    *("<li>", "</ul>", "text", " ", "<table><tr><td>", "</table>", "<div class=k>"),
]
PAGES = st.lists(st.sampled_from(PIECES), min_size=2, max_size=24).map("".join)
CSS = st.sampled_from(["p", "div", "b", "i", "li", "td", "body *", "p, li", "div b"])
CONTENTS = st.sampled_from(
    ["<p>n</p>", "t", "<i id=x>n</i>m", "<li>n", "<div><b>n</b></div>", "<td>n</td>"]
)


@settings(max_examples=300)
@given(PAGES, st.sampled_from(list(Kind)), CSS, CONTENTS)
def test_applying_the_items_one_by_one_gives_the_tree_of_the_file(
    page, kind, css, content
):
    source = f"<!doctype html>{page}".encode()
    targets = Document(source).select(Selector(css))
    try:
        edits = edits_of(source, kind, css, content.encode(), name="title")
    except DocumentError:
        return
    assert spliced(source, edits[-1].splices) == edits[-1].source
    viewer = Viewer(source)
    for edit in edits:
        viewer.apply(edit, kind)
    assert not any(map(is_structural, targets))
    assert is_same_tree(Document(edits[-1].source).html, viewer.tree)


def test_chains_of_edits_of_all_matches_equal_a_cold_parse():
    chance = random.Random(5)
    document = Document(b"<div>1<p>2<b>3</b></p><ul><li>4<li>5</ul></div>" * 20)
    for number in range(30):
        kind = chance.choice([Kind.APPEND, Kind.SET_ATTRIBUTE, Kind.TEXT, Kind.INNER])
        css = chance.choice(["p", "li", "b", "li:last-child"])
        operation = Operation(
            kind, Selector(css), b"<b>n</b>", name="title", match="all"
        )
        try:
            edits = apply_matching(document, operation)
        except DocumentError:
            continue
        document = edits[-1].document(document.version.next(bytes([number])))
        assert document.has_tree
    assert document.html.equals(Document(document.source).html)
