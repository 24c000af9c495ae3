"""
Plans: what each kind of edit does to one element, worked out beforehand.

A plan is made on the unchanged tree: which bytes may be replaced, what may stand
there instead, and the DOM operation that makes the tree the expected one. Nothing
has happened to the tree until :attr:`Plan.perform` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from turbohtml import DocumentFragment, Element, Namespace, Node, Text

from beamfast.documents.document import Document
from beamfast.documents.fragment import (
    Fragment,
    fragment_for,
    fragment_in,
    is_structural,
    wrapper_for,
)
from beamfast.documents.ladder import MAX_ENDS, Writing
from beamfast.documents.spans import (
    VOID,
    content_ends_of,
    doctype_text,
    ends_of,
    omitted_end_tags,
    start_of,
    stray_tag_span,
)
from beamfast.errors import EditConflict, EditRefused


@dataclass(slots=True)
class Plan:
    """
    One operation on one element, prepared on the unchanged tree.

    Attributes:
        parent: node whose children change.
        position: child indexes of the changed place, as in an ``Edit``.
        removed: nodes that go.
        ranges: candidate byte ranges of what is replaced.
        writings: what may stand there, narrowest first.
        perform: applies the operation to the tree; returns how many nodes are new.
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
    parent = _parent_of(target)
    if is_structural(target):
        doctype = doctype_text(document.text.text)
        fragment = fragment_for(content, target.tag, doctype)
    else:
        fragment = fragment_in(content, parent)
    return Plan(
        parent=parent,
        position=_path_of(target),
        removed=(target,),
        ranges=_outer_ranges(document, target),
        writings=_writings(fragment, target.previous_sibling),
        perform=lambda: _exchange(target, fragment.nodes),
        content=fragment.content,
        wrapper=fragment.wrapper,
        attributes=fragment.attributes,
        root_tags=fragment.root_tags,
    )


def plan_append(document: Document, target: Element, content: bytes) -> Plan:
    """
    Put ``content`` behind the last child of ``target``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditRefused: the content cannot be used, or ``target`` takes none.
    """
    if target.tag in VOID and target.namespace is Namespace.HTML:
        raise EditRefused(f"{target.tag} has no content", code="void-element")
    parent: Node = target
    for child in target.children[:1]:
        if isinstance(child, DocumentFragment):  # the content of a template
            parent = child
    fragment = fragment_in(content, parent)
    ranges = _inner_ranges(document, target)
    writings = _writings(fragment, parent[len(parent) - 1] if len(parent) else None)
    if not ranges:
        # The place of an element made by a stray end tag is that tag.
        ranges = _outer_ranges(document, target)
        tags = f"<{target.tag}>", f"</{target.tag}>"
        writings = [Writing("closed", fragment.balanced, *tags)]
    return Plan(
        parent=parent,
        position=(*_path_of(parent), len(parent)),
        removed=(),
        ranges=ranges,
        writings=writings,
        perform=lambda: _extend(parent, fragment.nodes),
        content=fragment.content,
        wrapper=fragment.wrapper,
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
        parent=_parent_of(target),
        position=_path_of(target),
        removed=(target,),
        ranges=_outer_ranges(document, target),
        writings=[Writing("splice", ""), *_closed("", target.previous_sibling)],
        perform=lambda: _exchange(target, ()),
    )


def _writings(fragment: Fragment, before: Node | None) -> list[Writing]:
    writings = [Writing("balanced", fragment.balanced)]
    if fragment.verbatim is not None:
        writings.insert(0, Writing("splice", fragment.verbatim))
    return writings + _closed(fragment.balanced, before)


def _closed(content: str, before: Node | None) -> list[Writing]:
    # What stands before the place may be open: in <p>a<ul></ul>b, with the list
    # gone, the paragraph would swallow the rest.
    tags = omitted_end_tags(before)
    return [Writing("closed", content, tags)] if tags else []


def _outer_ranges(document: Document, target: Element) -> list[tuple[int, int]]:
    text = document.text
    start = start_of(target, text.text)
    if start is None:
        span = stray_tag_span(target, text.text)
        return [(text.byte_offset(span[0]), text.byte_offset(span[1]))] if span else []
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
