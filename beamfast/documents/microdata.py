"""
HTML microdata: items with their properties, in document order, with lines.

Standard: HTML, section 5.2 (the algorithm "properties of an item"). Two
leniencies that published configuration files need: items are found by type at
any depth, and an item that nothing refers to counts. URLs stay as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import turbohtml
from turbohtml import Element

#: One vocabulary in four spellings.
_VOCABULARY: Final = re.compile(r"https?://rustybeam\.net/(?:schema/)?([^/#?\s]+)/?")
_WHITE_SPACE: Final = re.compile(r"[ \t\n\f\r]+")

_SOURCES: Final = frozenset(
    {"audio", "embed", "iframe", "img", "source", "track", "video"}
)
_LINKS: Final = frozenset({"a", "area", "link"})


@dataclass(frozen=True, slots=True)
class Property:
    """
    One name of one element.

    Attributes:
        name: as written.
        value: text, or the item that the element is.
        line: of the element, from 1.
    """

    name: str
    value: str | Item
    line: int


@dataclass(slots=True, eq=False)
class Item:
    """
    An element with ``itemscope``.

    Attributes:
        types: values of ``itemtype``.
        line: of the element, from 1.
        properties: in document order, referred ones included.
        parents: the items that the element stands inside, innermost first.
        is_property: the element has ``itemprop``, too.
        id: of the element, or empty.
    """

    types: tuple[str, ...]
    line: int
    id: str = ""
    is_property: bool = False
    properties: list[Property] = field(default_factory=list)
    parents: tuple[Item, ...] = ()

    def kind(self) -> str:
        """Return the name of the first type of Rusty Beam's vocabulary, or empty."""
        return next(filter(None, map(kind_of, self.types)), "")

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of ``name`` that is text."""
        return next(iter(self.texts(name)), default)

    def texts(self, name: str) -> list[str]:
        """Return every value of ``name`` that is text."""
        return [
            one.value
            for one in self.properties
            if one.name == name and isinstance(one.value, str)
        ]

    def items(self, name: str) -> list[Item]:
        """Return every value of ``name`` that is an item."""
        return [
            one.value
            for one in self.properties
            if one.name == name and isinstance(one.value, Item)
        ]


def kind_of(itemtype: str) -> str:
    """Return ``X`` for any spelling of Rusty Beam's type ``X``, else nothing."""
    match = _VOCABULARY.fullmatch(itemtype)
    return match[1] if match else ""


def items_of(text: str) -> list[Item]:
    """Return every item of a page, in document order."""
    tree = turbohtml.parse(
        text, source_locations=True, allow_declarative_shadow_roots=False
    )
    elements = [node for node in tree.iter_elements() if isinstance(node, Element)]
    items = {
        element: Item(
            types=_tokens(element, "itemtype"),
            line=_line(element),
            id=element.attr("id") or "",
            is_property=element.attr("itemprop") is not None,
        )
        for element in elements
        if element.attr("itemscope") is not None
    }
    by_id: dict[str, Element] = {}
    for element in elements:
        by_id.setdefault(element.attr("id") or "", element)
    for element, item in items.items():
        item.parents = tuple(
            items[above]
            for above in element.ancestors
            if isinstance(above, Element) and above in items
        )
        for found in _property_elements(element, by_id):
            value = items[found] if found in items else _value(found)
            item.properties += [
                Property(name, value, _line(found))
                for name in dict.fromkeys(_tokens(found, "itemprop"))
            ]
    return list(items.values())


def _property_elements(root: Element, by_id: dict[str, Element]) -> Iterator[Element]:
    """Walk what belongs to the item at ``root``; stop at nested items."""
    roots = [
        by_id[name]
        for name in dict.fromkeys(_tokens(root, "itemref"))
        if name in by_id and name
    ]
    seen = {root}
    found: list[Element] = []
    # A stack, not recursion: pages may be nested 512 levels deep.
    pending = [*reversed(roots), *reversed(_children(root))]
    while pending:
        element = pending.pop()
        if element in seen:
            # A cycle, or an element that is referred to and inside as well.
            continue
        seen.add(element)
        if element.attr("itemscope") is None:
            pending += reversed(_children(element))
        if element.attr("itemprop") is not None:
            found.append(element)
    # Referred elements may stand before the item: the order is the document's.
    found.sort(key=_offset)
    return iter(found)


def _children(element: Element) -> list[Element]:
    return [child for child in element.children if isinstance(child, Element)]


def _value(element: Element) -> str:
    """Return the value of a property that is no item (HTML, 5.2.4)."""
    tag = element.tag
    if tag == "meta":
        return element.attr("content") or ""
    if tag in _SOURCES:
        return element.attr("src") or ""
    if tag in _LINKS:
        return element.attr("href") or ""
    if tag == "object":
        return element.attr("data") or ""
    if tag in ("data", "meter"):
        value = element.attr("value")
    elif tag == "time":
        value = element.attr("datetime")
    elif tag == "input":
        value = _input_value(element)
    elif tag == "select":
        value = _select_value(element)
    else:
        value = None
    return element.text.strip() if value is None else value.strip()


def _input_value(element: Element) -> str:
    kind = (element.attr("type") or "text").lower()
    if kind not in ("checkbox", "radio"):
        return element.attr("value") or ""
    if element.attr("checked") is None:
        return "false"
    return element.attr("value") or "true"


def _select_value(element: Element) -> str:
    for option in element.select("option[selected]"):
        value = option.attr("value")
        return option.text if value is None else value
    return ""


def _tokens(element: Element, name: str) -> tuple[str, ...]:
    value = element.attr(name) or ""
    return tuple(filter(None, _WHITE_SPACE.split(value)))


def _line(element: Element) -> int:
    """Return the line of the start tag; of the first child for an implied one."""
    location = element.source_location
    return location.start_tag.start_line if location else 1


def _offset(element: Element) -> int:
    location = element.source_location
    return location.start_tag.start_offset if location else 0
