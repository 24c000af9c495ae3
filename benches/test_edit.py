"""
Edits in memory, beside one parse of the same document by the same parser.

The parse is the natural unit: an edit cannot be verified without one. Targets are
two parses for an edit whose tree is cached, three for a cold one.
"""

import pytest
import turbohtml

from beamfast.documents.allocator import tune_allocator
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.selector import Selector
from beamfast.entry import Version

ITEM = "<li class='msg'><b>ann</b> <span class='text'>Hello, {} &amp; all</span></li>\n"
SIZES = [10_000, 100_000, 1_000_000]


@pytest.fixture(scope="module", autouse=True)
def allocator():
    """The server sets this at its start."""
    tune_allocator()


def page(size):
    """Return a page of about ``size`` bytes that ends with ``#last``."""
    items = "".join(ITEM.format(number) for number in range(size // len(ITEM)))
    return (
        "<!DOCTYPE html>\n<title>Log</title>\n"
        f"<ul id='list'>\n{items}</ul>\n<p id='last'>end</p>\n"
    ).encode()


def operation(kind, css, content=b""):
    return Operation(kind, Selector.parse(css), content)


REPLACE = operation(Kind.REPLACE, "#last", b"<p id='last'>new end</p>")
APPEND = operation(Kind.APPEND, "#list", b"<li class='msg'>one more</li>")


@pytest.fixture(params=SIZES, ids=lambda size: f"{size // 1000}kB")
def source(request, benchmark):
    benchmark.group = f"edit a document of {request.param // 1000} kB"
    return page(request.param)


def test_parse(benchmark, source):
    text = source.decode()

    def parse():
        return turbohtml.parse(
            text, source_locations=True, allow_declarative_shadow_roots=False
        )

    assert benchmark(parse)


def cached(document):
    """Give a document its tree before the clock runs."""
    assert document.html
    return document


@pytest.mark.parametrize("job", [REPLACE, APPEND], ids=["replace", "append"])
def test_edit_with_its_tree_cached(benchmark, source, job):
    def setup():
        return (cached(Document(source)), job), {}

    done = benchmark.pedantic(apply, setup=setup, rounds=30)
    assert done.level == "splice"


def test_edit_of_a_cold_document(benchmark, source):
    assert benchmark(lambda: apply(Document(source), REPLACE)).level == "splice"


def test_sixteen_edits_one_after_the_other(benchmark, source):
    def setup():
        return (cached(Document(source)),), {}

    def edits(document):
        for _ in range(16):
            done = apply(document, APPEND)
            document = done.document(Version.of_file(done.source))

    benchmark.pedantic(edits, setup=setup, rounds=5)


@pytest.mark.parametrize("css", ["#last", "li.msg:nth-child(5) .text"])
def test_select(benchmark, source, css):
    document, selector = cached(Document(source)), Selector.parse(css)
    assert len(benchmark(document.select, selector)) == 1
