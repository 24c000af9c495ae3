"""
Plans for the attributes of one element: set, removed, one class token changed.

Standard: attribute syntax is HTML, 13.1.2.3. An edit touches the characters of the
value and keeps the quotes that are there, as long as they can hold it. Viewers get
the element anew.
"""

from __future__ import annotations

import html
import re
from typing import Final

import turbohtml
from turbohtml import Element, Namespace

from beamfast.documents.document import Document, count_root_tags
from beamfast.documents.fragment import MAX_ATTRIBUTES, text_of
from beamfast.documents.ladder import Writing
from beamfast.documents.plan import Plan, parent_of
from beamfast.documents.spans import start_of
from beamfast.errors import EditRefused

_WHITE_SPACE: Final = " \t\n\f\r"
_TAG_NAME: Final = re.compile(rf"<[^{_WHITE_SPACE}/>]+")
# An attribute as the parser delimits it: a name may begin with an equals sign.
_WRITTEN: Final = re.compile(
    rf"""
    =?[^{_WHITE_SPACE}=/>]*
    (?P<rest> [{_WHITE_SPACE}]*=[{_WHITE_SPACE}]*
        (?P<value> "[^"]*" | '[^']*' | [^{_WHITE_SPACE}>]* )
    )?
    """,
    re.VERBOSE,
)
_NO_QUOTES: Final = re.compile(rf"[^{_WHITE_SPACE}\"'=<>`/]+")
# Before anything else an ampersand stands for itself (HTML, 13.2.5.72).
_AMPERSAND: Final = re.compile("&(?=[A-Za-z#])")
_NEWLINE: Final = re.compile("\r\n?")
_REFERENCES: Final = {'"': "&quot;", "'": "&#39;"}


def plan_set(document: Document, target: Element, name: str, content: bytes) -> Plan:
    """
    Give the attribute ``name`` the value ``content``.

    Raises:
        DocumentError: the content is not UTF-8.
        EditRefused: there would be too many attributes.
    """
    return _setting(document, target, name, text_of(content))


def plan_remove(document: Document, target: Element, name: str) -> Plan:
    """Take the attribute ``name`` away, which need not be there."""
    known = _dom_name(target, name)
    if known not in target.attrs:
        return _nothing(document, target)
    text = document.text
    ranges = []
    location = target.source_location
    span = location.attrs.get(name.lower()) if location else None
    if span is not None:
        start = span.start_offset
        end = text.byte_offset(span.end_offset)
        bare = len(text.text[:start].rstrip(_WHITE_SPACE))
        # The space goes too, unless another attribute follows without one.
        ranges = [(text.byte_offset(bare), end), (text.byte_offset(start), end)]

    def perform() -> int:
        del target.attrs[known]
        return 1

    plan = _nothing(document, target)
    plan.ranges, plan.perform = ranges, perform
    return plan


def plan_add_class(document: Document, target: Element, token: str) -> Plan:
    """Add ``token`` to the classes, unless it is one of them."""
    value = target.attr("class") or ""
    if token in _tokens(value):
        return _nothing(document, target)
    space = " " if value and value[-1] not in _WHITE_SPACE else ""
    return _setting(document, target, "class", f"{value}{space}{token}")


def plan_remove_class(document: Document, target: Element, token: str) -> Plan:
    """Take ``token`` out of the classes; the others keep their spacing."""
    value = target.attr("class") or ""
    if token not in _tokens(value):
        return _nothing(document, target)
    found = rf"(?:^|[{_WHITE_SPACE}]+){re.escape(token)}(?=[{_WHITE_SPACE}]|\Z)"
    rest = re.sub(found, "", value)
    if value[0] not in _WHITE_SPACE:
        rest = rest.lstrip(_WHITE_SPACE)
    return _setting(document, target, "class", rest)


def plan_toggle_class(document: Document, target: Element, token: str) -> Plan:
    """Remove ``token`` where it is, add it where it is not."""
    if token in _tokens(target.attr("class") or ""):
        return plan_remove_class(document, target, token)
    return plan_add_class(document, target, token)


def _tokens(value: str) -> list[str]:
    # Only the white space of HTML separates classes; str.split() knows more.
    return re.split(f"[{_WHITE_SPACE}]+", value)


