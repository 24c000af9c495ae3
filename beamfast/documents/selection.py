"""
What a selector reads from a document: the bytes of its matches, and their tag.

The tag is an entity tag (RFC 9110, 8.8.3) of what one selector reads, so a change
anywhere else in the document leaves it as it was. Its ``f-`` keeps it apart from
the versions of whole documents.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from beamfast.documents.document import Document
from beamfast.documents.selector import Selector


@dataclass(frozen=True, slots=True)
class Selection:
    """
    All matches of one selector.

    Attributes:
        elements: in document order, as they stand in the file.
        content: the same, one per line.
        tag: opaque tag of ``content``, without quotes.
    """

    elements: tuple[bytes, ...]
    content: bytes
    tag: str


def read_selection(
    document: Document, selector: Selector, *, template_scope: bool = False
) -> Selection | None:
    """
    Return what ``selector`` reads; None when nothing matches.

    Raises:
        EditRefused: the document cannot be selected from.
    """
    elements = document.select(selector, template_scope=template_scope)
    if not elements:
        return None
    found = tuple(document.element_bytes(one).rstrip() for one in elements)
    content = b"\n".join(found)
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return Selection(found, content, f"f-{digest}")
