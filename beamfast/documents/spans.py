"""
Where in the file each element starts and ends, implied ends included.

turbohtml gives the spans of tags in code points of the newline-normalized text.
This module alone turns those into byte offsets, and alone knows where an element
without tags begins or stops. The rules for implied ends need no token stream;
where they are wrong, the verification of an edit says so. A span is only ever a
candidate.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from turbohtml import (
    Comment,
    Document,
    DocumentFragment,
    Element,
    Namespace,
    Node,
    Text,
)

from beamfast.documents.charset import Codec

# HTML, 13.1.2; the last four and param are void though no longer conforming.
VOID: Final = frozenset(
    (
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"),
        *("param", "source", "track", "wbr", "basefont", "bgsound", "frame", "keygen"),
    )
)
# The elements whose start tag a parser supplies (HTML, 13.1.2.4). Any other
# element without a tag is a clone made for misnested markup, and has no place.
IMPLIED: Final = frozenset(("html", "head", "body", "colgroup", "tbody", "tr"))

_CRLF: Final = re.compile("\r\n")
_ESCAPED: Final = re.compile("[\udc80-\udcff]")
_END_TAG: Final = re.compile("</[a-z]", re.IGNORECASE | re.ASCII)
_DOCTYPE: Final = re.compile(
    r"\s*(?:<!--.*?-->\s*)*(<!doctype[^>]*>)", re.IGNORECASE | re.ASCII | re.DOTALL
)
_STRAY: Final = {
    tag: re.compile(rf"</{tag}(?:[\s/][^>]*)?>", re.IGNORECASE | re.ASCII)
    for tag in ("p", "br")
}
_CLOSING: Final = {
    "body": re.compile("</body", re.IGNORECASE | re.ASCII),
    "html": re.compile("</html", re.IGNORECASE | re.ASCII),
}


class SourceText:
    """
    The text of a file as the parser sees it, and the way back to its bytes.

    Attributes:
        text: newlines normalized, without lone surrogates, without the byte order
            mark; every offset of the parser counts in it.
        codec: how the bytes became text.
    """

    __slots__ = ("_crlf", "_decoded", "_near", "_one_byte", "codec", "text")

    def __init__(self, decoded: str, codec: Codec) -> None:
        self.codec: Codec = codec
        self._decoded = decoded
        self._one_byte = codec.is_single_byte or decoded.isascii()
        self._near = (0, 0)
        text = decoded
        if codec.has_escapes:
            # Same length, so offsets hold; the parser must not see surrogates.
            text = _ESCAPED.sub("\ufffd", text)
        self._crlf: list[int] = []
        if "\r" in text:
            self._crlf = [
                match.start() - nth for nth, match in enumerate(_CRLF.finditer(text))
            ]
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.text: str = text

    @property
    def newline(self) -> str:
        """The line break that text rewritten by the server gets."""
        return "\r\n" if 2 * len(self._crlf) > self.text.count("\n") else "\n"

    def byte_offset(self, offset: int) -> int:
        """Return where in the file the character at ``offset`` begins."""
        decoded = offset + bisect_left(self._crlf, offset)
        if self._one_byte:
            return len(self.codec.bom) + decoded
        # A span asks for two offsets, the second behind the first: only the text
        # between them is encoded.
        start, length = self._near if self._near[0] <= decoded else (0, 0)
        length += len(self.codec.encode(self._decoded[start:decoded]))
        self._near = (decoded, length)
        return len(self.codec.bom) + length

    def is_faithful(self, start: int, end: int) -> bool:
        """Tell whether the parser saw this part as it is, invalid bytes excluded."""
        if not self.codec.has_escapes:
            return True
        first = start + bisect_left(self._crlf, start)
        last = end + bisect_left(self._crlf, end)
        return _ESCAPED.search(self._decoded, first, last) is None


def start_of(element: Element, text: str) -> int | None:
    """Return where ``element`` begins; None when it has no place in the text."""
    location = element.source_location
    if location is not None:
        return location.start_tag.start_offset
    if element.tag not in IMPLIED or element.namespace is not Namespace.HTML:
        return None
    if element.tag == "html":
        return _prologue_end(text)
    # Text has no place of its own; a body that begins with it begins where the
    # head ends.
    has_text_first = element.tag == "body" and not isinstance(
        next(iter(element.children), element), Element
    )
    first = None if has_text_first else _first_located(element)
    if first is None and element.tag in ("head", "body"):
        return _head_end(element, text)
    return first


def content_start(element: Element, text: str) -> int | None:
    """Return where the content of ``element`` begins."""
    location = element.source_location
    if location is not None:
        return location.start_tag.end_offset
    return start_of(element, text)


def ends_of(element: Element, text: str) -> Iterator[int]:
    """Yield where ``element`` may end, the most likely offset first."""
    location = element.source_location
    if location is not None:
        if location.end_tag is not None:
            yield location.end_tag.end_offset
            return
        tag_end = location.start_tag.end_offset
        if element.namespace is Namespace.HTML:
            if element.tag in VOID:
                yield tag_end
                return
        elif text[tag_end - 2] == "/":
            yield tag_end
    yield from _implied_ends(element, text)


def content_ends_of(element: Element, text: str) -> Iterator[int]:
    """Yield where the content of ``element`` may end, the most likely first."""
    location = element.source_location
    if location is not None and location.end_tag is not None:
        yield location.end_tag.start_offset
    else:
        yield from _implied_ends(element, text)


def stray_tag_span(element: Element, text: str) -> tuple[int, int] | None:
    """
    Return where the end tag stands that made an empty ``p`` or ``br``.

    ``</p>`` without an open paragraph and any ``</br>`` are elements of their own
    (HTML, 13.2.6.4.7), with nothing else in the file to show for them.
    """
    pattern = _STRAY.get(element.tag)
    parent = element.parent
    if pattern is None or not isinstance(parent, Element) or len(element):
        return None
    least = content_start(parent, text) or 0
    for sibling in element.previous_siblings:
        if isinstance(sibling, Element) and start_of(sibling, text) is not None:
            least = next(ends_of(sibling, text))
            break
    match = pattern.search(text, least)
    return match.span() if match else None


def omitted_end_tags(node: Node | None) -> str:
    """Return the end tags, innermost first, that the file leaves out for ``node``."""
    tags = ""
    while isinstance(node, Element) and node.namespace is Namespace.HTML:
        location = node.source_location
        if location is None or location.end_tag is not None or node.tag in VOID:
            break
        tags = f"</{node.tag}>{tags}"
        node = node[len(node) - 1] if len(node) else None
    return tags


def doctype_span(text: str) -> tuple[int, int] | None:
    """Return where the doctype stands, before which only comments may come."""
    match = _DOCTYPE.match(text)
    return match.span(1) if match else None


def doctype_text(text: str) -> str:
    """Return the doctype as the file spells it, or nothing."""
    span = doctype_span(text)
    return text[slice(*span)] if span else ""


def _implied_ends(element: Element, text: str) -> Iterator[int]:
    least = content_start(element, text) or 0
    seen = set()
    for offset in _end_candidates(element, text, least):
        if offset >= least and offset not in seen:
            seen.add(offset)
            yield offset


def _end_candidates(element: Element, text: str, least: int) -> Iterator[int]:
    inside = -1
    node: Node = element
    while True:
        if isinstance(node.next_sibling, (Text, Comment)):
            # Text follows directly, so an end tag of another name closed it:
            # <h1>a</h2>text. It is the first one after what lies inside.
            inside = max(inside, _last_inside(element, least))
            match = _END_TAG.search(text, inside)
            if match:
                yield match.start()
        for sibling in node.next_siblings:
            start = _start_or_first_located(sibling, text)
            if start is not None:
                yield start
                break
        if isinstance(node, Element) and node.tag in _CLOSING:
            closing = [match.start() for match in _CLOSING[node.tag].finditer(text)]
            yield from closing[-1:]
        parent = node.parent
        if parent is None or isinstance(parent, Document):
            yield len(text)
            return
        if isinstance(parent, Element):
            location = parent.source_location
            if location is not None and location.end_tag is not None:
                yield location.end_tag.start_offset
                # The end tag of a form may come before the end of its content.
                if location.end_tag.start_offset >= least:
                    return
        node = parent


def _start_or_first_located(node: Node, text: str) -> int | None:
    if not isinstance(node, Element):
        return None
    start = start_of(node, text)
    return _first_located(node) if start is None else start


def _first_located(element: Element) -> int | None:
    for inner in element.iter_elements():
        location = inner.source_location
        if location is not None:
            return location.start_tag.start_offset
    return None


def _last_inside(element: Element, least: int) -> int:
    """Return the last offset known to lie inside ``element``."""
    node: Node = element
    while True:
        for inner in reversed(node.children):
            if isinstance(inner, (Element, DocumentFragment)):
                break
        else:
            return least
        location = inner.source_location
        if location is not None:
            if location.end_tag is not None:
                return max(least, location.end_tag.end_offset)
            least = max(least, location.start_tag.end_offset)
        node = inner


def _head_end(element: Element, text: str) -> int:
    """Return where an implied ``head`` or ``body`` begins that starts with text."""
    root = element.parent
    assert isinstance(root, Element)
    if element.tag == "body" and isinstance(root[0], Element):
        head = root[0]
        location = head.source_location
        if location is not None and location.end_tag is not None:
            return location.end_tag.end_offset
        if location is not None or len(head):
            return _last_inside(head, content_start(head, text) or 0)
    if root.source_location is not None:
        return root.source_location.start_tag.end_offset
    return _prologue_end(text)


def _prologue_end(text: str) -> int:
    span = doctype_span(text)
    return span[1] if span else 0
