"""Operations on elements: one after the other, all or none."""

import pytest

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.elements import PatchItem, operate, selection_of
from beamfast.documents.selector import Selector
from beamfast.entry import Version
from beamfast.errors import DocumentError, NoElementMatched

SOURCE = b"<r><p>1</p><p>2</p></r>"
BASE = Version.of_file(SOURCE)


def item(kind, css, content=b"", tag=None, **fields):
    return PatchItem(Operation(kind, Selector.parse(css), content, **fields), tag)


def finished(steps):
    rests = 0
    while True:
        try:
            next(steps)
            rests += 1
        except StopIteration as end:
            return end.value, rests


@pytest.mark.parametrize("is_xml", [False, True])
def test_each_operation_sees_what_the_one_before_left(is_xml):
    items = [
        item(Kind.TEXT, "p", b"n", match="all"),
        item(Kind.APPEND, "p:first-child", b"<b/>" if is_xml else b"<b></b>"),
    ]
    made, rests = finished(operate(items, Document(SOURCE), BASE, is_xml=is_xml))
    assert [number for _, number, _ in made] == [0, 0, 1]
    assert b"<p>n<b" in made[-1][2].source
    assert rests == 1


@pytest.mark.parametrize("is_xml", [False, True])
def test_what_fails_has_a_number(is_xml):
    document = Document(SOURCE)
    items = [item(Kind.DELETE, "p", match="all"), item(Kind.DELETE, "p")]
    with pytest.raises(NoElementMatched) as caught:
        finished(operate(items, document, BASE, is_xml=is_xml))
    assert caught.value.item == 1
    assert document.source == SOURCE


@pytest.mark.parametrize("is_xml", [False, True])
def test_a_tag_has_to_hold_when_its_turn_comes(is_xml):
    first = item(Kind.TEXT, "p:first-child", b"n")
    tag = selection_of(Document(SOURCE), first.operation, is_xml=is_xml).tag
    first = item(Kind.TEXT, "p:first-child", b"n", tag)
    assert finished(operate([first], Document(SOURCE), BASE, is_xml=is_xml))[0]
    with pytest.raises(DocumentError) as caught:
        finished(operate([first, first], Document(SOURCE), BASE, is_xml=is_xml))
    assert (caught.value.status, caught.value.item) == (412, 1)
