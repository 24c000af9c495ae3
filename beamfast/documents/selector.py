"""
Selectors: what ``Range: selector=...`` means, its limits, and what it matches.

Standard: the range unit follows RFC 9110, section 14.1; the language is CSS
Selectors as turbohtml implements it. Dynamic pseudo-classes match nothing,
pseudo-elements and namespace prefixes are not supported; there are three more about
text (:mod:`beamfast.documents.text_test`). ``Range: xpath=...`` is XPath 1.0
(:mod:`beamfast.documents.xpath`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

import turbohtml

from beamfast.documents.text_test import split_tests
from beamfast.documents.xpath import check_xpath
from beamfast.errors import SelectorError

# One text for the three ways to match nothing: none found, empty, invalid.
NO_MATCH: Final = "No elements matched the selector"

MAX_BYTES: Final = 4096
MAX_MEMBERS: Final = 64
MAX_NESTING: Final = 16
MAX_COMPOUNDS: Final = 32
#: Matches up to which each is asked whether it lies in a template.
FEW: Final = 64

# Any name will do to see whether the rest of a selector is valid.
_STAND_IN: Final = "x"

_WHITE_SPACE: Final = " \t\n\f\r"
_VISIBLE: Final = "".join(map(chr, range(0x20, 0x7F)))
_UNIT: Final = re.compile(r"[ \t]*(selector|xpath)=", re.IGNORECASE)
_RUN: Final = re.compile(rf"[{_WHITE_SPACE}]+")

# What the limits count, with strings and escapes recognised so that their
# content does not count. The order of the alternatives matters.
_TOKEN: Final = re.compile(
    rf"""
      (?P<skip> \\. | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' )
    | (?P<open> [(\[] )
    | (?P<close> [)\]] )
    | (?P<member> [{_WHITE_SPACE}]* , [{_WHITE_SPACE}]* )
    | (?P<combinator> [{_WHITE_SPACE}]* [>+~] [{_WHITE_SPACE}]* | [{_WHITE_SPACE}]+ )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Selector:
    """
    A valid selector.

    Attributes:
        text: as sent, decoded and trimmed.
        kind: language of ``text``.
    """

    text: str
    kind: Literal["css", "xpath"] = "css"

    @classmethod
    def parse(cls, text: str) -> Selector:
        """
        Read a decoded selector.

        Raises:
            SelectorError: it is empty, invalid, or over a limit (400).
        """
        text = text.strip(_WHITE_SPACE)
        if not text:
            raise SelectorError(NO_MATCH, code="empty-selector")
        _check_limits(text)
        css, _ = split_tests(text, _STAND_IN)
        try:
            # Selecting in an empty document compiles the whole selector. (A lone
            # Element would do, but turbohtml 1.15 crashes on one with "#a > b".)
            turbohtml.parse("").select(css)
        except ValueError:
            raise SelectorError(NO_MATCH) from None
        return cls(text)

    @classmethod
    def parse_xpath(cls, text: str) -> Selector:
        """
        Read a decoded XPath expression.

        Raises:
            SelectorError: it is empty, invalid, or over a limit (400).
        """
        text = text.strip(_WHITE_SPACE)
        if not text:
            raise SelectorError(NO_MATCH, code="empty-selector")
        _check_length(text)
        check_xpath(text)
        return cls(text, "xpath")

    @property
    def is_standard(self) -> bool:
        """True when a browser understands the selector as well."""
        return self.kind == "css" and not self.has_tests

    @property
    def has_tests(self) -> bool:
        """True when it asks for text, with a pseudo-class that CSS does not know."""
        text = self.text
        return (
            self.kind == "css" and ":" in text and bool(split_tests(text, _STAND_IN)[1])
        )

    @property
    def normalized(self) -> str:
        """``text`` with each run of white space as one space."""
        return _RUN.sub(" ", self.text)

    def content_range(self) -> str:
        """Return the value of ``Content-Range``: visible ASCII, whatever was sent."""
        unit = "selector" if self.kind == "css" else "xpath"
        return f"{unit} {quote(self.text, safe=_VISIBLE)}"

    def select(
        self, tree: turbohtml.Document, *, template_scope: bool = False
    ) -> list[turbohtml.Element]:
        """
        Return the elements that match a CSS selector, in document order.

        Args:
            tree: the document.
            template_scope: also enter the content of ``template`` elements,
                which a browser's ``querySelectorAll`` does not.
        """
        found = tree.select(self.text)
        if template_scope or not found:
            return found
        # Of a few elements it is faster to ask each; of many, the document.
        if len(found) > FEW and tree.find("template") is None:
            return found
        return [element for element in found if not is_in_template(element)]

    def concerns(
        self, parent: turbohtml.Node, elements: Sequence[turbohtml.Element]
    ) -> bool:
        """
        Tell whether changed nodes lie inside, contain, or equal a match.

        Args:
            parent: of the changed nodes, which need not be elements.
            elements: those of the changed nodes that are.
        """
        css = self.text
        if not self.is_standard:
            # Whether it matches depends on the rest of the document.
            return True
        return parent.closest(css) is not None or any(
            element.matches(css) or element.select_one(css) is not None
            for element in elements
        )


def is_in_template(element: turbohtml.Element) -> bool:
    """Tell whether ``element`` is part of the content of a ``template``."""
    parent = element.parent
    return (
        parent is not None
        and not isinstance(parent, turbohtml.Document)
        and parent.closest("template") is not None
    )


def parse_range(value: str) -> Selector | None:
    """
    Read the value of one ``Range`` field.

    Args:
        value: the raw field value; bytes beyond ASCII may be given as Latin-1.

    Returns:
        None when the unit is another one; HTTP ignores those (RFC 9110, 14.2).

    Raises:
        SelectorError: the selector is empty or invalid (404), over a limit or
            not UTF-8 (400).
    """
    match = _UNIT.match(value)
    if match is None:
        return None
    text = _decoded(value[match.end() :])
    if match[1].lower() == "xpath":
        return Selector.parse_xpath(text)
    return Selector.parse(text)


def range_selector(values: Sequence[str]) -> Selector | None:
    """
    Read all ``Range`` fields of one request.

    Raises:
        SelectorError: as :func:`parse_range`, and for a repeated field: whichever
            of the two a plugin looked at, another could look at the other.
    """
    if len(values) > 1:
        raise SelectorError("Repeated Range field", status=400, code="bad-range")
    return parse_range(values[0]) if values else None


def _decoded(value: str) -> str:
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        raw = value.encode("utf-8", "surrogatepass")
    try:
        # A percent sign without two digits stays as it is.
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise SelectorError(
            "The selector is not UTF-8", status=400, code="bad-range"
        ) from None


def _check_length(text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _too_complex("is too long")


def _check_limits(text: str) -> None:
    _check_length(text)
    # 32 compounds need 63 characters; nothing shorter can reach a limit.
    if len(text) < 2 * MAX_COMPOUNDS:
        return
    members = 1
    compounds = [1]  # of the innermost open bracket, last
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                compounds.append(1)
            case "close" if len(compounds) > 1:
                compounds.pop()
            case "member":
                members += 1
                compounds[-1] = 1
            case "combinator":
                compounds[-1] += 1
        if len(compounds) > MAX_NESTING + 1:
            raise _too_complex("is nested too deeply")
        if members > MAX_MEMBERS:
            raise _too_complex("has too many members")
        if compounds[-1] > MAX_COMPOUNDS:
            raise _too_complex("has too many compounds")


def _too_complex(why: str) -> SelectorError:
    return SelectorError(f"The selector {why}", status=400, code="selector-too-complex")
