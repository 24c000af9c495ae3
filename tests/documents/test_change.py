"""Four kinds of change, and the entries that record them."""

import pytest

from beamfast.documents.change import (
    Appending,
    ElementEdit,
    Origin,
    Removal,
    Replacement,
    carry_out,
    operation_for,
    validators,
)
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selection import read_selection
from beamfast.documents.selector import Selector
from beamfast.entry import Entry, Splice, Version
from beamfast.errors import DocumentNotFound, NoElementMatched, TooLarge

ORIGIN = Origin("/page.html", user="ann", operation_id="op", time=1234)
SOURCE = b"<p id=a>one</p><p>two</p>"
BASE = Version.of_file(SOURCE)


def do(change, source=SOURCE, *, limit=2**20):
    document = None if source is None else Document(source, BASE)
    return carry_out(change, document, BASE, ORIGIN, edit_limit=limit)


def edit(kind=Kind.REPLACE, selector="#a", content=b"<p id=a>1</p>", method="PUT"):
    return ElementEdit(Operation(kind, Selector.parse(selector), content), method)


def spliced(source: bytes, splices: tuple[Splice, ...]) -> bytes:
    for offset, removed, inserted in reversed(splices):
        source = source[:offset] + inserted + source[offset + removed :]
    return source


@pytest.mark.parametrize(
    "change",
    [
        edit(),
        edit(Kind.APPEND, "#a", b"<b>x</b>", "POST"),
        edit(Kind.DELETE, "p", b"", "DELETE"),
        Replacement(b"<h1>new</h1>"),
        Replacement(b"<h1>by hand</h1>", "import"),
        Appending(b"<p>three"),
        Removal(),
    ],
    ids=["put", "post", "delete", "file", "import", "append", "gone"],
)
def test_the_entry_says_how_to_do_it_again(change):
    outcome = do(change)
    after = b"" if outcome.document is None else outcome.document.source
    entry = outcome.entry
    assert spliced(SOURCE, entry.splices) == after
    assert (entry.length_before, entry.length_after) == (len(SOURCE), len(after))
    assert (entry.user, entry.operation_id, entry.time) == ("ann", "op", 1234)
    assert Entry.from_event(outcome.event) == entry
    assert outcome.version == BASE.next(outcome.event)
    assert not outcome.is_new
    if outcome.document is not None:
        assert outcome.document.version == outcome.version


def test_an_element_edit_carries_what_viewers_are_told():
    entry = do(edit()).entry
    assert entry.is_element_edit
    assert (entry.method, entry.url, entry.selector) == ("PUT", "/page.html", "#a")
    assert entry.content == '<p id="a">1</p>'


@pytest.mark.parametrize("change", [Replacement(b"x"), Appending(b"x")])
def test_a_missing_file_is_created(change):
    outcome = do(change, None)
    assert outcome.is_new
    assert outcome.document is not None
    assert outcome.document.source == b"x"
    assert not outcome.entry.is_element_edit


@pytest.mark.parametrize("change", [edit(), Removal()])
def test_a_missing_file_has_nothing_to_edit_or_remove(change):
    with pytest.raises(DocumentNotFound):
        do(change, None)


def test_a_document_over_the_limit_takes_whole_files_only():
    with pytest.raises(TooLarge):
        do(edit(), limit=10)
    assert do(Replacement(b"x"), limit=10).document is not None


def test_a_refused_edit_leaves_the_document_as_it_was():
    document = Document(SOURCE, BASE)
    with pytest.raises(NoElementMatched):
        carry_out(edit(selector="h6"), document, BASE, ORIGIN, edit_limit=2**20)
    assert document.source == SOURCE
    assert document.version == BASE


def test_a_change_says_how_much_it_holds():
    changes = [edit(content=b"abc"), Replacement(b"abcd"), Appending(b"ab"), Removal()]
    assert [change.size for change in changes] == [3, 4, 2, 0]


def test_methods_and_operations():
    kinds = [operation_for(method) for method in ("PUT", "POST", "DELETE")]
    assert kinds == [Kind.REPLACE, Kind.APPEND, Kind.DELETE]


def test_the_tag_of_what_is_selected_is_a_validator_of_an_element_edit_only():
    document = Document(SOURCE, BASE)
    version, tag = validators(edit(), document, BASE, edit_limit=2**20)
    assert version == str(BASE)
    assert tag == read_selection(document, Selector("#a")).tag
    assert validators(edit(selector="h6"), document, BASE, edit_limit=2**20) == [
        str(BASE),
        None,
    ]
    # What is too large is not selected from, and refused later.
    assert validators(edit(), document, BASE, edit_limit=1) == [str(BASE)]
    assert validators(Removal(), document, BASE, edit_limit=2**20) == [str(BASE)]
    assert validators(edit(), None, BASE, edit_limit=2**20) == [None]
