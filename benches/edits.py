"""
What one edit costs, against one parse of the same text and against lxml.html.

Every row is run once in each round, so that what else the machine does meets all of
them; of each the best round counts, by the processor time of the thread. The unit P
is one parse with positions, by the parser that is used. ``python -m benches.edits``
prints the table and ends with failure when a ratio is over its target.
"""

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lxml.html
import turbohtml

from beamfast.documents.allocator import tune_allocator
from beamfast.documents.disk import replace_file
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.selection import read_selection
from beamfast.documents.selector import Selector

ITEM = "<li class='msg'><b>ann</b> <span class='text'>Hello, {} &amp; all</span></li>\n"
SIZES = {"10 kB": 10_000, "100 kB": 100_000, "1 MB": 1_000_000}

Job = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """
    One thing that is timed.

    Attributes:
        name: as printed.
        size: name of the document.
        prepare: returns what is timed; runs before the clock.
        target: seconds that it may take, from the best times of other rows.
    """

    name: str
    size: str
    prepare: Callable[[], Job]
    target: Callable[[dict[tuple[str, str], float]], float] | None = None


def page(size: int, greeting: str = "Hello") -> bytes:
    """Return a page of about ``size`` bytes that ends with ``#last``."""
    item = ITEM.replace("Hello", greeting)
    items = "".join(item.format(number) for number in range(size // len(ITEM)))
    return (
        "<!DOCTYPE html>\n<title>Log</title>\n"
        f"<ul id='list'>\n{items}</ul>\n<p id='last'>end</p>\n"
    ).encode()


def parse(text: str) -> turbohtml.Document:
    """Parse as the package does."""
    return turbohtml.parse(
        text, source_locations=True, allow_declarative_shadow_roots=False
    )


def cached(source: bytes) -> Document:
    """Return a document that has its tree."""
    document = Document(source)
    assert document.html
    return document


def edit(kind: Kind, css: str, content: bytes = b"", name: str = "") -> Operation:
    """Return an operation."""
    return Operation(kind, Selector.parse(css), content, name=name)


REPLACE = edit(Kind.REPLACE, "#last", b"<p id='last'>new end</p>")
APPEND = edit(Kind.APPEND, "#list", b"<li class='msg'>one more</li>")
SET = edit(Kind.SET_ATTRIBUTE, "#last", b"new", "title")


def on_cached(source: bytes, operation: Operation) -> Callable[[], Job]:
    """Time an edit whose tree is there already."""

    def prepare() -> Job:
        document = cached(source)
        return lambda: apply(document, operation)

    return prepare


def with_lxml(source: bytes, *, parsed: bool = False) -> Callable[[], Job]:
    """Time the same edit as lxml.html would be used for it."""
    text = source.decode()

    def change(tree: lxml.html.HtmlElement) -> bytes:
        (last,) = tree.cssselect("#last")
        parent = last.getparent()
        assert parent is not None
        parent.replace(last, lxml.html.fragment_fromstring("<p id='last'>new end</p>"))
        return lxml.html.tostring(tree, encoding="utf-8")

    def prepare() -> Job:
        if parsed:
            tree = lxml.html.document_fromstring(text)
            return lambda: change(tree)
        return lambda: change(lxml.html.document_fromstring(text))

    return prepare


def rows(folder: Path) -> Iterator[Row]:
    """Return every row of every size."""
    for size, length in SIZES.items():
        source = page(length)
        yield from edits(size, source, folder)
        yield from parts(size, source, page(length, "Grüße"))


def times(size: str, factor: float) -> Callable[[dict[tuple[str, str], float]], float]:
    """Return the target ``factor`` times P."""
    return lambda best: factor * best["P", size]


def edits(size: str, source: bytes, folder: Path) -> Iterator[Row]:
    """Yield the rows that are whole edits."""
    text = source.decode()
    small = size == "10 kB"
    file = str(folder / f"{len(source)}.html")

    def write() -> object:
        return replace_file(file, source, durable=False)

    def edit_and_write() -> Job:
        document = cached(source)
        return lambda: replace_file(
            file, apply(document, REPLACE).source, durable=False
        )

    def batch() -> Job:
        def work() -> None:
            document = start
            for _ in range(64):
                done = apply(document, APPEND)
                document = done.document(document.version)

        start = cached(source)
        return work

    yield Row("P", size, lambda: lambda: parse(text))
    yield Row(
        "cached edit", size, on_cached(source, REPLACE), times(size, 3 if small else 2)
    )
    yield Row(
        "cached append", size, on_cached(source, APPEND), times(size, 3 if small else 2)
    )
    yield Row(
        "cached set-attr", size, on_cached(source, SET), times(size, 3 if small else 2)
    )
    yield Row(
        *("cold edit", size, lambda: lambda: apply(Document(source), REPLACE)),
        times(size, 4 if small else 3),
    )
    yield Row("write + rename", size, lambda: write)
    yield Row(
        *("cached edit + write + rename", size, edit_and_write),
        lambda best: best["cached edit", size] + 1.5 * best["write + rename", size],
    )
    yield Row("lxml.html, whole path", size, with_lxml(source))
    yield Row("lxml.html, tree cached", size, with_lxml(source, parsed=True))
    yield Row(
        *("cold edit, against lxml.html", size),
        lambda: lambda: apply(Document(source), REPLACE),
        lambda best: 0.6 * best["lxml.html, whole path", size],
    )
    if size == "100 kB":
        yield Row(
            *("64 edits, one after the other", size, batch),
            lambda best: 128 * best["P", size] + best["write + rename", size],
        )


def parts(size: str, source: bytes, accented: bytes) -> Iterator[Row]:
    """Yield the rows that are parts of an edit, and reads."""
    document, other = cached(source), cached(source)
    other_text = Document(accented).text
    middle = len(other_text.text) * 2 // 3
    last, deep = Selector.parse("#last"), Selector.parse("li.msg:nth-child(5) .text")

    def offset() -> object:
        other_text._near = (0, 0)
        return other_text.byte_offset(middle)

    def tree() -> Job:
        fresh = cached(source)
        return lambda: fresh.tree

    yield Row(
        "select #id", size, lambda: lambda: document.select(last), times(size, 0.10)
    )
    yield Row(
        "select by class and number",
        size,
        lambda: lambda: document.select(deep),
        times(size, 0.15),
    )
    yield Row(
        "compare",
        size,
        lambda: lambda: document.html.equals(other.html),
        times(size, 0.2),
    )
    yield Row("offset of one position", size, lambda: offset, times(size, 0.15))
    yield Row(
        "GET with a selector",
        size,
        lambda: lambda: read_selection(document, last),
        times(size, 0.3),
    )
    yield Row("document.tree", size, tree, times(size, 4))


def measure(found: list[Row], rounds: int) -> dict[tuple[str, str], float]:
    """Return the best time of each row, in seconds."""
    best: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for row in found:
            work = row.prepare()
            gc.collect(0)
            start = time.thread_time()
            work()
            spent = time.thread_time() - start
            key = row.name, row.size
            best[key] = min(spent, best.get(key, spent))
    return best


def main() -> int:
    """Print the table; return how many ratios are over their target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    tune_allocator()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        found = list(rows(Path(folder)))
        best = measure(found, rounds)
    sys.stdout.write(
        "| row | size | ms | ratio to P | target |\n|---|---|---|---|---|\n"
    )
    for row in found:
        spent, unit = best[row.name, row.size], best["P", row.size]
        target = None if row.target is None else row.target(best)
        verdict = ""
        if target is not None:
            verdict = f"{target / unit:.2f}{'' if spent <= target else ' missed'}"
            missed += spent > target
        cells = (row.name, row.size, f"{1000 * spent:.3f}", f"{spent / unit:.2f}")
        sys.stdout.write(f"| {' | '.join(cells)} | {verdict} |\n")
    return missed


if __name__ == "__main__":
    sys.exit(min(1, main()))
