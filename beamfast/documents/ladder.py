"""
From a changed tree to bytes: the narrowest rewrite that a parser reads as wanted.

The expected tree is the old one with the edit applied as a DOM operation. Each
rung writes it in a wider way than the one before; the first whose bytes parse to
the expected tree wins. When none does, no HTML text has that tree at that place,
and storing something else would be a silent lie: the edit is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Final, Literal

import turbohtml
from turbohtml import Comment, Doctype, Element, Namespace, Node, Text

from beamfast.documents.document import Document, count_root_tags
from beamfast.documents.fragment import STRUCTURAL
from beamfast.documents.spans import doctype_text, ends_of, start_of
from beamfast.entry import Splice
from beamfast.errors import EditRefused

Level = Literal["splice", "balanced", "closed", "ancestor", "full"]

# Bounds on the work that one edit can cause: each try parses the whole document.
MAX_ENDS: Final = 6
MAX_ANCESTORS: Final = 4

# Characters of a path in an error text; documents may be very deep.
MAX_PLACE: Final = 120

_WHITE_SPACE: Final = " \t\n\f\r"


@dataclass(frozen=True, slots=True)
class Writing:
    """
    One way to write an edit.

    Attributes:
        level: rung of the ladder.
        content: what stands in the file for the new nodes.
        before: tags that the file leaves out, written in front of the content.
        after: the same, behind it.
    """

    level: Level
    content: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """
    The outcome of the ladder.

    Attributes:
        level: rung that verified.
        splices: byte operations on the old file.
        document: the new file, with its tree.
        result: bytes that now stand for the new nodes.
        is_exact: the new tree is the expected one in every node; otherwise white
            space in the frame of the page has moved.
    """

    level: Level
    splices: tuple[Splice, ...]
    document: Document
    result: bytes
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """What every rung needs: the old file, the wanted tree, where the edit is."""

    before: Document
    expected: turbohtml.Document
    path: tuple[int, ...]
    root_tags: int

    def climb(self, ranges: list[tuple[int, int]], writings: list[Writing]) -> Rewrite:
        """
        Return the first rewrite that verifies.

        Args:
            ranges: candidate byte ranges in the old file, best first.
            writings: what to put there, narrowest first.

        Raises:
            EditRefused: none verifies; says what a parser would read instead.
        """
        refusal: EditRefused | None = None
        hostile: EditRefused | None = None
        tried: set[tuple[int, int, bytes]] = set()
        for level, start, end, inserted, result in self._rungs(ranges, writings):
            if (start, end, inserted) in tried:
                continue
            tried.add((start, end, inserted))
            splices = (Splice(start, end - start, inserted),)
            after = self.before.spliced(splices, self._tags_in(level, inserted))
            try:
                tree = after.html
            except EditRefused as error:
                hostile = error
                continue
            is_exact = tree.equals(self.expected)
            if is_exact or _is_same_frame(tree, self.expected):
                return Rewrite(level, splices, after, result, is_exact)
            if refusal is None:
                refusal = EditRefused(difference(tree, self.expected))
        raise refusal or hostile or EditRefused("The element has no place in the file")

    def _rungs(
        self, ranges: list[tuple[int, int]], writings: list[Writing]
    ) -> Iterator[tuple[Level, int, int, bytes, bytes]]:
        codec = self.before.codec
        result = b""
        for writing in writings:
            result = codec.encode_content(writing.content)
            inserted = writing.before.encode() + result + writing.after.encode()
            for start, end in ranges:
                yield writing.level, start, end, inserted, result
        # However wide the rewrite, the answer shows the new nodes alone.
        for start, end, text in self._ancestors():
            yield "ancestor", start, end, self._encoded(text), result
        for text in self._whole():
            start, end = len(codec.bom), self.before.size
            yield "full", start, end, self._encoded(text), result

    def _ancestors(self) -> Iterator[tuple[int, int, str]]:
        """Yield the nearest elements around the edit, rewritten as a whole."""
        text = self.before.text
        # The old tree became the expected one; ranges need it once more.
        old: list[Node] = [self.before.html]
        new: list[Node] = [self.expected]
        for index in self.path[:-1]:
            old.append(old[-1][index])
            new.append(new[-1][index])
        located = (
            (element, wanted, start)
            for element, wanted in zip(reversed(old), reversed(new), strict=True)
            if isinstance(element, Element)
            and (start := start_of(element, text.text)) is not None
        )
        for element, wanted, start in islice(located, MAX_ANCESTORS):
            end = next(ends_of(element, text.text))
            if text.is_faithful(start, end):
                first, last = text.byte_offset(start), text.byte_offset(end)
                yield first, last, wanted.to_source()
                yield first, last, wanted.serialize()

    def _whole(self) -> Iterator[str]:
        """Yield the whole document; its own doctype keeps the mode of the page."""
        text = self.before.text
        if not text.is_faithful(0, len(text.text)):
            return
        doctype = doctype_text(text.text)
        for write in (Node.to_source, Node.serialize):
            yield "".join(
                doctype if isinstance(node, Doctype) else write(node)
                for node in self.expected.children
            )

    def _encoded(self, text: str) -> bytes:
        newline = self.before.text.newline
        if newline != "\n":
            text = text.replace("\n", newline)
        return self.before.codec.encode_content(text)

    def _tags_in(self, level: Level, inserted: bytes) -> int:
        if level in ("ancestor", "full"):
            return count_root_tags(inserted.decode("latin-1"))
        return self.root_tags


def is_same_tree(tree: turbohtml.Document, expected: turbohtml.Document) -> bool:
    """
    Tell whether a parser read what was wanted.

    White space directly in the document, ``html`` and ``head`` does not count,
    nor at the ends of text directly in ``body``: a parser moves the white space
    behind ``</body>`` into the body, whatever is done there.
    """
    return tree.equals(expected) or _is_same_frame(tree, expected)


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


def _is_same_frame(read: Node, wanted: Node) -> bool:
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
        and _is_same_frame(one, other)
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
