"""
``application/beam-patch+json``: a list of operations, done all together or not at all.

An item says what to do (``op``), with which elements (``selector`` or ``xpath``,
``match``, ``scope``), with what (``html``, ``text``, or ``name`` and ``value``), and on
which condition (``if``, a tag). Unknown members are refused: a write must never do
something else than its writer meant.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from beamfast.documents.change import Patch
from beamfast.documents.edit import Kind, Match, Operation
from beamfast.documents.elements import PatchItem
from beamfast.documents.request import class_change, is_attribute_name
from beamfast.documents.selector import Selector
from beamfast.errors import DocumentError

MEDIA_TYPE: Final = "application/beam-patch+json"
#: Operations of one patch.
MAX_ITEMS: Final = 256

_WITH_CONTENT: Final = {
    "replace": Kind.REPLACE,
    "inner": Kind.INNER,
    "append": Kind.APPEND,
    "prepend": Kind.PREPEND,
    "before": Kind.BEFORE,
    "after": Kind.AFTER,
}


_Op = Literal[
    "replace",
    "inner",
    "append",
    "prepend",
    "before",
    "after",
    "delete",
    "text",
    "set-attr",
    "remove-attr",
    "class",
]


class _Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member of the list, as sent."""

    op: _Op
    selector: str | None = None
    xpath: str | None = None
    match: Match = "first"
    scope: Literal["template"] | None = None
    html: str | None = None
    text: str | None = None
    name: str | None = None
    value: str | None = None
    condition: str | None = msgspec.field(default=None, name="if")


_DECODER: Final = msgspec.json.Decoder(list[_Item])


def read_patch(body: bytes, *, is_xml: bool = False) -> Patch:
    """
    Return the patch that a request body describes.

    Args:
        body: JSON.
        is_xml: the document is XML.

    Raises:
        DocumentError: (``invalid-body``) it is no such list; (``bad-operation``) an
            item asks for nothing that can be done.
        SelectorError: a selector is invalid; both say in which item.
    """
    try:
        items = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DocumentError(f"Not a patch: {error}", code="invalid-body") from None
    if not 0 < len(items) <= MAX_ITEMS:
        raise DocumentError(f"A patch has 1 to {MAX_ITEMS} items", code="invalid-body")
    made = []
    for number, item in enumerate(items, 1):
        try:
            made.append(_read(item))
        except DocumentError as error:
            error.args = (f"Item {number}: {error}",)
            raise
    return Patch(tuple(made), is_xml)


def _read(item: _Item) -> PatchItem:
    if (item.selector is None) == (item.xpath is None):
        raise _bad("one of selector and xpath is needed")
    if item.xpath is not None:
        selector = Selector.parse_xpath(item.xpath)
    else:
        selector = Selector.parse(item.selector or "")
    if isinstance(item.match, int) and item.match < 1:
        raise _bad("match counts from 1")
    kind, name, content, is_text = _meant(item)
    operation = Operation(
        kind,
        selector,
        content.encode(),
        item.scope == "template",
        name,
        match=item.match,
        is_text=is_text,
    )
    # As in If-Match, where a tag stands between quotes.
    return PatchItem(operation, item.condition and item.condition.strip('"'))


def _meant(item: _Item) -> tuple[Kind, str, str, bool]:
    """Return kind, name and content, and whether that is text."""
    match item.op:
        case "delete":
            _expect(item)
            return Kind.DELETE, "", "", False
        case "text":
            _expect(item, "text")
            return Kind.TEXT, "", item.text or "", False
        case "set-attr" | "remove-attr":
            is_setting = item.op == "set-attr"
            _expect(item, *(("name", "value") if is_setting else ("name",)))
            name = item.name or ""
            if not is_attribute_name(name):
                raise _bad("name is no name of an attribute")
            kind = Kind.SET_ATTRIBUTE if is_setting else Kind.REMOVE_ATTRIBUTE
            return kind, name, item.value or "", False
        case "class":
            _expect(item, "value")
            kind, name = class_change(item.value or "")
            return kind, name, "", False
    _expect(item, "html" if item.html is not None else "text")
    content = item.html if item.html is not None else item.text
    return _WITH_CONTENT[item.op], "", content or "", item.html is None


def _expect(item: _Item, *names: str) -> None:
    """Refuse an item whose content is not in just these members."""
    for name in ("html", "text", "name", "value"):
        is_there = getattr(item, name) is not None
        if is_there != (name in names):
            raise _bad(f"{item.op} {'takes no' if is_there else 'needs'} {name}")


def _bad(reason: str) -> DocumentError:
    return DocumentError(reason, code="bad-operation")
