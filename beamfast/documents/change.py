"""
What may happen to a document, and the journal entry that records it.

Five kinds: an edit of elements, several such edits in one, the whole file replaced,
bytes appended, the file removed. Each turns one snapshot into the next; storing and
publishing is the business of :mod:`beamfast.commit`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import cast

from beamfast.documents.document import Document
from beamfast.documents.edit import Edit, Kind, Operation
from beamfast.documents.elements import PatchItem, operate, selection_of
from beamfast.documents.selector import Selector
from beamfast.entry import Entry, Splice, Version, spliced
from beamfast.errors import (
    DocumentError,
    DocumentNotFound,
    TooLarge,
)


@dataclass(frozen=True, slots=True)
class ElementEdit:
    """
    Edit the elements that an operation means.

    Attributes:
        operation: what to do.
        method: the HTTP method that viewers are told.
        is_xml: the document is XML.
    """

    operation: Operation
    method: str
    is_xml: bool = False

    @property
    def items(self) -> tuple[PatchItem, ...]:
        """The operation, as the one item of a patch."""
        return (PatchItem(self.operation),)

    def told_as(self, item: PatchItem) -> str:
        """Return the method that viewers are told."""
        return self.method

    @property
    def size(self) -> int:
        """Bytes that this change holds while it waits."""
        return len(self.operation.content)


@dataclass(frozen=True, slots=True)
class Replacement:
    """The whole file becomes ``data``; ``method`` is that of the entry."""

    data: bytes
    method: str = "file"

    @property
    def size(self) -> int:
        """Bytes that this change holds while it waits."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Appending:
    """``data`` goes behind the last byte of the file, which may be missing."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes that this change holds while it waits."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Removal:
    """The file is removed."""

    size: int = 0


@dataclass(frozen=True, slots=True)
class Patch:
    """
    Several operations, all or none; later ones see what earlier ones did.

    Attributes:
        items: in order.
        is_xml: the document is XML.
    """

    items: tuple[PatchItem, ...]
    is_xml: bool = False

    @property
    def size(self) -> int:
        """Bytes that this change holds while it waits."""
        return sum(len(item.operation.content) for item in self.items)

    def told_as(self, item: PatchItem) -> str:
        """Return the method that viewers are told of an item."""
        return item.operation.kind.told_as


Change = ElementEdit | Patch | Replacement | Appending | Removal


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Who asked for a change, and how.

    Attributes:
        url: path as the writer spelled it, decoded.
        user: name, or empty.
        operation_id: unique name of the change, or empty.
        time: milliseconds since the epoch.
    """

    url: str
    user: str = ""
    operation_id: str = ""
    time: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    A change carried out in memory.

    Attributes:
        document: the next snapshot; None when the file is removed.
        version: of the change, also where there is no document any more.
        entry: what the journal gets.
        event: the bytes of ``entry``, which ``version`` was computed from.
        edit: for an element, what the answer is made of.
        is_new: there was no such file before.
        item: number of the operation, in a patch.
        earlier: what the same change did before, each a version of its own that
            nobody gets to see.
    """

    document: Document | None
    version: Version
    entry: Entry
    event: bytes
    edit: Edit | None = None
    is_new: bool = False
    item: int = 0
    earlier: tuple[Outcome, ...] = ()

    @property
    def is_logged(self) -> bool:
        """False when nothing matched and nothing had to be done."""
        return bool(self.event)

    @property
    def steps(self) -> tuple[Outcome, ...]:
        """Everything that the change did, in order."""
        return *self.earlier, self


def carry_out(
    change: Change,
    document: Document | None,
    base: Version,
    origin: Origin,
    *,
    edit_limit: int,
    filters: Iterable[Selector] = (),
) -> Outcome:
    """
    Apply ``change`` to ``document``, which stays as it is.

    Args:
        change: what to do.
        document: the present snapshot; None when there is no file.
        base: version of the snapshot, or of the removal that led to None.
        origin: goes into the entry.
        edit_limit: bytes; a larger document takes no element edit.
        filters: subscriptions; ``edit.matched`` of the outcome says which of them
            an edit of elements concerns.

    Raises:
        DocumentError: the change cannot be done; nothing has happened.
    """
    steps = in_steps(
        *(change, document, base, origin), edit_limit=edit_limit, filters=filters
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("Outcome", end.value)


def in_steps(
    change: Change,
    document: Document | None,
    base: Version,
    origin: Origin,
    *,
    edit_limit: int,
    filters: Iterable[Selector] = (),
) -> Generator[None, None, Outcome]:
    """
    Do what :func:`carry_out` does, with a rest between the items of a patch.

    Arguments, result and errors as there. Between two steps nothing of the change
    can be seen; ``document`` can be read and must not be edited.
    """
    if isinstance(change, ElementEdit | Patch):
        return (
            yield from _edit_elements(
                change, document, base, origin, edit_limit, filters
            )
        )
    before = None if document is None else document.source
    length = len(before or b"")
    if isinstance(change, Removal):
        if before is None:
            raise DocumentNotFound("File not found")
        return _whole(None, "gone", base, origin, Splice(0, length, b""), before)
    if isinstance(change, Replacement):
        splice = Splice(0, length, change.data)
        return _whole(change.data, change.method, base, origin, splice, before)
    after = (before or b"") + change.data
    return _whole(after, "append", base, origin, Splice(length, 0, change.data), before)


def _edit_elements(
    change: ElementEdit | Patch,
    document: Document | None,
    base: Version,
    origin: Origin,
    edit_limit: int,
    filters: Iterable[Selector],
) -> Generator[None, None, Outcome]:
    if document is None:
        raise DocumentNotFound("File not found")
    if document.size > edit_limit:
        raise TooLarge("The document is too large to be edited by selector")
    try:
        made = yield from operate(
            change.items, document, base, is_xml=change.is_xml, filters=filters
        )
    except DocumentError as error:
        if isinstance(change, Patch):
            error.args = (f"Item {error.item + 1}: {error}",)
        raise
    if not made:
        method = change.told_as(change.items[0])
        return Outcome(document, base, Entry(method=method, url=origin.url), b"")
    outcomes: list[Outcome] = []
    version, length = base, document.size
    for left, (item, number, edit) in zip(
        reversed(range(len(made))), made, strict=True
    ):
        entry = _entry_of(edit, change.told_as(item), origin, length, left)
        event = entry.event()
        version, length = version.next(event), len(edit.source)
        step = Outcome(edit.document(version), version, entry, event, edit, item=number)
        outcomes.append(step)
    return replace(outcomes[-1], earlier=tuple(outcomes[:-1]))


def _entry_of(
    edit: Edit, method: str, origin: Origin, length: int, remaining: int
) -> Entry:
    return Entry(
        method=method,
        url=origin.url,
        selector=edit.selector,
        content=edit.content,
        wrapper=edit.wrapper,
        attributes=edit.attributes,
        position=edit.position,
        count=edit.count,
        splices=edit.splices,
        length_before=length,
        length_after=len(edit.source),
        user=origin.user,
        operation_id=origin.operation_id,
        time=origin.time,
        remaining=remaining,
    )


def _whole(
    after: bytes | None,
    method: str,
    base: Version,
    origin: Origin,
    splice: Splice,
    before: bytes | None,
) -> Outcome:
    entry = Entry(
        method=method,
        url=origin.url,
        splices=(splice,),
        length_before=len(before or b""),
        length_after=len(after or b""),
        user=origin.user,
        operation_id=origin.operation_id,
        time=origin.time,
    )
    event = entry.event()
    version = base.next(event)
    document = None if after is None else Document(after, version)
    return Outcome(document, version, entry, event, is_new=before is None)


def redo(entry: Entry, source: bytes | None) -> bytes | None:
    """
    Return the file after a recorded change, by its splices alone.

    No selector is evaluated, so whatever parser is installed, the bytes are the
    ones that were recorded.

    Args:
        entry: the change.
        source: the file before it; None when there was none.

    Raises:
        ValueError: the change was not made on these bytes.
    """
    if entry.method == "gone":
        return None
    if entry.method in ("file", "import", "restore"):
        return entry.splices[0].inserted
    before = source or b""
    if len(before) != entry.length_before:
        raise ValueError(f"{len(before)} bytes instead of {entry.length_before}")
    after = spliced(before, entry.splices)
    if len(after) != entry.length_after:
        raise ValueError(f"{len(after)} bytes instead of {entry.length_after}")
    return after


def validators(
    change: Change, document: Document | None, base: Version, *, edit_limit: int
) -> list[str | None]:
    """
    Return the tags that a condition of ``change`` may name.

    Of an edit of elements that is also the tag of what its selector reads, so
    that writers of different parts of a document need not know of each other.

    Args:
        change: what is to be done.
        document: the present snapshot; None when there is no file.
        base: its version.
        edit_limit: bytes; above it nothing is selected.
    """
    if document is None:
        return [None]
    tags: list[str | None] = [str(base)]
    if isinstance(change, ElementEdit) and document.size <= edit_limit:
        selection = selection_of(document, change.operation, is_xml=change.is_xml)
        tags.append(selection.tag if selection else None)
    return tags


def operation_for(method: str) -> Kind:
    """Return what ``PUT``, ``POST`` or ``DELETE`` does to a selected element."""
    return {"PUT": Kind.REPLACE, "POST": Kind.APPEND, "DELETE": Kind.DELETE}[method]
