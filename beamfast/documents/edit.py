"""
Edits: one element replaced, removed, or given other content or attributes.

An edit changes the bytes of the selected element and no others. It is applied to
the tree as a DOM operation first; :mod:`beamfast.documents.ladder` then finds the
bytes that a parser reads as exactly that tree, or refuses.

Here an edit touches one element; :mod:`beamfast.documents.several` makes one edit of
many.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from turbohtml import Element

from beamfast.documents.attributes import (
    plan_add_class,
    plan_remove,
    plan_remove_class,
    plan_set,
    plan_toggle_class,
)
from beamfast.documents.comparison import place_in
from beamfast.documents.document import Document
from beamfast.documents.filters import Watch
from beamfast.documents.fragment import Told
from beamfast.documents.ladder import (
    Attempt,
    Level,
    Site,
)
from beamfast.documents.placement import (
    is_raw_text,
    plan_after,
    plan_append,
    plan_before,
    plan_inner,
    plan_prepend,
    plan_text,
)
from beamfast.documents.plan import Plan, index_of, plan_delete, plan_replace
from beamfast.documents.selector import NO_MATCH, Selector
from beamfast.entry import Splice, Version
from beamfast.errors import NoElementMatched

Match = Literal["first", "all", "only", "none-ok"] | int


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
        match: which of the matches: ``first``, ``all``, the ``only`` one there may
            be, the first if any (``none-ok``), or its number, counted from one.
        is_text: ``content`` is plain text, for whatever kind.
        dedupe: children with the same id make way for what comes inside.
    """

    kind: Kind
    selector: Selector
    content: bytes = b""
    template_scope: bool = False
    name: str = ""
    match: Match = "first"
    is_text: bool = False
    dedupe: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """
    An edit carried out and verified, not stored.

    Attributes:
        selector: by which viewers find the element as their first match.
        level: how wide the rewrite had to be.
        splices: byte operations that lead from the old file to ``source``.
        source: the new file.
        told: what viewers get, balanced: what the element was replaced with,
            what was appended to it, the element that was removed; in all other
            cases the element as it is now, with what was put beside it.
        position: child indexes of the first new node, in the new tree; of the
            first element that went, in the old one.
        count: how many nodes of the new tree, from ``position`` on, are new. Text
            that joined the text before it is not counted.
        result: bytes that were put into the file, however wide the rewrite; of an
            attribute, the element that has it or had it.
        matched: the filters that concern this edit.
    """

    selector: str
    level: Level
    splices: tuple[Splice, ...]
    source: bytes
    told: Told
    position: tuple[int, ...]
    count: int
    result: bytes
    matched: frozenset[Selector]
    _document: Document

    @property
    def content(self) -> str:
        """HTML that viewers get."""
        return self.told.content

    @property
    def wrapper(self) -> str:
        """Element that carries the content in a StreamItem."""
        return self.told.wrapper

    @property
    def attributes(self) -> dict[str, str] | None:
        """Attributes of the new ``html``, ``head`` or ``body``, if that changed."""
        return self.told.attributes

    def document(self, version: Version) -> Document:
        """Return the new snapshot, with the tree that was verified."""
        return self._document.with_version(version)


def apply(
    document: Document, operation: Operation, *, filters: Iterable[Selector] = ()
) -> Edit:
    """
    Carry out ``operation`` on the first match; ``document`` itself does not change.

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
    return apply_to(
        document, targets[0], operation, operation.selector.text, filters=filters
    )


def apply_to(
    document: Document,
    target: Element,
    operation: Operation,
    selector: str,
    *,
    filters: Iterable[Selector] = (),
) -> Edit:
    """
    Carry out ``operation`` on ``target``.

    Args:
        document: the present snapshot.
        target: an element of its tree.
        operation: what to do.
        selector: by which viewers find the target as their first match.
        filters: as for :func:`apply`, which also says what is raised.
    """
    plan = plan_for(document, target, operation)
    watched = Watch(operation.selector.normalized, filters)
    watched.look(plan.parent, plan.removed)
    site = Site(list(plan.ranges), plan.writings)
    wanted_at = plan.position(index_of)
    # From here on the tree is the expected one, and no longer the document's.
    expected = document.take_tree()
    count = plan.perform()
    attempt = Attempt(document, expected, wanted_at, plan.root_tags)
    rewrite = attempt.climb([site])
    told = plan.told(document)
    position, (result,) = wanted_at, rewrite.results
    if watched.waiting or not rewrite.is_exact or operation.kind.concerns_tag:
        place = place_in(
            *(rewrite.document.html, expected, wanted_at, count),
            is_exact=rewrite.is_exact,
        )
        watched.look(place.parent, place.nodes)
        count = place.count
        # What was there before is found in the old tree, where it was.
        position = wanted_at if plan.removed else place.position
        if operation.kind.concerns_tag:
            (element,) = place.nodes
            assert isinstance(element, Element)
            result = rewrite.document.element_bytes(element)
    return Edit(
        selector=selector,
        level=rewrite.level,
        splices=rewrite.splices,
        source=rewrite.document.source,
        told=told,
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


def plan_for(document: Document, target: Element, operation: Operation) -> Plan:
    """Return the plan of ``operation``; :func:`apply` says what is raised."""
    kind, content = operation.kind, operation.content
    if kind is Kind.SET_ATTRIBUTE:
        return plan_set(document, target, operation.name, operation.content)
    if kind in _TAG_PLANS:
        return _TAG_PLANS[kind](document, target, operation.name)
    if operation.is_text and kind is not Kind.TEXT:
        is_inside = kind in (Kind.PREPEND, Kind.APPEND, Kind.INNER)
        if not (is_inside and is_raw_text(target)):
            content = content.replace(b"&", b"&amp;").replace(b"<", b"&lt;")
    return _CONTENT_PLANS[kind](document, target, content)
