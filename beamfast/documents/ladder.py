"""
From a changed tree to bytes: the narrowest rewrite that a parser reads as wanted.

The expected tree is the old one with the edit applied as a DOM operation. Each
rung writes it in a wider way than the one before; the first whose bytes parse to
the expected tree wins. When none does, no HTML text has that tree at that place,
and storing something else would be a silent lie: the edit is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Final, Literal, NamedTuple, get_args

import turbohtml
from turbohtml import Doctype, Element, Node

from beamfast.documents.comparison import difference, is_same_frame
from beamfast.documents.document import Document, count_root_tags
from beamfast.documents.spans import doctype_text, ends_of, start_of
from beamfast.entry import Splice
from beamfast.errors import EditRefused

Level = Literal["splice", "balanced", "closed", "ancestor", "full"]
_RANKS: Final = get_args(Level)

# Bounds on the work that one edit can cause: each try parses the whole document.
MAX_ENDS: Final = 6
MAX_ANCESTORS: Final = 4


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
class Site:
    """
    One place that changes.

    Attributes:
        ranges: candidate byte ranges in the old file, best first.
        writings: what to put there, narrowest first.
    """

    ranges: Sequence[tuple[int, int]]
    writings: Sequence[Writing]

    def written_at_most(self, rank: int) -> Writing:
        """Return the widest writing up to ``rank``, or the narrowest there is."""
        fitting = [one for one in self.writings if _RANKS.index(one.level) <= rank]
        return fitting[-1] if fitting else self.writings[0]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """
    The outcome of the ladder.

    Attributes:
        level: rung that verified.
        splices: byte operations on the old file, in ascending order of offset.
        document: the new file, with its tree.
        results: bytes that now stand for the new nodes of each site.
        is_exact: the new tree is the expected one in every node; otherwise white
            space in the frame of the page has moved.
    """

    level: Level
    splices: tuple[Splice, ...]
    document: Document
    results: tuple[bytes, ...]
    is_exact: bool


class _Rung(NamedTuple):
    """One way to write all changes; fields as of a ``Rewrite``."""

    level: Level
    splices: tuple[Splice, ...]
    results: tuple[bytes, ...]


# What is written where, from the end of the file to its beginning.
_Places = tuple[Level, tuple[tuple[int, int, Writing], ...]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    What every rung needs.

    Attributes:
        before: the old file.
        expected: the wanted tree.
        path: child indexes of a node whose ancestors hold all changes.
        root_tags: how many ``html`` and ``body`` tags come.
    """

    before: Document
    expected: turbohtml.Document
    path: tuple[int, ...]
    root_tags: int

    def climb(self, sites: Sequence[Site]) -> Rewrite:
        """
        Return the first rewrite that verifies.

        Args:
            sites: one, or several from the end of the file to its beginning.

        Raises:
            EditRefused: none verifies; says what a parser would read instead.
        """
        refusal: EditRefused | None = None
        hostile: EditRefused | None = None
        tried: set[tuple[Splice, ...]] = set()
        rungs = self._places(sites[0]) if len(sites) == 1 else _together(sites)
        for rung in chain(self._spliced(rungs), self._rewritten(sites)):
            if rung.splices in tried:
                continue
            tried.add(rung.splices)
            after = self.before.spliced(rung.splices, self._tags_in(rung))
            try:
                tree = after.html
            except EditRefused as error:
                hostile = error
                continue
            is_exact = tree.equals(self.expected)
            if is_exact or is_same_frame(tree, self.expected):
                return Rewrite(rung.level, rung.splices, after, rung.results, is_exact)
            if refusal is None:
                refusal = EditRefused(difference(tree, self.expected))
        raise refusal or hostile or EditRefused("The element has no place in the file")

    def _places(self, site: Site) -> Iterator[_Places]:
        """Yield each writing of one site in each of its ranges."""
        for writing in site.writings:
            for span in site.ranges:
                yield writing.level, ((*span, writing),)

    def _spliced(self, places: Iterable[_Places]) -> Iterator[_Rung]:
        codec = self.before.codec
        for level, written in places:
            splices, results = [], []
            for start, end, writing in written:
                result = codec.encode_content(writing.content)
                inserted = writing.before.encode() + result + writing.after.encode()
                splices.append(Splice(start, end - start, inserted))
                results.append(result)
            splices.reverse()
            if all(a.offset + a.removed <= b.offset for a, b in pairwise(splices)):
                yield _Rung(level, tuple(splices), tuple(results))

    def _rewritten(self, sites: Sequence[Site]) -> Iterator[_Rung]:
        codec = self.before.codec
        # However wide the rewrite, the answer shows the new nodes alone.
        results = tuple(
            codec.encode_content(site.writings[-1].content) for site in sites
        )
        for start, end, text in self._ancestors():
            splice = Splice(start, end - start, self._encoded(text))
            yield _Rung("ancestor", (splice,), results)
        for text in self._whole():
            start = len(codec.bom)
            splice = Splice(start, self.before.size - start, self._encoded(text))
            yield _Rung("full", (splice,), results)

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

    def _tags_in(self, rung: _Rung) -> int:
        if rung.level in ("ancestor", "full"):
            return count_root_tags(rung.splices[0].inserted.decode("latin-1"))
        return self.root_tags


def _together(sites: Sequence[Site]) -> Iterator[_Places]:
    """Yield all sites at their likeliest ranges, written alike."""
    if not all(site.ranges for site in sites):
        return
    for level in ("splice", "balanced", "closed"):
        rank = _RANKS.index(level)
        yield (
            level,
            tuple((*site.ranges[0], site.written_at_most(rank)) for site in sites),
        )
