"""
XPath 1.0 on the lxml tree of a document: the language of ``Range: xpath=...``.

Only elements count as results. There are no variables and no functions beyond those
of the standard, so that an expression reads nothing but the document. Prefixes
``svg``, ``math``, ``xlink`` and ``xhtml`` are known.

Nothing can interrupt libxml2, so what an expression may cost is estimated before it
is evaluated: each predicate that walks far multiplies the work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lxml import etree

from beamfast.errors import SelectorError

#: Steps that an expression may take, about; a second of work and hardly more.
MAX_STEPS: Final = 50_000_000
#: Levels that a predicate about ancestors or about text visits for one node, about.
DEPTH: Final = 64
#: Predicates inside predicates.
MAX_NESTING: Final = 8

_NAMESPACES: Final = {
    "svg": "http://www.w3.org/2000/svg",
    "math": "http://www.w3.org/1998/Math/MathML",
    "xlink": "http://www.w3.org/1999/xlink",
    "xhtml": "http://www.w3.org/1999/xhtml",
}
# XPath 1.0, 4, and the node tests of 2.3, which look alike.
_FUNCTIONS: Final = frozenset(
    (
        *("last", "position", "count", "id", "local-name", "namespace-uri", "name"),
        *("string", "concat", "starts-with", "contains", "substring-before"),
        *("substring-after", "substring", "string-length", "normalize-space"),
        *("translate", "boolean", "not", "true", "false", "lang", "number", "sum"),
        *("floor", "ceiling", "round", "comment", "text", "node"),
        *("processing-instruction", "or", "and", "div", "mod"),
    )
)
_TOKEN: Final = re.compile(
    r"""
      (?P<literal> "[^"]*" | '[^']*' )
    | (?P<open> \[ )
    | (?P<close> \] )
    | (?P<variable> \$ )
    | (?P<far> // | (?:descendant|following|preceding)(?:-or-self|-sibling)?\s*:: )
    | (?P<up> ancestor(?:-or-self)?\s*:: | (?<![\w.-])\.(?![\w.]) )
    | (?P<call> [\w.-]+(?::[\w.-]+)? (?=\s*\() )
    | (?P<name> [\w.-]+ )
    | (?P<slash> / )
    """,
    re.VERBOSE,
)


def check_xpath(text: str) -> None:
    """
    Refuse what is no XPath 1.0 expression about the document alone.

    Raises:
        SelectorError: it is invalid, or nested too deeply (400).
    """
    depth = 0
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "variable":
                raise SelectorError("XPath variables are not available")
            case "call" if token[0] not in _FUNCTIONS:
                raise SelectorError(f"There is no XPath function {token[0]}")
        if depth > MAX_NESTING:
            raise _too_complex()
    _compiled(text)


def select_xpath(
    text: str,
    tree: etree._Element,
    count: int,
    prefixes: Mapping[str, str] | None = None,
) -> list[etree._Element]:
    """
    Return the elements that an expression selects, in document order.

    Args:
        text: a checked expression.
        tree: root element of the document.
        count: of its elements, on which the cost depends.
        prefixes: namespaces beyond those that are always known.

    Raises:
        SelectorError: it selects something other than nodes, names an unknown
            prefix, or would cost too much (400).
    """
    if _steps(text, count) > MAX_STEPS:
        raise _too_complex()
    try:
        found = _compiled(text, prefixes)(tree.getroottree())
    except etree.XPathError:
        raise SelectorError("The XPath expression cannot be evaluated") from None
    if not isinstance(found, list):
        raise SelectorError("The XPath expression selects no elements")
    return [
        node
        for node in found
        # Comments and processing instructions have a function for a tag.
        if isinstance(node, etree._Element) and isinstance(node.tag, str)
    ]


def _compiled(text: str, prefixes: Mapping[str, str] | None = None) -> etree.XPath:
    try:
        return etree.XPath(
            text,
            namespaces={**_NAMESPACES, **(prefixes or {})},
            regexp=False,
            smart_strings=False,
        )
    except (etree.XPathError, ValueError):
        raise SelectorError("The XPath expression is not valid") from None


def _steps(text: str, count: int) -> int:
    """Estimate the work: what one node costs in each predicate, multiplied."""
    # Of each open predicate the dearest walk counts; those beside it only add up.
    factors = [1]
    worst = 1
    far = 0
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                factors.append(1)
            case "close" if len(factors) > 1:
                factors.pop()
            case "far":
                far += 1
                factors[-1] = max(factors[-1], count)
            case "up" if len(factors) > 1:
                factors[-1] = max(factors[-1], DEPTH)
            case "slash" if len(factors) > 1 and _is_root(text, token.start()):
                factors[-1] = max(factors[-1], count)
        product = 1
        for factor in factors:
            product *= factor
        worst = max(worst, product)
    # A step from many nodes meets what they share more than once.
    return worst * max(1, far) + count


def _is_root(text: str, place: int) -> bool:
    before = text[:place].rstrip()[-1:]
    return not (before.isalnum() or before in tuple("_-.)]*"))


def _too_complex() -> SelectorError:
    return SelectorError(
        "The XPath expression is too complex for this document",
        status=400,
        code="selector-too-complex",
    )
