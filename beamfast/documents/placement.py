"""
Plans for content beside and inside an element, which stays where it is.

Standard: the four positions of ``insertAdjacentHTML`` and the two setters
``innerHTML`` and ``textContent`` (HTML, 8.5; DOM, 4.4). A StreamItem can only
append to an element, replace it or remove it, so of every other operation here
viewers get the element anew, with what was put beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from turbohtml import DocumentFragment, Element, Namespace, Node, Text, TreeWalker

from beamfast.documents.document import Document
from beamfast.documents.fragment import (
    Fragment,
    fragment_for,
    fragment_in,
    is_structural,
    tell,
    text_of,
)
from beamfast.documents.ladder import MAX_ENDS, Writing
from beamfast.documents.plan import (
    Plan,
    join_around,
    outer_ranges,
    parent_of,
    writings_of,
)
from beamfast.documents.spans import (
    VOID,
    content_ends_of,
    content_start,
    doctype_text,
    start_of,
)
from beamfast.errors import EditConflict, EditRefused

# Elements whose text no reference is read in (HTML, 13.3), with scripting off.
_RAW_TEXT: Final = frozenset(
    ("script", "style", "xmp", "iframe", "noembed", "noframes", "plaintext")
)
# Elements that lose a newline at their beginning (HTML, 13.1.2.5).
_NEWLINE_EATERS: Final = frozenset(("pre", "textarea", "listing"))
_NEWLINE: Final = re.compile("\r\n?")
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;"})


def plan_append(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` behind the last child of ``target``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditRefused: the content cannot be used, or ``target`` takes none.
    """
    inside = _Inside.of(document, target)
    parent = inside.parent
    fragment = fragment_in(content, parent)
    last = _last_of(parent)
    return Plan(
        parent=parent,
        first=0 if last is None else last,
        removed=(),
        ranges=inside.places((end, end) for end in inside.ends()),
        writings=inside.writings(fragment.balanced, writings_of(fragment, last)),
        perform=lambda: inside.add(_last_of(parent), fragment.nodes, None),
        content=fragment.content,
        wrapper=fragment.wrapper,
        root_tags=fragment.root_tags,
        is_behind=last is not None,
    )


