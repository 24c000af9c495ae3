"""
Which subscription filters an edit concerns.

A filter is a selector. It concerns an edit when the changed nodes lie inside, hold,
or are nodes that it matches, in the old tree before the edit or in the new tree
after it. Only the ancestors and the descendants of the changed nodes are looked at,
never the whole document, so many filters on a large document cost little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from turbohtml import Element, Node

from beamfast.documents.document import Document
from beamfast.documents.selector import Selector
from beamfast.entry import Entry


class Watch:
    """
    Filters that are asked before an edit and after it.

    Args:
        selector: of the edit; a filter with the same text always matches.
        filters: subscriptions, in any number.

    Attributes:
        matched: the filters that concern the edit, as far as asked.
        waiting: those that did not so far.
    """

    def __init__(self, selector: str, filters: Iterable[Selector]) -> None:
        self.matched: set[Selector] = set()
        self.waiting: list[Selector] = []
        for wanted in filters:
            if wanted.normalized == selector:
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


def matching_filters(
    filters: Iterable[Selector],
    entry: Entry,
    before: Document | None,
    after: Document | None,
    *,
    others: Sequence[Entry] = (),
) -> frozenset[Selector]:
    """
    Return the filters that a recorded edit concerns.

    For whoever did not make the edit and has the entry only: ``Edit.matched`` says
    the same of an own one, and costs no parse of the old document.

    Args:
        filters: compiled selectors.
        entry: the edit of an element; what changes a whole document concerns all.
        before: the document that the edit was made on; None when it is not at hand,
            and then every filter is returned: better an item too many than a gap.
        after: the document that it led to; as ``before``.
        others: the further entries of the same change (``Entry.remaining``). All of
            them together concern what the smallest part of the tree concerns that
            holds them all: a change that is one step is told whole or not at all.

    Raises:
        EditRefused: one of the two has no tree.
    """
    wanted = tuple(filters)
    if not wanted or not entry.is_element_edit or before is None or after is None:
        return frozenset(wanted)
    position = entry.position
    if others:
        position = (*common_parent([position, *(one.position for one in others)]), 0)
    old, new = _walk(before, position), _walk(after, position)
    if old is None or new is None:
        return frozenset(wanted)
    watch = Watch(Selector(entry.selector).normalized, wanted)
    if others:
        watch.look(old, old.children)
        watch.look(new, new.children)
        return frozenset(watch.matched)
    first = position[-1]
    # The entry says how many nodes are new; the rest follows from the two lengths.
    removed = len(old) - len(new) + entry.count
    watch.look(old, _children(old, first, removed))
    watch.look(new, _children(new, first, entry.count))
    return frozenset(watch.matched)


def common_parent(positions: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the path of the nearest node that holds all ``positions``."""
    shared = zip(*(position[:-1] for position in positions), strict=False)
    return tuple(
        level[0] for level in takewhile(lambda level: len(set(level)) == 1, shared)
    )


def _walk(document: Document, position: Sequence[int]) -> Node | None:
    """Return the parent of the node at ``position``."""
    node: Node = document.html
    for index in position[:-1]:
        if index >= len(node):
            return None
        node = node[index]
    return node if position else None


def _children(parent: Node, first: int, count: int) -> Sequence[Node]:
    return parent.children[first : first + max(0, count)]
