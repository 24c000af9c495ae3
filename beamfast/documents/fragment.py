"""
New content for a document: parsed in the place where it will stand.

Standard: the HTML fragment parsing algorithm (HTML, 13.4) with the parent of the
new nodes as context, so that ``<tr>``, ``<td>`` or ``<path/>`` keep their tags.
The *balanced* form is what that parse serializes to: it cannot leave the element
that it is put into.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import turbohtml
from turbohtml import Comment, DocumentFragment, Element, Namespace, Node

from beamfast.documents.document import MAX_ROOT_TAGS, count_root_tags
from beamfast.errors import DocumentError, EditRefused

# Comparing two elements takes quadratic time in the number of attributes.
MAX_ATTRIBUTES: Final = 256

STRUCTURAL: Final = frozenset(("html", "head", "body"))

# What a parser must have read when the new element comes.
_BEFORE: Final = {"html": "", "head": "<html>", "body": "<html><head></head>"}

_OWN_TAG: Final = {
    tag: re.compile(rf"<{tag}[\s/>]", re.IGNORECASE | re.ASCII) for tag in STRUCTURAL
}


@dataclass(frozen=True, slots=True)
class Fragment:
    """
    Content as text and as nodes.

    Attributes:
        verbatim: the text as sent; None when it must not be used, because the
            element itself is missing in it.
        balanced: what the nodes serialize to.
        nodes: parsed in their context, not yet part of the document.
        content: what viewers get; differs from ``balanced`` for ``html``,
            ``head`` and ``body``, whose own tags no fragment parse keeps.
        wrapper: element in which ``content`` survives a browser's parser.
        attributes: of the new ``html``, ``head`` or ``body``.
        root_tags: how many ``html`` and ``body`` tags the text may hold.
    """

    verbatim: str | None
    balanced: str
    nodes: Sequence[Node]
    content: str
    wrapper: str
    attributes: dict[str, str] | None = None
    root_tags: int = 0


class Told(NamedTuple):
    """What viewers get of an edit; ``content`` and so on as in a ``Fragment``."""

    content: str
    wrapper: str
    attributes: dict[str, str] | None = None


def is_structural(element: Element) -> bool:
    """Tell whether ``element`` is the ``html``, ``head`` or ``body`` of a document."""
    return element.tag in STRUCTURAL and element.namespace is Namespace.HTML


def fragment_in(content: bytes, parent: Node) -> Fragment:
    """
    Parse ``content`` as children of ``parent``.

    Raises:
        DocumentError: (400) it is not UTF-8.
        EditRefused: (``hostile-markup``) it would be too expensive.
    """
    text = text_of(content)
    tags = _guarded(text)
    holder = parse_inside(text, parent)
    _check_attributes(text, holder)
    balanced = holder.inner_html
    nodes = holder.children
    wrapper = tell(balanced, nodes, parent).wrapper
    return Fragment(text, balanced, nodes, balanced, wrapper, None, tags)


def fragment_for(content: bytes, tag: str, doctype: str = "") -> Fragment:
    """
    Parse ``content`` as a new ``html``, ``head`` or ``body``, tag optional.

    Args:
        content: HTML as UTF-8; a whole document gives the element that it has.
        tag: which of the three.
        doctype: of the document, which decides how tables in paragraphs parse.

    Raises:
        DocumentError: (400) it is not UTF-8.
        EditRefused: part of it would land in another element, or it would be too
            expensive.
    """
    text = text_of(content)
    tags = _guarded(text)
    is_whole = tag != "html" and _OWN_TAG["html"].search(text) is not None
    has_tag = _OWN_TAG[tag].search(text) is not None and not is_whole
    own = "" if has_tag or is_whole else f"<{tag}>"
    before = doctype if is_whole else doctype + _BEFORE[tag]
    tree = turbohtml.parse(f"{before}{own}{text}", allow_declarative_shadow_roots=False)
    root = tree.root
    assert root is not None
    _check_attributes(text, root)
    siblings = (tree if tag == "html" else root).children
    wanted = [node for node in siblings if _is_wanted(node, tag, is_whole)]
    elements = [node for node in wanted if isinstance(node, Element)]
    # The rest of a whole document is left out on purpose; anything else that
    # would land in another element must not vanish.
    if len(elements) != 1 or not (is_whole or _is_all_inside(root, tag)):
        raise EditRefused(f"The content does not fit into one {tag} element")
    element = elements[0]
    balanced = "".join(node.serialize() for node in wanted)
    told = _tell_structural(element, balanced, doctype)
    return Fragment(
        verbatim=text if has_tag else None,
        balanced=balanced,
        nodes=wanted,
        content=told.content,
        wrapper=told.wrapper,
        attributes=told.attributes,
        root_tags=tags + 2,
    )


def tell(balanced: str, nodes: Sequence[Node], parent: Node) -> Told:
    """
    Return what viewers get so that they make ``nodes`` of it, inside ``parent``.

    Raises:
        EditRefused: no text has these nodes there.
    """
    wrapper = wrapper_for(balanced, nodes)
    if wrapper != "div" and not _are_same(parse_inside(balanced, parent), nodes):
        raise _unstable()
    return Told(balanced, wrapper)


def tell_whole(element: Element, doctype: str) -> Told:
    """
    Return what viewers get so that they make ``element`` of it, as it is now.

    Raises:
        EditRefused: no text has this element there.
    """
    balanced = element.serialize()
    if is_structural(element):
        return _tell_structural(element, balanced, doctype)
    parent = element.parent
    assert parent is not None  # it is part of a document
    return tell(balanced, (element,), parent)


def _tell_structural(element: Element, balanced: str, doctype: str) -> Told:
    again = turbohtml.parse(
        f"{doctype}{_BEFORE[element.tag]}{balanced}",
        allow_declarative_shadow_roots=False,
    )
    if not any(found.equals(element) for found in again.find_all(element.tag)):
        raise _unstable()
    attributes = {name: element.attr(name) or "" for name in element.attrs}
    return Told(element.inner_html, "template", attributes)


def parse_inside(text: str, parent: Node) -> Element:
    """Return an element whose children are ``text``, parsed as if in ``parent``."""
    try:
        return turbohtml.parse_fragment(text, _context(parent))
    except ValueError:
        # turbohtml knows no context for elements that HTML does not define. The
        # standard treats those like any block (HTML, 13.2.6.4.7, last entry).
        return turbohtml.parse_fragment(text, "div")


def wrapper_for(balanced: str, nodes: Sequence[Node]) -> str:
    """Return ``div`` when a browser reads the same nodes in one, else ``template``."""
    read = turbohtml.parse_fragment(balanced, "div")
    return "div" if _are_same(read, nodes) else "template"


def _are_same(holder: Node, nodes: Sequence[Node]) -> bool:
    return len(holder) == len(nodes) and all(map(Node.equals, holder, nodes))


def _unstable() -> EditRefused:
    # plaintext, or a script that opens a comment with a script in it: an element
    # that no end tag closes would swallow the rest of a viewer's item.
    return EditRefused("The content has an element that nothing can close")


def _context(parent: Node) -> str:
    if isinstance(parent, DocumentFragment):
        return "template"
    assert isinstance(parent, Element)  # no edit adds children to a document
    if parent.namespace is not Namespace.HTML:
        return f"{parent.namespace.value} {parent.tag}"
    # As insertAdjacentHTML does (DOM Parsing): html parses as its body.
    return "body" if parent.tag == "html" else parent.tag


def text_of(content: bytes) -> str:
    """
    Return the text of a request body.

    Raises:
        DocumentError: (400) it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise DocumentError("Invalid request body", code="invalid-body") from None


def _guarded(text: str) -> int:
    tags = count_root_tags(text)
    if tags > MAX_ROOT_TAGS:
        raise EditRefused(
            f"More than {MAX_ROOT_TAGS} html and body tags", code="hostile-markup"
        )
    return tags


def _check_attributes(text: str, holder: Element) -> None:
    # An attribute takes two characters at least.
    if len(text) <= 2 * MAX_ATTRIBUTES:
        return
    for element in holder.iter_elements(include_self=True):
        if len(element.attrs) > MAX_ATTRIBUTES:
            raise EditRefused(
                f"More than {MAX_ATTRIBUTES} attributes on one element",
                code="hostile-markup",
            )


def _is_wanted(node: Node, tag: str, is_whole: bool) -> bool:
    if isinstance(node, Element):
        return node.tag == tag
    # Comments beside the element are part of the content, as for any element.
    return isinstance(node, Comment) and not is_whole


def _is_all_inside(root: Element, tag: str) -> bool:
    if tag == "html":
        return True
    return not len(root.attrs) and not any(
        len(other) or len(other.attrs)
        for other in root.children
        if isinstance(other, Element) and other.tag != tag
    )
