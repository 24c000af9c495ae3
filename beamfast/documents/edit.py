"""
Edits: one element of a document replaced, appended to, or deleted.

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

from beamfast.documents.document import Document
from beamfast.documents.ladder import (
    Attempt,
    Level,
    Rewrite,
    is_frame,
    moved_place,
)
from beamfast.documents.plan import plan_append, plan_delete, plan_replace
from beamfast.documents.selector import NO_MATCH, Selector
from beamfast.entry import Splice, Version
from beamfast.errors import NoElementMatched


class Kind(enum.Enum):
    """What happens to the selected element."""

    REPLACE = "replace"
    APPEND = "append"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Operation:
    """
    An edit that somebody wants.

    Attributes:
        kind: what to do.
        selector: with which element.
        content: HTML as UTF-8; replacing with nothing removes the element.
        template_scope: the selector also enters ``template`` elements.
    """

    kind: Kind
    selector: Selector
    content: bytes = b""
    template_scope: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """
    An edit carried out and verified, not stored.

    Attributes:
        level: how wide the rewrite had to be.
        splices: byte operations that lead from the old file to ``source``.
        source: the new file.
        content: what viewers get: the fragment, balanced; for a deletion, and
            only there, the element that was removed.
        wrapper: element that carries ``content`` in a StreamItem.
        attributes: of the new ``html``, ``head`` or ``body``, when one was replaced.
        position: child indexes of the first new node, in the new tree; of the
            element that was replaced or deleted, in the old one.
        count: how many nodes of the new tree, from ``position`` on, are new. Text
            that joined the text before it is not counted.
        result: bytes that now stand in the place of the element, or were appended.
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
        EditConflict: ``html``, ``head`` or ``body`` cannot be removed.
        EditRefused: it cannot be represented, or the document cannot be edited.
    """
    targets = document.select(
        operation.selector, template_scope=operation.template_scope
    )
    if not targets:
        raise NoElementMatched(NO_MATCH)
    plan = _PLANS[operation.kind](document, targets[0], operation.content)
    watched = _Watch(operation.selector, filters)
    watched.look(plan.parent, plan.removed)
    # From here on the tree is the expected one, and no longer the document's.
    expected = document.take_tree()
    count = plan.perform()
    attempt = Attempt(document, expected, plan.position, plan.root_tags)
    rewrite = attempt.climb(plan.ranges, plan.writings)
    position = plan.position
    if watched.waiting or not rewrite.is_exact:
        place = _place(rewrite, expected, plan.position, count)
        watched.look(place.parent, place.nodes)
        count = place.count
        # What was there before is found in the old tree, where it was.
        position = plan.position if plan.removed else place.position
    return Edit(
        level=rewrite.level,
        splices=rewrite.splices,
        source=rewrite.document.source,
        content=plan.content,
        wrapper=plan.wrapper,
        attributes=plan.attributes,
        position=position,
        count=count,
        result=rewrite.result,
        matched=frozenset(watched.matched),
        _document=rewrite.document,
    )


_PLANS: Final = {
    Kind.REPLACE: plan_replace,
    Kind.APPEND: plan_append,
    Kind.DELETE: plan_delete,
}


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


class _Watch:
    """Which filters an edit concerns, asked before it and after it."""

    def __init__(self, selector: Selector, filters: Iterable[Selector]) -> None:
        self.matched: set[Selector] = set()
        self.waiting: list[Selector] = []
        for wanted in filters:
            if wanted.normalized == selector.normalized:
                self.matched.add(wanted)
            else:
                self.waiting.append(wanted)

    def look(self, parent: Node, nodes: Iterable[Node]) -> None:
        """Test what is still open: does a filter hold, or hold part of, ``nodes``?"""
        if not self.waiting:
            return
        elements = [node for node in nodes if isinstance(node, Element)]
        for wanted in self.waiting[:]:
            if wanted.concerns(parent, elements):
                self.matched.add(wanted)
                self.waiting.remove(wanted)
