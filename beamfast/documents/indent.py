"""
HTML laid out for people: a line for each block, indented by its depth.

White space goes only beside blocks, where it is not shown (CSS 2.2, 9.2.1, 16.6.1).
What flows inside a line stays on one, as it was; turbohtml's own layout would part
``text<b>bold</b>`` where a block stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import turbohtml
from turbohtml import Doctype, Element, Namespace, Node, Text

STEP: Final = "  "
#: Characters that laying out may add.
LIMIT: Final = 2**20

#: Elements that are blocks, or part of a table, list or menu (HTML, 15.3).
BLOCKS: Final = frozenset(
    {
        *("address", "article", "aside", "base", "blockquote", "body"),
        *("caption", "center", "col", "colgroup", "dd", "details", "dialog"),
        *("dir", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head"),
        *("header", "hgroup", "hr", "html", "legend", "li", "link", "main"),
        *("menu", "meta", "nav", "ol", "optgroup", "option", "p", "pre"),
        *("script", "search", "section", "style", "summary", "table", "tbody"),
        *("td", "tfoot", "th", "thead", "title", "tr", "ul"),
    }
)
#: Of these the content is kept to the letter.
VERBATIM: Final = frozenset({"pre", "textarea", "script", "style", "title"})
#: White space that is not shown beside blocks; there is other (HTML, 13.1.3).
_SPACE: Final = " \t\n\f\r"

_WHOLE: Final = re.compile(r"\s*<(?:!doctype|html)\b", re.IGNORECASE)
_PART: Final = re.compile(r"\s*<(head|body)\b", re.IGNORECASE)


class _TooLong(Exception):
    """The result would be much longer than what it came from."""


def indent(text: str) -> str | None:
    """
    Return ``text`` with its blocks on lines of their own.

    Args:
        text: a document, or elements of one.

    Returns:
        None when it would get too long, because it is nested too deeply.
    """
    if _WHOLE.match(text):
        tree = turbohtml.parse(text, allow_declarative_shadow_roots=False)
        nodes: list[Node] = list(tree.children)
    elif match := _PART.match(text):
        tree = turbohtml.parse(text, allow_declarative_shadow_roots=False)
        nodes = list(tree.find_all(match[1].lower())[:1])
    else:
        # In a template rows and cells keep their tags (HTML, 13.2.6.4.22).
        nodes = list(turbohtml.parse_fragment(text, "template").children)
    try:
        return "\n".join(_lines(nodes, len(text) + LIMIT))
    except _TooLong:
        return None


def _lines(nodes: list[Node], limit: int) -> Iterator[str]:
    """Yield the lines of some siblings and all that is in them."""
    # A stack, not recursion: pages may be nested thousands of levels deep. Text
    # stands for an end tag that waits for what comes before it.
    pending: list[tuple[list[Node] | str, int]] = [(run, 0) for run in _runs(nodes)]
    pending.reverse()
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            line = item
        elif _has_blocks(item):
            [element] = item
            assert isinstance(element, Element)
            line = _start_tag(element)
            pending.append((f"</{element.tag}>", depth))
            runs = [(run, depth + 1) for run in _runs(list(element.children))]
            pending += reversed(runs)
        else:
            line = "".join(node.serialize() for node in item).strip(_SPACE)
        limit -= len(STEP) * depth + len(line) + 1
        if limit < 0:
            raise _TooLong
        yield STEP * depth + line


def _runs(nodes: list[Node]) -> Iterator[list[Node]]:
    """Yield blocks alone, and what flows between them together."""
    run: list[Node] = []
    for node in nodes:
        if not _is_block(node):
            run.append(node)
            continue
        if not _is_blank(run):
            yield run
        run = []
        yield [node]
    if not _is_blank(run):
        yield run


def _is_block(node: Node) -> bool:
    if isinstance(node, Doctype):
        return True
    return (
        isinstance(node, Element)
        and node.namespace is Namespace.HTML
        and node.tag in BLOCKS
    )


def _is_blank(nodes: list[Node]) -> bool:
    return all(isinstance(node, Text) and not node.text.strip(_SPACE) for node in nodes)


def _has_blocks(nodes: list[Node]) -> bool:
    """Tell whether this is one block with other blocks in it."""
    node = nodes[0]
    return (
        _is_block(node)
        and isinstance(node, Element)
        and node.tag not in VERBATIM
        and any(map(_is_block, node.children))
    )


def _start_tag(element: Element) -> str:
    tag = [element.tag]
    for name in element.attrs:
        value = (element.attr(name) or "").replace("&", "&amp;")
        value = value.replace("\xa0", "&nbsp;").replace('"', "&quot;")
        tag.append(f'{name}="{value}"')
    return f"<{' '.join(tag)}>"