def plan_prepend(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` before the first child of ``target``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditRefused: the content cannot be used, or ``target`` takes none.
    """
    inside = _Inside.of(document, target)
    parent = inside.parent
    fragment = fragment_in(content, parent)
    return Plan(
        parent=parent,
        first=0,
        removed=(),
        ranges=inside.places((start, start) for start in inside.starts),
        writings=inside.writings(fragment.balanced, _first(target, fragment)),
        perform=lambda: inside.add(None, fragment.nodes, _first_of(parent)),
        root_tags=fragment.root_tags,
        whole=target,
    )


def plan_inner(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` in the place of everything inside ``target``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditRefused: the content cannot be used, or ``target`` takes none.
    """
    inside = _Inside.of(document, target)
    if target.tag == "html" and is_structural(target):
        # Only the parse of a whole document makes head and body.
        made = fragment_for(content, "html", doctype_text(document.text.text))
        root = made.nodes[0]
        if not isinstance(root, Element) or len(made.nodes) > 1:
            raise EditRefused("Part of the content would stand outside html")
        writings = [Writing("balanced", root.inner_html)]
        return inside.exchange(root.children, writings, made.root_tags)
    fragment = fragment_in(content, inside.parent)
    writings = inside.writings(fragment.balanced, _first(target, fragment))
    return inside.exchange(fragment.nodes, writings, fragment.root_tags)


def plan_text(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` as text in the place of everything inside ``target``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditRefused: the text cannot stand there, or ``target`` takes none.
    """
    inside = _Inside.of(document, target)
    text = text_of(content)
    data = _NEWLINE.sub("\n", text)
    written = text if is_raw_text(target) else text.translate(_ESCAPES)
    writings = inside.writings(written, _at_start(target, [Writing("splice", written)]))
    return inside.exchange([Text(data)] if data else [], writings, 0)


def plan_before(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` before ``target``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditConflict: nothing can stand beside ``html``, ``head`` and ``body``.
        EditRefused: the content cannot be used.
    """
    parent = _parent_with_room(target)
    fragment = fragment_in(content, parent)
    previous = target.previous_sibling

    def perform() -> int:
        told = fragment.balanced + target.serialize()
        plan.tell(tell(told, (*fragment.nodes, target), parent))
        if fragment.nodes:
            target.insert_before(*fragment.nodes)
        return join_around(previous, fragment.nodes, target)

    plan = Plan(
        parent=parent,
        first=target,
        removed=(),
        ranges=((start, start) for start, _ in outer_ranges(document, target)),
        writings=writings_of(fragment, previous),
        perform=perform,
        root_tags=fragment.root_tags,
    )
    return plan


def plan_after(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` behind ``target``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditConflict: nothing can stand beside ``html``, ``head`` and ``body``.
        EditRefused: the content cannot be used.
    """
    parent = _parent_with_room(target)
    fragment = fragment_in(content, parent)
    following = target.next_sibling

    def perform() -> int:
        told = target.serialize() + fragment.balanced
        plan.tell(tell(told, (target, *fragment.nodes), parent))
        if fragment.nodes:
            target.insert_after(*fragment.nodes)
        return join_around(target, fragment.nodes, following)

    plan = Plan(
        parent=parent,
        first=target,
        removed=(),
        ranges=((end, end) for _, end in outer_ranges(document, target)),
        writings=writings_of(fragment, target),
        perform=perform,
        root_tags=fragment.root_tags,
        is_behind=True,
    )
    return plan


def is_raw_text(element: Element) -> bool:
    """Tell whether the text of ``element`` is written as it is, without escapes."""
    return element.tag in _RAW_TEXT and element.namespace is Namespace.HTML


@dataclass(frozen=True, slots=True)
class _Inside:
    """
    The inside of one element, as the file has it.

    Attributes:
        document: that the element is part of.
        target: the element.
        parent: node that its children have: itself, or the content of a template.
        starts: byte offset where the content begins; none when it has no place.
    """

    document: Document
    target: Element
    parent: Element | DocumentFragment
    starts: list[int]

    @classmethod
    def of(cls, document: Document, target: Element) -> _Inside:
        """Look inside ``target``; void elements have no inside."""
        if target.tag in VOID and target.namespace is Namespace.HTML:
            raise EditRefused(f"{target.tag} has no content", code="void-element")
        parent: Element | DocumentFragment = target
        first = _first_of(target)
        if isinstance(first, DocumentFragment):  # the content of a template
            parent = first
        text = document.text
        start = content_start(target, text.text)
        if start is None or start_of(target, text.text) is None:
            return cls(document, target, parent, [])
        return cls(document, target, parent, [text.byte_offset(start)])

    def ends(self) -> Iterator[int]:
        """Yield the byte offsets where the content may end, the likeliest first."""
        text = self.document.text
        for end in islice(content_ends_of(self.target, text.text), MAX_ENDS):
            yield text.byte_offset(end)

    def places(self, wanted: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        """Return ``wanted``, or the place of the stray end tag that is all there is."""
        return wanted if self.starts else outer_ranges(self.document, self.target)

    def writings(self, balanced: str, wanted: list[Writing]) -> list[Writing]:
        """Return ``wanted``, or what stands for an element made by a stray end tag."""
        if self.starts:
            return wanted
        tag = self.target.tag
        return [Writing("closed", balanced, f"<{tag}>", f"</{tag}>")]

    def add(
        self, before: Node | None, nodes: Sequence[Node], after: Node | None
    ) -> int:
        """Put ``nodes`` between two children; return how many are new ones."""
        if after is None:
            for node in nodes:
                self.parent.append(node)
        elif nodes:
            after.insert_before(*nodes)
        return join_around(before, nodes, after)

    def exchange(
        self, nodes: Sequence[Node], writings: list[Writing], root_tags: int
    ) -> Plan:
        """Return the plan that puts ``nodes`` in the place of all children."""
        old = self.parent.children
        return Plan(
            parent=self.parent,
            first=0,
            removed=tuple(node for node in old if isinstance(node, Element)),
            ranges=self.places((self.starts[0], end) for end in self.ends()),
            writings=writings,
            perform=self._exchanger(old, nodes),
            root_tags=root_tags,
            whole=self.target,
        )

    def _exchanger(
        self, old: Sequence[Node], nodes: Sequence[Node]
    ) -> Callable[[], int]:
        def perform() -> int:
            for node in old:
                node.extract()
            return self.add(None, nodes, None)

        return perform


def _first_of(parent: Node) -> Node | None:
    return next(iter(parent), None)


def _last_of(parent: Node) -> Node | None:
    # Counting the children would take longer than all else in a long list.
    return TreeWalker(parent).last_child()


def _first(target: Element, fragment: Fragment) -> list[Writing]:
    """Return the ways to write ``fragment`` right behind the start tag."""
    return _at_start(target, writings_of(fragment, None))


def _at_start(target: Element, writings: list[Writing]) -> list[Writing]:
    if target.tag not in _NEWLINE_EATERS:
        return writings
    # The first newline is not read as content, so a second one goes before it.
    return [
        Writing(one.level, one.content, "\n")
        if one.content.startswith(("\n", "\r"))
        else one
        for one in writings
    ]


def _parent_with_room(target: Element) -> Node:
    if is_structural(target):
        # It would move at the next read (HTML, 13.2.6.4.19).
        raise EditConflict(f"Nothing can stand beside the {target.tag} element")
    return parent_of(target)
