"""
Is the tree that a parser read the tree that was wanted, and where do they differ?

Node by node, with one exception: white space in the frame of a page, which a parser
moves whatever is done there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Final

import turbohtml
from turbohtml import Comment, Element, Namespace, Node, Text

from beamfast.documents.fragment import STRUCTURAL

# Characters of a path in an error text; documents may be very deep.
MAX_PLACE: Final = 120

_WHITE_SPACE: Final = " \t\n\f\r"


def is_same_tree(tree: turbohtml.Document, expected: turbohtml.Document) -> bool:
    """
    Tell whether a parser read what was wanted.

    White space directly in the document, ``html`` and ``head`` does not count,
    nor at the ends of text directly in ``body``: a parser moves the white space
    behind ``</body>`` into the body, whatever is done there.
    """
    return tree.equals(expected) or is_same_frame(tree, expected)


def moved_place(read: Node, wanted: Node, index: int, count: int) -> tuple[int, int]:
    """
    Return where the nodes ``[index, index + count)`` of ``wanted`` are in ``read``.

    The two nodes agree but for white space, as ``is_same_tree`` has it.
    """
    before = sum(map(_is_solid, wanted.children[:index]))
    solid = sum(map(_is_solid, wanted.children[index : index + count]))
    places = [place for place, node in enumerate(read.children) if _is_solid(node)]
    if not solid:
        return min(index, len(read)), 0
    first, last = places[before], places[before + solid - 1]
    return first, last - first + 1


def is_same_frame(read: Node, wanted: Node) -> bool:
    """Tell whether two nodes agree but for that white space."""
    return all(
        _is_same_in_frame(one, other) for one, other in _pairs_in_frame(read, wanted)
    )


def _is_same_in_frame(one: Node | None, other: Node | None) -> bool:
    if one is None or other is None:
        return False
    if one.equals(other):
        return True
    if isinstance(one, Text) and isinstance(other, Text):
        return is_frame(one.parent, "body") and (
            one.data.strip(_WHITE_SPACE) == other.data.strip(_WHITE_SPACE)
        )
    return (
        isinstance(one, Element)
        and isinstance(other, Element)
        and one.tag == other.tag
        and is_frame(one)
        and one.attrs.copy() == other.attrs.copy()
        and is_same_frame(one, other)
    )


def _pairs_in_frame(
    read: Node, wanted: Node
) -> Iterator[tuple[Node | None, Node | None]]:
    """Pair the children up, without the white space that does not count."""
    if not is_frame(read):
        return zip_longest(read.children, wanted.children)
    return zip_longest(_without_white_space(read), _without_white_space(wanted))


def _without_white_space(node: Node) -> list[Node]:
    return [child for child in node.children if _is_solid(child)]


def _is_solid(node: Node) -> bool:
    return not isinstance(node, Text) or bool(node.data.strip(_WHITE_SPACE))


def is_frame(node: Node | None, *tags: str) -> bool:
    """Tell whether white space in ``node`` may move: ``html``, ``head``, ``body``."""
    if isinstance(node, Element):
        return node.tag in (tags or STRUCTURAL) and node.namespace is Namespace.HTML
    return isinstance(node, turbohtml.Document)


def difference(tree: turbohtml.Document, expected: turbohtml.Document) -> str:
    """Say where ``tree`` first differs from ``expected``, for the answer's body."""
    read: Node = tree
    wanted: Node = expected
    while True:
        one, other = next(
            pair
            for pair in _pairs_in_frame(read, wanted)
            if not _is_same_in_frame(*pair)
        )
        if (
            one is None
            or other is None
            or _describe(one) != _describe(other)
            or all(_is_same_in_frame(*pair) for pair in _pairs_in_frame(one, other))
        ):
            break
        read, wanted = one, other
    place = wanted.css_path() if isinstance(wanted, Element) else "the document"
    if len(place) > MAX_PLACE:
        place = "..." + place[-MAX_PLACE:]
    return (
        f"No HTML text has the wanted tree: in {place}, a parser would read "
        f"{_describe(one)} instead of {_describe(other)}"
    )


def _describe(node: Node | None) -> str:
    if node is None:
        return "nothing"
    if isinstance(node, Element):
        return f"<{node.tag}>"
    if isinstance(node, (Text, Comment)):
        kind = type(node).__name__.lower()
        data = " ".join(node.data.split())
        return f"the {kind} {data[:40]!r}"
    return type(node).__name__.lower()


@dataclass(frozen=True, slots=True)
class Place:
    """Where new nodes are in a tree."""

    parent: Node
    position: tuple[int, ...]
    count: int

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes themselves."""
        if not self.count:
            return ()
        first = self.parent[self.position[-1]]
        return tuple(islice(chain((first,), first.next_siblings), self.count))


def place_in(
    read: Node, wanted: Node, position: tuple[int, ...], count: int, *, is_exact: bool
) -> Place:
    """
    Follow ``position``, which is true of the wanted tree, into the other one.

    Args:
        read: the other tree.
        wanted: the tree.
        position: child indexes of the first node.
        count: how many nodes there are.
        is_exact: the trees are equal in every node, white space included.
    """
    path: list[int] = []
    for index in position[:-1]:
        moves = not is_exact and is_frame(wanted)
        path.append(moved_place(read, wanted, index, 1)[0] if moves else index)
        read, wanted = read[path[-1]], wanted[index]
    first = position[-1]
    if not is_exact and is_frame(wanted):
        first, count = moved_place(read, wanted, first, count)
    return Place(read, (*path, first), count)
