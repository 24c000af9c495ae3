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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from turbohtml import DocumentFragment, Element, Namespace, Node, Text

from beamfast.documents.document import Document
from beamfast.documents.fragment import (
    Fragment,
    fragment_for,
    fragment_in,
    is_structural,
    wrapper_for,
)
from beamfast.documents.ladder import MAX_ENDS, Attempt, Level, Writing
from beamfast.documents.selector import NO_MATCH, Selector
from beamfast.documents.spans import (
    VOID,
    content_ends_of,
    doctype_text,
    ends_of,
    start_of,
)
from beamfast.entry import Splice, Version
from beamfast.errors import EditConflict, EditRefused, NoElementMatched


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
        position: child indexes, in the old tree, of the element that was replaced
            or deleted, or of the place behind the last child when appended.
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
    change = _PLANS[operation.kind](document, targets[0], operation.content)
    watched = _Watch(operation.selector, filters)
    watched.look(change.parent, change.removed)
    # From here on the tree is the expected one, and no longer the document's.
    expected = document.take_tree()
    count = change.perform()
    attempt = Attempt(document, expected, change.position, change.root_tags)
    rewrite = attempt.climb(change.ranges, change.writings)
    if watched.waiting:
        parent = _node_at(rewrite.document.html, change.position[:-1])
        index = change.position[-1]
        watched.look(parent, parent.children[index : index + count])
    return Edit(
        level=rewrite.level,
        splices=rewrite.splices,
        source=rewrite.document.source,
        content=change.content,
        wrapper=change.wrapper,
        attributes=change.attributes,
        position=change.position,
        count=count,
        result=rewrite.result,
        matched=frozenset(watched.matched),
        _document=rewrite.document,
    )


@dataclass(slots=True)
class _Change:
    """
    One operation on one element, prepared on the unchanged tree.

    Attributes:
        parent: node whose children change.
        position: as in :class:`Edit`.
        removed: nodes that go.
        ranges: candidate byte ranges of what is replaced.
        writings: what may stand there, narrowest first.
        perform: applies the operation to the tree; returns ``Edit.count``.
    """

    parent: Node
    position: tuple[int, ...]
    removed: tuple[Element, ...]
    ranges: list[tuple[int, int]]
    writings: list[Writing]
    perform: Callable[[], int]
    content: str = ""
    wrapper: str = "div"
    attributes: dict[str, str] | None = None
    root_tags: int = 0


def _plan_replace(document: Document, target: Element, content: bytes) -> _Change:
    if not content:
        return _removal(document, target)
    parent = _parent_of(target)
    if is_structural(target):
        doctype = doctype_text(document.text.text)
        fragment = fragment_for(content, target.tag, doctype)
    else:
        fragment = fragment_in(content, parent)
    return _Change(
        parent=parent,
        position=_path_of(target),
        removed=(target,),
        ranges=_outer_ranges(document, target),
        writings=_writings(fragment),
        perform=lambda: _exchange(target, fragment.nodes),
        content=fragment.content,
        wrapper=fragment.wrapper,
        attributes=fragment.attributes,
        root_tags=fragment.root_tags,
    )


def _plan_append(document: Document, target: Element, content: bytes) -> _Change:
    if target.tag in VOID and target.namespace is Namespace.HTML:
        raise EditRefused(f"{target.tag} has no content", code="void-element")
    parent: Node = target
    for child in target.children[:1]:
        if isinstance(child, DocumentFragment):  # the content of a template
            parent = child
    fragment = fragment_in(content, parent)
    return _Change(
        parent=parent,
        position=(*_path_of(parent), len(parent)),
        removed=(),
        ranges=_inner_ranges(document, target),
        writings=_writings(fragment),
        perform=lambda: _extend(parent, fragment.nodes),
        content=fragment.content,
        wrapper=fragment.wrapper,
        root_tags=fragment.root_tags,
    )


def _plan_delete(document: Document, target: Element, content: bytes) -> _Change:
    change = _removal(document, target)
    change.content = target.serialize()
    change.wrapper = wrapper_for(change.content, (target,))
    return change


def _removal(document: Document, target: Element) -> _Change:
    if is_structural(target):
        # It would come back at the next read (HTML, 13.1.2.4).
        raise EditConflict(f"The {target.tag} element cannot be removed")
    return _Change(
        parent=_parent_of(target),
        position=_path_of(target),
        removed=(target,),
        ranges=_outer_ranges(document, target),
        writings=[Writing("splice", "")],
        perform=lambda: _exchange(target, ()),
    )


_PLANS: Final = {
    Kind.REPLACE: _plan_replace,
    Kind.APPEND: _plan_append,
    Kind.DELETE: _plan_delete,
}


def _writings(fragment: Fragment) -> list[Writing]:
    balanced = Writing("balanced", fragment.balanced)
    if fragment.verbatim is None:
        return [balanced]
    return [Writing("splice", fragment.verbatim), balanced]


def _outer_ranges(document: Document, target: Element) -> list[tuple[int, int]]:
    text = document.text
    start = start_of(target, text.text)
    if start is None:
        return []
    first = text.byte_offset(start)
    ends = islice(ends_of(target, text.text), MAX_ENDS)
    return [(first, text.byte_offset(end)) for end in ends]


def _inner_ranges(document: Document, target: Element) -> list[tuple[int, int]]:
    text = document.text
    if start_of(target, text.text) is None:
        return []
    ends = islice(content_ends_of(target, text.text), MAX_ENDS)
    places = [text.byte_offset(end) for end in ends]
    return [(place, place) for place in places]


def _parent_of(element: Element) -> Node:
    parent = element.parent
    assert parent is not None  # it was found in a document
    return parent


def _path_of(node: Node) -> tuple[int, ...]:
    path = []
    while (parent := node.parent) is not None:
        path.append(parent.children.index(node))
        node = parent
    return tuple(reversed(path))


def _node_at(root: Node, path: tuple[int, ...]) -> Node:
    for index in path:
        root = root[index]
    return root


def _exchange(target: Element, nodes: Sequence[Node]) -> int:
    """Put ``nodes`` where ``target`` is; return how many stand there as new ones."""
    before, after = target.previous_sibling, target.next_sibling
    if nodes:
        target.replace_with(*nodes)
    else:
        target.extract()
    return _join_around(before, nodes, after)


def _extend(parent: Node, nodes: Sequence[Node]) -> int:
    """Append ``nodes``; return how many stand there as new ones."""
    assert isinstance(parent, (Element, DocumentFragment))
    before = parent[len(parent) - 1] if len(parent) else None
    for node in nodes:
        parent.append(node)
    return _join_around(before, nodes, None)


def _join_around(before: Node | None, nodes: Sequence[Node], after: Node | None) -> int:
    # A parser never makes two text nodes side by side.
    count = len(nodes)
    last = nodes[-1] if nodes else before
    if nodes and _join(before, nodes[0]):
        count -= 1
        if not count:
            last = before
    _join(last, after)
    return count


def _join(left: Node | None, right: Node | None) -> bool:
    if not (isinstance(left, Text) and isinstance(right, Text)):
        return False
    left.data += right.data
    right.extract()
    return True


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
