"""
What a request asks to be done to the element that its ``Range`` selects.

The method alone means replace, append or delete. ``Beam-Position`` says where the
content goes instead, in the words of ``insertAdjacentHTML`` and of the setters of
the DOM. Whatever is not understood is refused: a write must never do something
else than its writer meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from beamfast.documents.change import operation_for
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.errors import DocumentError

# As in a browser, case does not matter (HTML, 8.5.6).
_POSITIONS: Final = {
    "beforebegin": Kind.BEFORE,
    "afterbegin": Kind.PREPEND,
    "beforeend": Kind.APPEND,
    "afterend": Kind.AFTER,
    "innerhtml": Kind.INNER,
    "outerhtml": Kind.REPLACE,
    "textcontent": Kind.TEXT,
}


def requested(
    method: str,
    selector: Selector,
    content: bytes,
    get_all: Callable[[str], Sequence[str]],
    *,
    template_scope: bool = False,
) -> Operation:
    """
    Return the edit that a request asks for.

    Args:
        method: ``PUT``, ``POST`` or ``DELETE``.
        selector: of the element.
        content: body of the request.
        get_all: returns the values of all header fields of a name.
        template_scope: the selector also enters ``template`` elements.

    Raises:
        DocumentError: (``bad-operation``) the header fields ask for nothing that
            can be done.
    """
    kind = operation_for(method)
    position = _only("Beam-Position", get_all)
    if position is not None:
        if kind is Kind.DELETE:
            raise _bad("Beam-Position is for PUT and POST")
        try:
            kind = _POSITIONS[position.lower()]
        except KeyError:
            raise _bad("Unknown Beam-Position") from None
    return Operation(kind, selector, content, template_scope)


def _only(name: str, get_all: Callable[[str], Sequence[str]]) -> str | None:
    values = get_all(name.lower())
    if len(values) > 1:
        raise _bad(f"Repeated {name} field")
    return values[0].strip() if values else None


def _bad(reason: str) -> DocumentError:
    return DocumentError(reason, code="bad-operation")
