"""
One file at one version: its bytes, its text, its tree.

A :class:`Document` never changes. Text and trees are made when first needed and
may be dropped again; the bytes stay. The HTML tree is the one that counts; the lxml
tree is a copy of it for plugins and for XPath.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Final

import turbohtml
from lxml import etree

from beamfast.documents.charset import Codec, decode
from beamfast.documents.selector import Selector, is_in_template
from beamfast.documents.selector_cost import Shape, shape_of, weight_of
from beamfast.documents.spans import SourceText, ends_of, start_of
from beamfast.documents.text_test import mark, split_tests
from beamfast.documents.xpath import select_xpath
from beamfast.entry import Splice, Version, spliced
from beamfast.errors import EditRefused

# Repeated <body> and <html> start tags merge their attributes at quadratic cost
# in time and memory: 20,000 of them take the parser 14 seconds.
MAX_ROOT_TAGS: Final = 64
_ROOT_TAG: Final = re.compile("<(?:body|html)", re.IGNORECASE | re.ASCII)

# A tree with source positions holds eleven times the bytes of its source, one of
# lxml nineteen times.
TREE_COST: Final = 11
COPY_COST: Final = 19

# Characters that HTML may hold and XML may not (XML 1.0, 2.2).
_NOT_XML: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def count_root_tags(text: str) -> int:
    """Return how many ``html`` and ``body`` start tags ``text`` may hold."""
    return len(_ROOT_TAG.findall(text))


def _count(tree: turbohtml.Document) -> int:
    return sum(1 for _ in tree.iter_elements())


class Document:
    """
    An immutable snapshot of one HTML file.

    Attributes:
        source: the bytes of the file.
    """

    __slots__ = (
        *("_charset", "_copy", "_root_tags", "_shape", "_text", "_tree", "_version"),
        "source",
    )

    def __init__(
        self,
        source: bytes,
        version: Version | None = None,
        *,
        charset: str | None = None,
    ) -> None:
        self.source: bytes = source
        self._version = version
        self._charset = charset
        self._text: SourceText | None = None
        self._tree: turbohtml.Document | None = None
        self._copy: etree._Element | None = None
        self._shape: Shape | None = None
        # Upper bound; None means not counted.
        self._root_tags: int | None = None

    def __repr__(self) -> str:
        return f"<Document {self.version} {self.size} bytes>"

    @property
    def version(self) -> Version:
        """Version of the snapshot; revision 0 when none was given."""
        if self._version is None:
            self._version = Version.of_file(self.source)
        return self._version

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.source)

    @property
    def cost(self) -> int:
        """Bytes of memory that the snapshot holds, about."""
        trees = TREE_COST * (self._tree is not None)
        return self.size * (1 + trees + COPY_COST * (self._copy is not None))

    @property
    def codec(self) -> Codec:
        """
        How the bytes are text.

        Raises:
            EditRefused: (``encoding``) they are not, in a way that can be undone.
        """
        return self.text.codec

    @property
    def text(self) -> SourceText:
        """
        The text, with the way back to the bytes.

        Raises:
            EditRefused: (``encoding``) as for ``codec``.
        """
        if self._text is None:
            codec, decoded = decode(self.source, self._charset)
            self._text = SourceText(decoded, codec)
        return self._text

    @property
    def html(self) -> turbohtml.Document:
        """
        The HTML tree; read it, never change it.

        Raises:
            EditRefused: (``encoding``, ``hostile-markup``) there cannot be one.
        """
        if self._tree is None:
            self._tree = self._parse(source_locations=True)
        return self._tree

    def _parse(self, *, source_locations: bool) -> turbohtml.Document:
        text = self.text.text
        if self._root_tags is None or self._root_tags > MAX_ROOT_TAGS:
            self._root_tags = count_root_tags(text)
        if self._root_tags > MAX_ROOT_TAGS:
            raise EditRefused(
                f"More than {MAX_ROOT_TAGS} html and body tags", code="hostile-markup"
            )
        return turbohtml.parse(
            text,
            source_locations=source_locations,
            allow_declarative_shadow_roots=False,
        )

    @property
    def tree(self) -> etree._Element:
        """
        The root element of an lxml tree, for plugins; read it, never change it.

        It has the same elements as ``html``, in the same order; those of SVG and
        MathML in their namespaces, HTML ones in none. Attributes whose names XML
        does not allow, such as ``@click``, are missing.

        Raises:
            EditRefused: as for ``html``; and (``no-xml-tree``) when a tag has a name
                that no XML element can have.
        """
        if self._copy is None:
            tree = self.html
            parser = etree.XMLParser(
                recover=True, huge_tree=True, resolve_entities=False, no_network=True
            )
            text = _NOT_XML.sub("\ufffd", tree.inner_xml)
            copy = etree.fromstring(text.encode(), parser)
            if copy is None or sum(1 for _ in copy.iter("*")) != _count(tree):
                raise EditRefused(
                    "A tag has a name that is none in XML", code="no-xml-tree"
                )
            self._copy = copy
        return self._copy

    @property
    def has_tree(self) -> bool:
        """True while the tree is alive."""
        return self._tree is not None

    def take_tree(self) -> turbohtml.Document:
        """Return the tree to someone who will change it; this keeps none."""
        tree = self.html
        self._tree = self._copy = None
        return tree

    def drop_tree(self) -> None:
        """Free everything but the bytes."""
        self._tree = self._text = self._copy = None

    def select(
        self, selector: Selector, *, template_scope: bool = False
    ) -> list[turbohtml.Element]:
        """
        Return the elements that match, in document order.

        Raises:
            EditRefused: as for ``html``, and for XPath as for ``tree``.
            SelectorError: an XPath expression cannot be evaluated, or the selector
                would take unreasonably long on this document (400).
        """
        copies: Sequence[object]
        found: set[object]
        if selector.kind == "xpath":
            copies = list(self.tree.iter("*"))
            found = set(select_xpath(selector.text, self.tree, len(copies)))
        elif selector.has_tests:
            self._check_cost(selector)
            copies, found = self._select_by_text(selector.text)
        else:
            self._check_cost(selector)
            return selector.select(self.html, template_scope=template_scope)
        # The n-th element of the one tree is the n-th element of the other.
        return [
            element
            for element, copy in zip(self.html.iter_elements(), copies, strict=True)
            if copy in found and (template_scope or not is_in_template(element))
        ]

    def _check_cost(self, selector: Selector) -> None:
        """Refuse a selector that would take unreasonably long on this document."""
        weight = weight_of(selector.text)
        if any(weight):
            if self._shape is None:
                self._shape = shape_of(self.html)
            weight.check(self._shape)

    def _select_by_text(self, css: str) -> tuple[list[object], set[object]]:
        """Return all elements of a copy of the tree, and those that match."""
        # A name that no document was written with.
        name = f"beamfast-{secrets.token_hex(8)}-"
        css, tests = split_tests(css, name)
        tree = self._parse(source_locations=False)
        mark(tree, tests, name)
        return list(tree.iter_elements()), set(tree.select(css))

    def element_bytes(self, element: turbohtml.Element) -> bytes:
        """Return the bytes of an element that ``select`` returned."""
        text = self.text
        start = start_of(element, text.text)
        if start is None:
            # A clone that the parser made for misnested markup has no bytes.
            return text.codec.encode_content(element.serialize())
        end = next(ends_of(element, text.text))
        return self.source[text.byte_offset(start) : text.byte_offset(end)]

    def spliced(self, splices: Sequence[Splice], tags: int) -> Document:
        """
        Return the document with ``splices`` applied, unversioned.

        Args:
            splices: in ascending order of offset, not overlapping.
            tags: upper bound of the ``html`` and ``body`` tags inserted.
        """
        after = Document(spliced(self.source, splices), charset=self._charset)
        if self._root_tags is not None:
            # Two more can form where the pieces meet. A bound over the limit is
            # counted anew, so nothing is refused for a wrong guess.
            after._root_tags = self._root_tags + tags + 2 * len(splices)
        return after

    def with_version(self, version: Version) -> Document:
        """Return the same bytes at ``version``, sharing text and tree."""
        other = Document(self.source, version, charset=self._charset)
        other._text, other._tree, other._copy = self._text, self._tree, self._copy
        other._root_tags, other._shape = self._root_tags, self._shape
        return other
