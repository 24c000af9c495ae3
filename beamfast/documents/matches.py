"""
Which of the elements that a selector matches an edit means, and what to call them.

Viewers apply an edit to the first element that its selector finds, as
``querySelector`` does. Where that is not the one that was meant, they get another
selector, a path to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from turbohtml import Element

from beamfast.documents.edit import Match, Operation
from beamfast.documents.selector import NO_MATCH
from beamfast.errors import EditConflict, NoElementMatched, SelectorError

# Of HTML, or of XML.
ElementT = TypeVar("ElementT")

#: Elements that one edit can change.
MAX_MATCHES: Final = 4096


def chosen(found: Sequence[ElementT], match: Match) -> Sequence[ElementT]:
    """
    Return which of the matches are meant; none only where that is allowed.

    Args:
        found: all matches in document order.
        match: which of them, as in an ``Operation``.

    Raises:
        NoElementMatched: there are none, or not so many.
        EditConflict: (``several-matches``) there is more than the only one.
        SelectorError: (``selector-too-complex``) there are too many.
    """
    if match == "none-ok":
        return found[:1]
    number = match if isinstance(match, int) else 1
    if len(found) < number:
        raise NoElementMatched(NO_MATCH)
    if match == "only" and len(found) > 1:
        raise EditConflict(
            f"{len(found)} elements matched the selector, not only one",
            code="several-matches",
        )
    if match != "all":
        return found[number - 1 : number]
    if len(found) > MAX_MATCHES:
        raise SelectorError(
            f"The selector matches more than {MAX_MATCHES} elements",
            status=400,
            code="selector-too-complex",
        )
    return found


def outermost(targets: Sequence[Element]) -> Sequence[Element]:
    """Return ``targets`` without those that lie inside another one."""
    known = set(targets)
    return [one for one in targets if known.isdisjoint(one.ancestors)]


def told_selector(operation: Operation, target: Element, *, is_first: bool) -> str:
    """
    Return a selector by which a browser finds ``target`` as its first match.

    Args:
        operation: what the writer sent.
        target: the element.
        is_first: it is the first match of the writer's selector.
    """
    if is_first and operation.selector.is_standard:
        return operation.selector.text
    return target.css_path()
