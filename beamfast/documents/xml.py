"""
XML documents: parsed and selected from by lxml, written as a whole.

Standard: XML 1.0. No entity is resolved, none is loaded, and no DTD either. CSS type
selectors compare local names, so ``g`` finds the elements of SVG whatever prefix they
have; XPath knows the prefixes of the root element and those of
:mod:`beamfast.documents.xpath`. What stands before and behind the root element is kept
byte for byte; the root element is what lxml writes, with comments, CDATA sections
and entity references.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cssselect import GenericTranslator, SelectorError as CssError
from cssselect.xpath import XPathExpr
from lxml import etree

from beamfast.documents.selection import Selection
from beamfast.documents.selector import NO_MATCH, Selector
from beamfast.documents.xpath import select_xpath
from beamfast.errors import EditRefused, SelectorError

_BOM: Final = b"\xef\xbb\xbf"
# XML 1.0, 2.8, as far as a root element can follow; subsets hold quoted strings.
_PROLOGUE: Final = re.compile(
    rb"""
    (?> \s+ | <\?.*?\?> | <!--.*?-->
      | <!DOCTYPE (?> [^\["'<>]+ | "[^"]*" | '[^']*'
          | \[ (?> [^\]"'<]+ | "[^"]*" | '[^']*' | <!--.*?--> | <\?.*?\?> | <! )*+ \]
        )*+ >
    )*+
    """,
    re.VERBOSE | re.DOTALL,
)


class _Translator(GenericTranslator):
    """CSS to XPath, with the two other pseudo-classes about text."""

    xpath_has_text_function = GenericTranslator.xpath_contains_function

    def xpath_only_text_pseudo(self, xpath: XPathExpr) -> XPathExpr:
        """Match elements that have text and no elements."""
        return xpath.add_condition("not(*) and string(.) != ''")


@dataclass(slots=True)
class XmlSource:
    """
    A document, parsed anew.

    Attributes:
        root: its element; whoever asked for it may change it.
        before: bytes in front of the root element.
        after: bytes behind it.
        encoding: of the bytes.
    """

    root: etree._Element
    before: bytes
    after: bytes
    encoding: str

    @classmethod
    def parse(cls, source: bytes) -> XmlSource:
        """
        Read a document.

        Raises:
            EditRefused: (``not-well-formed``) it is no XML; (``encoding``) its bytes
                cannot be cut, as those of UTF-16.
        """
        root = parse_root(source)
        encoding = root.getroottree().docinfo.encoding or "UTF-8"
        if encoding.upper().startswith(("UTF-16", "UTF-32", "UCS", "ISO-10646")):
            raise EditRefused(f"{encoding} cannot be edited", code="encoding")
        bom = _BOM if source.startswith(_BOM) else b""
        start = _PROLOGUE.match(source, len(bom))
        assert start is not None  # it may be empty
        if source[start.end() : start.end() + 1] != b"<":
            raise EditRefused("The root element cannot be found", code="encoding")
        return cls(root, source[: start.end()], _behind(root, source), encoding)

    def to_bytes(self) -> bytes:
        """
        Return the document as it is now.

        Raises:
            EditRefused: it would not be read back as what it is.
        """
        body = serialize(self.root, self.encoding)
        source = self.before + body + self.after
        again = parse_root(source)
        if serialize(again, self.encoding) != body:
            raise EditRefused("The new document would be read as another one")
        return source


def serialize(element: etree._Element, encoding: str = "UTF-8") -> bytes:
    """Return an element as XML, without what follows it."""
    return etree.tostring(
        element, encoding=encoding, xml_declaration=False, with_tail=False
    )


def parse_root(source: bytes) -> etree._Element:
    """
    Return the root element of a document.

    Raises:
        EditRefused: (``not-well-formed``) it is no XML.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        strip_cdata=False,
        load_dtd=False,
        remove_blank_text=False,
    )
    try:
        return etree.fromstring(source, parser)
    except etree.XMLSyntaxError as error:
        raise EditRefused(f"Not well-formed: {error}", code="not-well-formed") from None


def select_xml(root: etree._Element, selector: Selector) -> list[etree._Element]:
    """
    Return the elements that match, in document order.

    Raises:
        SelectorError: the selector means nothing in XML, or costs too much (400).
    """
    elements = list(root.iter("*"))
    if selector.kind == "xpath":
        return select_xpath(selector.text, root, len(elements), _prefixes(root))
    try:
        expression = _Translator().css_to_xpath(selector.text)
    except (CssError, NotImplementedError):
        raise SelectorError(NO_MATCH) from None
    # A copy without namespaces: a type selector without prefix is a local name.
    copied = copy.deepcopy(root.getroottree()).getroot()
    copies = list(copied.iter("*"))
    for one in copies:
        one.tag = etree.QName(one).localname
    found = set(select_xpath(expression, copied, len(copies)))
    return [one for one, other in zip(elements, copies, strict=True) if other in found]


def read_xml(source: bytes, selector: Selector) -> Selection | None:
    """
    Return what ``selector`` reads; None when nothing matches.

    Raises:
        EditRefused: the document is no XML.
        SelectorError: as :func:`select_xml`.
    """
    found = tuple(
        serialize(one).strip() for one in select_xml(parse_root(source), selector)
    )
    if not found:
        return None
    content = b"\n".join(found)
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return Selection(found, content, f"f-{digest}")


def path_to(element: etree._Element) -> str:
    """Return a CSS selector that matches nothing but ``element``."""
    steps: Sequence[etree._Element] = [element, *element.iterancestors("*")]
    numbers = [
        sum(1 for _ in step.itersiblings("*", preceding=True)) + 1
        for step in steps[:-1]
    ]
    return " > ".join([":root", *(f":nth-child({one})" for one in reversed(numbers))])


def _prefixes(root: etree._Element) -> dict[str, str]:
    return {prefix: uri for prefix, uri in root.nsmap.items() if prefix}


def _behind(root: etree._Element, source: bytes) -> bytes:
    """Return what follows the root element: comments, instructions, white space."""
    end = len(source)
    for one in reversed(list(root.itersiblings(preceding=False))):
        # No comment holds the beginning of another; an instruction may.
        is_comment = isinstance(one, etree._Comment)
        opening = b"<!--" if is_comment else etree.tostring(one, with_tail=False)
        end = source.rfind(opening, 0, end)
        if end < 0:
            raise EditRefused("The end of the document cannot be found")
    return source[source.rindex(b">", 0, end) + 1 :]
