"""
Pseudo-classes about text: ``:contains("x")``, ``:has-text("x")`` and ``:only-text``.

No CSS has them; Rusty Beam does. The first two are the same: the text of the element,
with that of all elements inside, contains ``x``. The third: text, and no element,
is all there is. Each is put into the selector as an attribute test, after a pass over
the document has given the attribute to the elements that pass the test. The time is
linear in the document, whatever it is nested like, and logarithmic in the number of
places that ``x`` is found at.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from turbohtml import Document, DocumentFragment, Element, Node, Text

_STRING: Final = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
_TEST: Final = re.compile(
    rf"""
      \\. | {_STRING} | \[(?:\\.|{_STRING}|[^\]"'\\])*\]
    | :(?:contains|has-text)\(\s*(?P<needle>{_STRING}|[\w-]+)\s*\)
    | (?P<only>:only-text(?![\w\\-]))
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
# CSS Syntax, 4.3.7: up to six digits and a space, a line break, or the character.
_ESCAPE: Final = re.compile(
    r"\\(?:([0-9a-f]{1,6})\s?|(\n)|(.))", re.IGNORECASE | re.DOTALL
)

#: What a test asks for: text to be contained; None for "only text".
Test = str | None


def split_tests(css: str, name: str) -> tuple[str, tuple[Test, ...]]:
    """
    Return a selector without the pseudo-classes, and what they asked.

    Args:
        css: any text.
        name: of the attributes that stand for them, with a number behind it.
    """
    tests: list[Test] = []

    def replace(match: re.Match[str]) -> str:
        if match["needle"] is None and match["only"] is None:
            return match[0]
        tests.append(None if match["needle"] is None else _read(match["needle"]))
        return f"[{name}{len(tests) - 1}]"

    return _TEST.sub(replace, css), tuple(tests)


def mark(tree: Document, tests: Sequence[Test], name: str) -> None:
    """
    Give each element the attributes of the tests that it passes.

    Args:
        tree: a document that nobody else reads.
        tests: as :func:`split_tests` returned them.
        name: as it was given to that.
    """
    waiting: list[Node] = [tree]
    while waiting:
        # The content of a template is no part of the text around it.
        text, spans = _spans(waiting.pop(), waiting)
        for number, test in enumerate(tests):
            for element in _passing(test, text, spans):
                element.attrs[f"{name}{number}"] = ""


def _passing(
    test: Test, text: str, spans: Iterable[tuple[Element, int, int, bool]]
) -> Iterator[Element]:
    if test is None:
        for element, start, end, has_elements in spans:
            if end > start and not has_elements:
                yield element
        return
    places = [match.start() for match in re.finditer(f"(?={re.escape(test)})", text)]
    for element, start, end, _ in spans:
        first = bisect_left(places, start)
        if first < len(places) and places[first] + len(test) <= end:
            yield element


def _spans(
    root: Node, waiting: list[Node]
) -> tuple[str, list[tuple[Element, int, int, bool]]]:
    """Return all text below ``root``, and which part of it is in which element."""
    pieces: list[str] = []
    spans: list[tuple[Element, int, int, bool]] = []
    length = 0
    open_nodes: list[tuple[Node, int, Iterator[Node], bool]] = []
    open_nodes.append((root, 0, iter(root.children), False))
    while open_nodes:
        node, start, children, has_elements = open_nodes[-1]
        child = next(children, None)
        if child is None:
            open_nodes.pop()
            if isinstance(node, Element):
                spans.append((node, start, length, has_elements))
        elif isinstance(child, Text):
            pieces.append(child.data)
            length += len(child.data)
        elif isinstance(child, Element):
            open_nodes[-1] = (node, start, children, True)
            open_nodes.append((child, length, iter(child.children), False))
        elif isinstance(child, DocumentFragment):
            waiting.append(child)
    return "".join(pieces), spans


def _read(argument: str) -> str:
    """Return what a CSS string or word stands for."""
    if argument[0] in "\"'":
        argument = argument[1:-1]
    return _ESCAPE.sub(_unescaped, argument)


def _unescaped(match: re.Match[str]) -> str:
    digits, newline, character = match.groups()
    if digits:
        number = int(digits, 16)
        is_character = 0 < number < 0x110000 and not 0xD800 <= number < 0xE000
        return chr(number) if is_character else "\ufffd"
    return "" if newline else character