def _setting(document: Document, target: Element, name: str, value: str) -> Plan:
    known = _dom_name(target, name)
    if known not in target.attrs and len(target.attrs) >= MAX_ATTRIBUTES:
        raise EditRefused(
            f"More than {MAX_ATTRIBUTES} attributes on one element",
            code="hostile-markup",
        )

    plan = _nothing(document, target)

    def perform() -> int:
        data = _NEWLINE.sub("\n", value)
        if known in target.attrs or known.islower():
            target.attrs[known] = data
        else:
            plan.whole = _anew(target, known, data)
        return 1

    plan.ranges, plan.perform = [], perform
    change = _change(document, target, name, value)
    if change is not None:
        start, end, written = change
        text = document.text
        plan.ranges = [(text.byte_offset(start), text.byte_offset(end))]
        plan.writings = [Writing("splice", written)]
        plan.root_tags = count_root_tags(written)
    return plan


def _nothing(document: Document, target: Element) -> Plan:
    """Return the plan that leaves the element as it is."""
    start = len(document.codec.bom)
    return Plan(
        parent=parent_of(target),
        first=target,
        removed=(target,),
        ranges=[(start, start)],
        writings=[Writing("splice", "")],
        perform=lambda: 1,
        whole=target,
    )


def _change(
    document: Document, target: Element, name: str, value: str
) -> tuple[int, int, str] | None:
    """Return which characters become which, or None when the tag is nowhere."""
    text = document.text.text
    location = target.source_location
    if location is None:
        start = start_of(target, text)
        if start is None:
            return None
        # The parser supplied the tag; now it has something to say.
        return start, start, f"<{target.tag} {name}={_quoted(value)}>"
    span = location.attrs.get(name.lower())
    if span is not None:
        return _rewritten(text, span.start_offset, span.end_offset, value)
    # Behind the last attribute: a slash that ends an unquoted value is part of it.
    match = _TAG_NAME.match(text, location.start_tag.start_offset)
    assert match is not None
    place = max([match.end(), *(one.end_offset for one in location.attrs.values())])
    return place, place, f" {name}={_quoted(value)}"


def _rewritten(text: str, start: int, end: int, value: str) -> tuple[int, int, str]:
    """Return the least change of the attribute that stands at ``start``."""
    match = _WRITTEN.fullmatch(text, start, end)
    assert match is not None
    if match["rest"] is None:
        return end, end, f"={_quoted(value)}"
    first = match.start("value")
    old = match["value"]
    quote = old[:1] if old[:1] in _REFERENCES else ""
    if not quote and not _NO_QUOTES.fullmatch(value):
        return first, end, _quoted(value)
    if quote and quote in value and _other(quote) not in value:
        return first, end, _quoted(value, _other(quote))
    inside = len(quote)
    return first + inside, end - inside, _escaped(value, quote)


def _quoted(value: str, quote: str = '"') -> str:
    if quote in value and _other(quote) not in value:
        quote = _other(quote)
    return f"{quote}{_escaped(value, quote)}{quote}"


def _other(quote: str) -> str:
    return "'" if quote == '"' else '"'


def _escaped(value: str, quote: str) -> str:
    value = _AMPERSAND.sub("&amp;", value)
    return value.replace(quote, _REFERENCES[quote]) if quote else value


def _dom_name(target: Element, name: str) -> str:
    """Return the name that a parser gives the attribute (HTML, 13.2.6.1)."""
    if target.namespace is Namespace.HTML:
        return name.lower()
    return next(iter(_foreign(target, f"<x {name}>").attrs))


def _anew(target: Element, name: str, value: str) -> Element:
    """Put ``target`` anew, because turbohtml takes new names in lower case only."""
    pairs = [(known, target.attr(known) or "") for known in target.attrs]
    written = "".join(
        f' {known}="{html.escape(data)}"' for known, data in (*pairs, (name, value))
    )
    element = _foreign(target, f"<{target.tag}{written}>")
    element.extend(target.children)
    target.replace_with(element)
    return element


def _foreign(target: Element, markup: str) -> Element:
    context = "svg g" if target.namespace is Namespace.SVG else "math mrow"
    element = turbohtml.parse_fragment(markup, context)[0]
    assert isinstance(element, Element)
    return element
