"""
Operations on the elements of a document, HTML or XML, one after the other.

All or none: what is wrong with one says which one it was, and nothing has happened.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from beamfast.documents.document import Document
from beamfast.documents.edit import Edit, Operation
from beamfast.documents.selection import Selection, read_selection
from beamfast.documents.selector import Selector
from beamfast.documents.several import apply_matching
from beamfast.documents.xml import read_xml
from beamfast.documents.xml_edit import apply_xml
from beamfast.entry import Version
from beamfast.errors import DocumentError, PreconditionFailed


@dataclass(frozen=True, slots=True)
class PatchItem:
    """One operation of a patch; ``tag`` is the validator that must hold, if any."""

    operation: Operation
    tag: str | None = None


def operate(
    items: Sequence[PatchItem],
    document: Document,
    base: Version,
    *,
    is_xml: bool,
    filters: Iterable[Selector] = (),
) -> Generator[None, None, list[tuple[PatchItem, int, Edit]]]:
    """
    Carry out ``items``, with a rest between them; return each edit with its item.

    Args:
        items: in order; later ones see what earlier ones did.
        document: the present snapshot, which stays as it is.
        base: its version.
        is_xml: it is XML.
        filters: subscriptions to test.

    Raises:
        DocumentError: one cannot be done.
    """
    apply = apply_xml if is_xml else apply_matching
    made = []
    for number, item in enumerate(items):
        if number:
            yield
        try:
            if item.tag is not None and item.tag != str(base):
                selection = selection_of(document, item.operation, is_xml=is_xml)
                if selection is None or selection.tag != item.tag:
                    raise PreconditionFailed("The selected part has changed")
            edits = apply(document, item.operation, filters=filters)
        except DocumentError as error:
            error.item = number
            raise
        made += [(item, number, edit) for edit in edits]
        if edits:
            document = edits[-1].document(base)
    return made


def selection_of(
    document: Document, operation: Operation, *, is_xml: bool
) -> Selection | None:
    """Return what the selector of ``operation`` reads; None when nothing matches."""
    if is_xml:
        return read_xml(document.source, operation.selector)
    return read_selection(
        document, operation.selector, template_scope=operation.template_scope
    )
