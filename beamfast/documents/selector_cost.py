"""
What a selector may cost on a document, estimated before it is evaluated.

Nothing can interrupt turbohtml, and it is fast: one pass for nearly everything.
Two things are not. It remembers the last list that it numbered, so a selector that
numbers in several ways (``:nth-of-type()``, or more than one ``:nth-…``) numbers a list
for each of its elements. And ``:has()`` with more than one compound looks at every
level above what it finds. Long lists and deep trees make both take minutes.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, NamedTuple

import turbohtml
from turbohtml import Node

from beamfast.errors import SelectorError

#: Steps that one evaluation may take; a second of work, about.
MAX_STEPS: Final = 400_000_000

_STRING: Final = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
_TOKEN: Final = re.compile(
    rf"""
      \\. | {_STRING} | \[(?:\\.|{_STRING}|[^\]"'\\])*\]
    | (?P<type>:nth-(?:last-)?of-type\()
    | (?P<number>:nth-(?:last-)?child\()
    | (?P<has>:has\(\s*[>+~]?\s*)
    | (?P<of>[\sn\d]of\s)
    | (?P<open>\()
    | (?P<close>\s*\))
    | (?P<combinator>\s*[>+~]\s*|\s+)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


class Shape(NamedTuple):
    """
    What a document makes selectors cost.

    Attributes:
        elements: how many there are.
        depth: levels of the deepest one.
        pairs: of elements that have the same parent.
    """

    elements: int
    depth: int
    pairs: int


class Weight(NamedTuple):
    """What a selector makes of it: both are 0 for one that takes a single pass."""

    numbering: int
    climbing: int

    def check(self, shape: Shape) -> None:
        """
        Refuse a selector that would take unreasonably long.

        Raises:
            SelectorError: (``selector-too-complex``, 400) it would.
        """
        steps = self.numbering * shape.pairs
        steps += self.climbing * shape.elements * shape.depth**2
        if steps > MAX_STEPS:
            raise SelectorError(
                "The selector is too complex for this document",
                status=400,
                code="selector-too-complex",
            )


def weight_of(css: str) -> Weight:
    """Return how dear a valid selector is."""
    if ":" not in css:
        return Weight(0, 0)
    numbers = types = ofs = climbing = 0
    # Whether each open bracket is a :has() that has one compound so far.
    brackets: list[bool] = []
    for token in _TOKEN.finditer(css):
        match token.lastgroup:
            case "number":
                numbers += 1
                brackets.append(False)
            case "type":
                types += 1
                brackets.append(False)
            case "has":
                climbing += any(brackets)
                brackets.append(True)
            case "of":
                ofs += 1
            case "open":
                brackets.append(False)
            case "close" if brackets:
                brackets.pop()
            case "combinator" if True in brackets:
                climbing += 1
    numbering = 0 if numbers + types < 2 and not types and not ofs else numbers + types
    return Weight(numbering * 4**ofs, climbing)


def shape_of(tree: turbohtml.Document) -> Shape:
    """Look at a whole document once."""
    depths: dict[Node, int] = {tree: 0}
    children: Counter[Node] = Counter()
    for element in tree.iter_elements():
        parent = element.parent
        assert parent is not None
        children[parent] += 1
        # The content of a template hangs on no element that was counted.
        depths[element] = depths.get(parent, 0) + 1
    return Shape(
        len(depths) - 1,
        max(depths.values()),
        sum(count * count for count in children.values()),
    )
