"""
Edits: one element replaced, removed, or given other content or attributes.

An edit changes the bytes of the selected element and no others. It is applied to
the tree as a DOM operation first; :mod:`beamfast.documents.ladder` then finds the
bytes that a parser reads as exactly that tree, or refuses.

Writes touch the first match only, as viewers do, who apply an edit with
``querySelector``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from turbohtml import Element, Node

from beamfast.documents.attributes import (
    plan_add_class,
    plan_remove,
    plan_remove_class,
    plan_set,
    plan_toggle_class,
)
from beamfast.documents.document import Document
from beamfast.documents.filters import Watch
from beamfast.documents.fragment import Told, tell_whole
from beamfast.documents.ladder import (
    Attempt,
    Level,
    Rewrite,
    is_frame,
    moved_place,
)
from beamfast.documents.placement import (
    plan_after,
    plan_append,
    plan_before,
    plan_inner,
    plan_prepend,
    plan_text,
)
from beamfast.documents.plan import Plan, plan_delete, plan_replace
from beamfast.documents.selector import NO_MATCH, Selector
from beamfast.documents.spans import doctype_text
from beamfast.entry import Splice, Version
from beamfast.errors import NoElementMatched


class Kind(enum.Enum):
    """What happens to the selected element, or where content goes."""

    REPLACE = "replace"
    DELETE = "delete"
    BEFORE = "before"
    PREPEND = "prepend"
    APPEND = "append"
    AFTER = "after"
    INNER = "inner"
    TEXT = "text"
    SET_ATTRIBUTE = "set-attribute"
    REMOVE_ATTRIBUTE = "remove-attribute"
    ADD_CLASS = "add-class"
    REMOVE_CLASS = "remove-class"
    TOGGLE_CLASS = "toggle-class"

    @property
    def told_as(self) -> str:
        """
        The method in what viewers are told.

        A StreamItem knows three: what is neither a removal nor an appending is
        the element anew, with whatever came beside it.
        """
        return {Kind.DELETE: "DELETE", Kind.APPEND: "POST"}.get(self, "PUT")

    @property
    def only_adds(self) -> bool:
        """True when all that was there before stays."""
        return self in (Kind.BEFORE, Kind.PREPEND, Kind.APPEND, Kind.AFTER)

    @property
    def concerns_tag(self) -> bool:
        """True when an attribute changes, and no content."""
        return self.value.endswith(("-attribute", "-class"))


@dataclass(frozen=True, slots=True)
class Operation:
    """
    An edit that somebody wants.

    Attributes:
        kind: what to do.
        selector: with which element.
        content: HTML as UTF-8, or plain text for ``TEXT`` and ``SET_ATTRIBUTE``;
            replacing with nothing removes the element.
        template_scope: the selector also enters ``template`` elements.
        name: of the attribute, or the class token.
    """

    kind: Kind
    selector: Selector
    content: bytes = b""
    template_scope: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """
    An edit carried out and verified, not stored.

    Attributes:
        level: how wide the rewrite had to be.
        splices: byte operations that lead from the old file to ``source``.
        source: the new file.
        content: what viewers get, balanced: what the element was replaced with,
            what was appended to it, the element that was removed; in all other
            cases the element as it is now, with what was put beside it.
        wrapper: element that carries ``content`` in a StreamItem.
        attributes: of the new ``html``, ``head`` or ``body``, when one was replaced.
        position: child indexes of the first new node, in the new tree; of the
            first element that went, in the old one.
        count: how many nodes of the new tree, from ``position`` on, are new. Text
            that joined the text before it is not counted.
        result: bytes that were put into the file, however wide the rewrite; of an
            attribute, the element that has it or had it.
        matched: the filters that concern this edit.
    """

    level: Level
    splices: tuple[Splice, ...]
    source: bytes
    content: str
    wrapper: str
    attributes: dict[str, str] | None
    position: tuple[int, ...]
    count: int
    result: bytes
    matched: frozenset[Selector]
    _document: Document

    def document(self, version: Version) -> Document:
        """Return the new snapshot, with the tree that was verified."""
        return self._document.with_version(version)


def apply(
    document: Document, operation: Operation, *, filters: Iterable[Selector] = ()
) -> Edit:
    """
    Carry out ``operation``; ``document`` itself does not change.

    Its tree is used up, though, and parsed again when next needed.

    Args:
        document: the present snapshot.
        operation: what to do.
        filters: subscriptions to test against the changed nodes.

    Raises:
        NoElementMatched: the selector matches nothing.
        EditConflict: ``html``, ``head`` or ``body`` cannot be removed, and nothing
            can stand beside them.
        EditRefused: it cannot be represented, or the document cannot be edited.
    """
    targets = document.select(
        operation.selector, template_scope=operation.template_scope
    )
    if not targets:
        raise NoElementMatched(NO_MATCH)
    plan = _plan(document, targets[0], operation)
    watched = Watch(operation.selector.normalized, filters)
    watched.look(plan.parent, plan.removed)
    # From here on the tree is the expected one, and no longer the document's.
    expected = document.take_tree()
    count = plan.perform()
    attempt = Attempt(document, expected, plan.position, plan.root_tags)
    rewrite = attempt.climb(plan.ranges, plan.writings)
    told = Told(plan.content, plan.wrapper, plan.attributes)
    if plan.whole is not None:
        told = tell_whole(plan.whole, doctype_text(document.text.text))
    position, result = plan.position, rewrite.result
    if watched.waiting or not rewrite.is_exact or operation.kind.concerns_tag:
        place = _place(rewrite, expected, plan.position, count)
        watched.look(place.parent, place.nodes)
        count = place.count
        # What was there before is found in the old tree, where it was.
        position = plan.position if plan.removed else place.position
        if operation.kind.concerns_tag:
            (element,) = place.nodes
            assert isinstance(element, Element)
            result = rewrite.document.element_bytes(element)
    return Edit(
        level=rewrite.level,
        splices=rewrite.splices,
        source=rewrite.document.source,
        content=told.content,
        wrapper=told.wrapper,
        attributes=told.attributes,
        position=position,
        count=count,
        result=result,
        matched=frozenset(watched.matched),
        _document=rewrite.document,
    )


_CONTENT_PLANS: Final = {
    Kind.REPLACE: plan_replace,
    Kind.DELETE: plan_delete,
    Kind.BEFORE: plan_before,
    Kind.PREPEND: plan_prepend,
    Kind.APPEND: plan_append,
    Kind.AFTER: plan_after,
    Kind.INNER: plan_inner,
    Kind.TEXT: plan_text,
}
_TAG_PLANS: Final = {
    Kind.REMOVE_ATTRIBUTE: plan_remove,
    Kind.ADD_CLASS: plan_add_class,
    Kind.REMOVE_CLASS: plan_remove_class,
    Kind.TOGGLE_CLASS: plan_toggle_class,
}


def _plan(document: Document, target: Element, operation: Operation) -> Plan:
    kind = operation.kind
    if kind is Kind.SET_ATTRIBUTE:
        return plan_set(document, target, operation.name, operation.content)
    if kind in _TAG_PLANS:
        return _TAG_PLANS[kind](document, target, operation.name)
    return _CONTENT_PLANS[kind](document, target, operation.content)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where new nodes are in the new tree."""

    parent: Node
    position: tuple[int, ...]
    count: int

    @property
    def nodes(self) -> Sequence[Node]:
        first = self.position[-1]
        return self.parent.children[first : first + self.count]


def _place(
    rewrite: Rewrite, expected: Node, position: tuple[int, ...], count: int
) -> _Place:
    """Follow ``position``, which is true of the expected tree, into the new one."""
    read: Node = rewrite.document.html
    wanted = expected
    path: list[int] = []
    for index in position[:-1]:
        moves = not rewrite.is_exact and is_frame(wanted)
        path.append(moved_place(read, wanted, index, 1)[0] if moves else index)
        read, wanted = read[path[-1]], wanted[index]
    first = position[-1]
    if not rewrite.is_exact and is_frame(wanted):
        first, count = moved_place(read, wanted, first, count)
    return _Place(read, (*path, first), count)
