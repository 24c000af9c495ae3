"""
Plans: what an edit does to one element, worked out beforehand.

A plan is made on the unchanged tree: which bytes may be replaced, what may stand
there instead, and the DOM operation that makes the tree the expected one. Nothing
has happened to the tree until :attr:`Plan.perform` is called. Here are the plans
that take an element away; :mod:`beamfast.documents.placement` leaves it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from turbohtml import Element, Node, Range, Text

from beamfast.documents.document import Document
from beamfast.documents.fragment import (
    Fragment,
    Told,
    fragment_for,
    fragment_in,
    is_structural,
    tell_whole,
    wrapper_for,
)
from beamfast.documents.ladder import MAX_ENDS, Writing
from beamfast.documents.spans import (
    doctype_text,
    ends_of,
    omitted_end_tags,
    start_of,
    stray_tag_span,
)
from beamfast.errors import EditConflict


@dataclass(slots=True)
class Plan:
    """
    One operation on one element, prepared on the unchanged tree.

    Attributes:
        parent: node whose children change.
        first: number of the first child that changes, or that child itself.
        removed: nodes that go.
        ranges: candidate byte ranges of what is replaced; to be read before
            ``perform``.
        writings: what may stand there, narrowest first.
        perform: applies the operation to the tree; returns how many nodes are new.
        content: what viewers get, as in an ``Edit``; with its two companions.
        whole: viewers get this element instead, as it is after ``perform``.
        is_behind: the change comes directly behind ``first``.
    """

    parent: Node
    first: Node | int
    removed: tuple[Element, ...]
    ranges: Iterable[tuple[int, int]]
    writings: list[Writing]
    perform: Callable[[], int]
    content: str = ""
    wrapper: str = "div"
    attributes: dict[str, str] | None = None
    root_tags: int = 0
    whole: Element | None = None
    is_behind: bool = False

    def tell(self, told: Told) -> None:
        """Say what viewers get, once that is known."""
        self.content, self.wrapper, self.attributes = told

    def told(self, document: Document) -> Told:
        """
        Return what viewers get, after ``perform``.

        Raises:
            EditRefused: no text has the element as it is now.
        """
        if self.whole is not None:
            return tell_whole(self.whole, doctype_text(document.text.text))
        return Told(self.content, self.wrapper, self.attributes)

    def position(self, index: Callable[[Node], int]) -> tuple[int, ...]:
        """
        Return the child indexes of the changed place, as in an ``Edit``.

        Args:
            index: returns the number of a node among the children of its parent.
        """
        first = self.first if isinstance(self.first, int) else index(self.first)
        return *path_of(self.parent, index), first + self.is_behind


def plan_replace(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` in the place of ``target``; no content removes it.

    Raises:
        DocumentError: the content is not UTF-8.
        EditConflict: ``html``, ``head`` and ``body`` cannot be removed.
        EditRefused: the content cannot be used.
    """
    if not content:
        return _removal(document, target)
    parent = parent_of(target)
    if is_structural(target):
        doctype = doctype_text(document.text.text)
        fragment = fragment_for(content, target.tag, doctype)
    else:
        fragment = fragment_in(content, parent)
    return Plan(
        parent=parent,
        first=target,
        removed=(target,),
        ranges=outer_ranges(document, target),
        writings=writings_of(fragment, target.previous_sibling),
        perform=lambda: _exchange(target, fragment.nodes),
        content=fragment.content,
        wrapper=fragment.wrapper,
        attributes=fragment.attributes,
        root_tags=fragment.root_tags,
    )


def plan_delete(document: Document, target: Element, content: bytes) -> Plan:
    """
    Remove ``target``; whatever ``content`` came with it does not matter.

    Raises:
        EditConflict: ``html``, ``head`` and ``body`` cannot be removed.
    """
    plan = _removal(document, target)
    plan.content = target.serialize()
    plan.wrapper = wrapper_for(plan.content, (target,))
    return plan


def _removal(document: Document, target: Element) -> Plan:
    if is_structural(target):
        # It would come back at the next read (HTML, 13.1.2.4).
        raise EditConflict(f"The {target.tag} element cannot be removed")
    return Plan(
        parent=parent_of(target),
        first=target,
        removed=(target,),
        ranges=outer_ranges(document, target),
        writings=[Writing("splice", ""), *_closed("", target.previous_sibling)],
        perform=lambda: _exchange(target, ()),
    )


def writings_of(fragment: Fragment, before: Node | None) -> list[Writing]:
    """Return the ways to write ``fragment`` where ``before`` stands before it."""
    writings = [Writing("balanced", fragment.balanced)]
    if fragment.verbatim is not None:
        writings.insert(0, Writing("splice", fragment.verbatim))
    return writings + _closed(fragment.balanced, before)


def _closed(content: str, before: Node | None) -> list[Writing]:
    # What stands before the place may be open: in <p>a<ul></ul>b, with the list
    # gone, the paragraph would swallow the rest.
    tags = omitted_end_tags(before)
    return [Writing("closed", content, tags)] if tags else []


def outer_ranges(document: Document, target: Element) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges that ``target`` may take up, the likeliest first."""
    text = document.text
    start = start_of(target, text.text)
    if start is None:
        span = stray_tag_span(target, text.text)
        if span:
            yield text.byte_offset(span[0]), text.byte_offset(span[1])
        return
    first = text.byte_offset(start)
    for end in islice(ends_of(target, text.text), MAX_ENDS):
        yield first, text.byte_offset(end)


def parent_of(element: Element) -> Node:
    """Return the parent of an element that was found in a document."""
    parent = element.parent
    assert parent is not None
    return parent


def index_of(node: Node) -> int:
    """Return the number of ``node`` among the children of its parent."""
    parent = node.parent
    assert parent is not None
    # The one way of turbohtml to count without an object for each child.
    place = Range(parent)
    place.select_node(node)
    return place.start_offset


class Indexes:
    """
    Child indexes of many nodes in one tree, which must not change meanwhile.

    Counting for each of them would take quadratic time in a long list.
    """

    def __init__(self) -> None:
        self._known: dict[Node, dict[Node, int]] = {}

    def __call__(self, node: Node) -> int:
        """Return the number of ``node`` among the children of its parent."""
        parent = node.parent
        assert parent is not None
        if parent not in self._known:
            self._known[parent] = {one: at for at, one in enumerate(parent.children)}
        return self._known[parent][node]


def path_of(node: Node, index: Callable[[Node], int] = index_of) -> tuple[int, ...]:
    """Return the child indexes that lead from the document to ``node``."""
    path = []
    while (parent := node.parent) is not None:
        path.append(index(node))
        node = parent
    return tuple(reversed(path))


def _exchange(target: Element, nodes: Sequence[Node]) -> int:
    """Put ``nodes`` where ``target`` is; return how many stand there as new ones."""
    before, after = target.previous_sibling, target.next_sibling
    if nodes:
        target.replace_with(*nodes)
    else:
        target.extract()
    return join_around(before, nodes, after)


def join_around(before: Node | None, nodes: Sequence[Node], after: Node | None) -> int:
    """Join text that ``nodes`` meet; return how many of them are still new ones."""
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
