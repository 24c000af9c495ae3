"""
StreamItem: one journal entry as the HTML that viewers receive, and back.

The vocabulary is Rusty Beam's, in HTML microdata (HTML, 5). An item is rendered
from the entry alone, so live delivery and replay give the same bytes. Method, url
and selector are escaped; the content is balanced HTML and cannot leave its wrapper.
For subprotocol ``beam.v1`` an item says in further properties which version it led
to and from, where the content goes, and who asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import turbohtml
from turbohtml import DocumentFragment, Element, Node

from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.entry import Entry, Version

#: Item type for connections that are subscribed by connecting.
SCHEMA_TYPE: Final = "https://rustybeam.net/schema/StreamItem"
#: Item type for connections that have sent a JSON ``subscribe``.
LEGACY_TYPE: Final = "http://rustybeam.net/StreamItem"

_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
)
#: Where the content of an item goes, in the words of ``Beam-Position``.
_POSITIONS: Final = {"PUT": "outerHTML", "POST": "beforeend", "DELETE": "outerHTML"}
_KINDS: Final = {"PUT": Kind.REPLACE, "POST": Kind.APPEND, "DELETE": Kind.DELETE}


@dataclass(frozen=True, slots=True)
class Item:
    """
    A received item.

    Attributes:
        itemtype: which of the two vocabularies it is in.
        method: ``PUT``, ``POST``, ``DELETE``, ``RESET`` or ``VERSION``.
        url: path of the document.
        selector: which element; empty for ``RESET``.
        content: HTML of the element, of what was appended, or of what was removed;
            for ``RESET`` the text of the whole file, None when it is not carried.
        attributes: of ``html``, ``head`` or ``body``, when one was replaced.
        version: that the item leads to, in ``beam.v1``; also of ``VERSION``.
    """

    itemtype: str
    method: str
    url: str
    selector: str = ""
    content: str | None = None
    attributes: dict[str, str] | None = None
    version: Version | None = None

    def operation(self) -> Operation:
        """
        Return the edit that this item describes.

        Raises:
            SelectorError: its selector is not valid.
            ValueError: it describes no edit, or a new ``html``, ``head`` or
                ``body``, whose attributes and children come apart.
        """
        kind = _KINDS.get(self.method)
        if kind is None or self.attributes is not None:
            raise ValueError(f"this {self.method} is not an edit of one element")
        selector = Selector.parse(self.selector)
        if kind is Kind.DELETE:
            return Operation(kind, selector)
        return Operation(kind, selector, (self.content or "").encode())


def render(
    entry: Entry,
    itemtype: str = SCHEMA_TYPE,
    *,
    versions: tuple[Version, Version] | None = None,
) -> str:
    """
    Return the item for an edit of one element.

    Args:
        entry: the edit.
        itemtype: the vocabulary.
        versions: before and after the edit; with them the item has the properties
            of ``beam.v1``.
    """
    attributes = ""
    if entry.attributes is not None:
        attributes = _property("attributes", json.dumps(entry.attributes))
    return (
        f'<div itemscope itemtype="{itemtype}">'
        + _property("method", entry.method)
        + _property("url", entry.url)
        + _property("selector", entry.selector)
        + ("" if versions is None else _details(entry, *versions))
        + attributes
        + f'<{entry.wrapper} itemprop="content">{entry.content}</{entry.wrapper}></div>'
    )


def render_reset(
    url: str,
    source: str | None,
    itemtype: str = SCHEMA_TYPE,
    *,
    selector: str | None = None,
    version: Version | None = None,
) -> str:
    """
    Return the item that replaces a whole document.

    Args:
        url: path of the document.
        source: text of the file, which the item carries as text: no wrapper holds
            ``html``, doctype and unbalanced markup. Empty when the document is
            gone; None when it is too large to be carried and must be fetched.
        itemtype: as for :func:`render`.
        selector: for clients that cannot do without one.
        version: that the document has now, for ``beam.v1``.
    """
    content = "" if source is None else _property("content", source, "template")
    return (
        f'<div itemscope itemtype="{itemtype}">'
        + _property("method", "RESET")
        + _property("url", url)
        + ("" if selector is None else _property("selector", selector))
        + ("" if version is None else _property("version", str(version)))
        + content
        + "</div>"
    )


def render_version(url: str, version: Version, itemtype: str = SCHEMA_TYPE) -> str:
    """Return the item that a ``beam.v1`` stream begins with: where to resume from."""
    return (
        f'<div itemscope itemtype="{itemtype}">'
        + _property("method", "VERSION")
        + _property("url", url)
        + _property("version", str(version))
        + "</div>"
    )


def render_presence(
    url: str,
    count: int,
    joined: Sequence[tuple[str, str | None, int]],
    left: Sequence[tuple[str, str | None, int]],
    itemtype: str = SCHEMA_TYPE,
) -> str:
    """
    Return the item that says who follows a document.

    Args:
        url: path of the document.
        count: how many do.
        joined: who has come: id, user, and since when.
        left: who has gone.
        itemtype: as for :func:`render`.
    """
    return (
        f'<div itemscope itemtype="{itemtype}">'
        + _property("method", "PRESENCE")
        + _property("url", url)
        + _property("count", str(count))
        + _property("joined", json.dumps([_member(one) for one in joined]))
        + _property("left", json.dumps([_member(one) for one in left]))
        + "</div>"
    )


def _member(member: tuple[str, str | None, int]) -> dict[str, object]:
    return dict(zip(("id", "user", "since"), member, strict=True))


def _details(entry: Entry, previous: Version, version: Version) -> str:
    return (
        _property("version", str(version))
        + _property("previous", str(previous))
        + _property("position", _POSITIONS[entry.method])
        + _property("match", "first")
        + _property("origin", entry.operation_id)
    )


def parse(item: str) -> Item:
    """
    Read an item back, as a browser would.

    Raises:
        ValueError: the text is not one StreamItem.
    """
    nodes = [
        node
        for node in turbohtml.parse_fragment(item, "div").children
        if isinstance(node, Element)
    ]
    if len(nodes) != 1 or nodes[0].attr("itemscope") is None:
        raise ValueError("not one microdata item")
    itemtype = nodes[0].attr("itemtype") or ""
    if itemtype not in (SCHEMA_TYPE, LEGACY_TYPE):
        raise ValueError(f"item of another type: {itemtype!r}")
    # Only direct children: what the content holds can name no property.
    properties = {
        child.attr("itemprop"): child
        for child in nodes[0].children
        if isinstance(child, Element)
    }
    try:
        method = properties["method"].text
        url = properties["url"].text
    except KeyError as error:
        raise ValueError(f"item without {error}") from None
    content: str | None = None
    if "content" in properties:
        holder = properties["content"]
        content = _content_of(holder) if method == "RESET" else holder.inner_html
    attributes = None
    if "attributes" in properties:
        attributes = json.loads(properties["attributes"].text)
    selector = properties["selector"].text if "selector" in properties else ""
    version = None
    if "version" in properties:
        version = Version.parse(properties["version"].text)
    return Item(itemtype, method, url, selector, content, attributes, version)


def _property(name: str, text: str, tag: str = "span") -> str:
    return f'<{tag} itemprop="{name}">{text.translate(_ESCAPES)}</{tag}>'


def _content_of(holder: Element) -> str:
    inside: list[Node] = [
        child for child in holder.children if isinstance(child, DocumentFragment)
    ]
    return inside[0].text if inside else holder.text
