"""
What a request asks to be done to the element that its ``Range`` selects.

The method alone means replace, append or delete. ``Beam-Position`` says where the
content goes instead, in the words of ``insertAdjacentHTML`` and of the setters of
the DOM; ``Beam-Attribute`` and ``Beam-Class`` say that an attribute is meant, and
``Beam-Match`` which of the matches.
Whatever is not understood is refused: a write must never do something else than
its writer meant. Nor may it do more than its method: authorization rules know
methods, so POST only ever adds, inside the element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from beamfast.documents.change import operation_for
from beamfast.documents.edit import Kind, Match, Operation
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
_CLASS_VERBS: Final = {
    "add": Kind.ADD_CLASS,
    "remove": Kind.REMOVE_CLASS,
    "toggle": Kind.TOGGLE_CLASS,
}
# Header fields are visible ASCII; of that, what HTML allows (HTML, 13.1.2.3).
_ATTRIBUTE: Final = re.compile(r"[!#-&(-.0-;?-~]+")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}")
_TOKEN: Final = re.compile(r"[!-~]+")


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
        get_all: returns the values of all header fields of a name. The body is
            markup; beside ``Beam-Position`` the type ``text/plain`` makes it text.
        template_scope: the selector also enters ``template`` elements.

    Raises:
        DocumentError: (``bad-operation``) the header fields ask for nothing that
            can be done.
    """
    position = _only("Beam-Position", get_all)
    attribute = _only("Beam-Attribute", get_all)
    classes = _only("Beam-Class", get_all)
    if [position, attribute, classes].count(None) < 2:
        raise _bad("Only one of Beam-Position, Beam-Attribute and Beam-Class")
    kind, name = operation_for(method), ""
    if position is not None:
        kind = _kind_at(method, position)
    elif attribute is not None:
        kind, name = _kind_of_attribute(method, attribute), attribute
    elif classes is not None:
        kind, name = _kind_of_class(method, classes, content)
    dedupe = _only("Beam-Dedupe", get_all)
    if dedupe is not None and (
        dedupe.lower() != "id"
        or method != "PUT"
        or kind not in (Kind.PREPEND, Kind.APPEND)
    ):
        # What it does away with is more than POST may do.
        raise _bad("Beam-Dedupe is id, for PUT inside the element")
    return Operation(
        kind,
        selector,
        content,
        template_scope,
        name,
        match=_match(_only("Beam-Match", get_all)),
        # Of a string that a page hands to fetch() browsers say the same, and mean
        # nothing by it.
        is_text=position is not None and _is_plain_text(get_all("content-type")),
        dedupe=dedupe is not None,
    )


def _match(value: str | None) -> Match:
    match (value or "first").lower():
        case "first" | "all" | "only" | "none-ok" as word:
            return word
        case number if _NUMBER.fullmatch(number):
            return int(number)
    raise _bad("Beam-Match is first, all, only, none-ok or a number from 1")


def _is_plain_text(types: Sequence[str]) -> bool:
    return bool(types) and types[0].partition(";")[0].strip().lower() == "text/plain"


def _kind_at(method: str, position: str) -> Kind:
    if method == "DELETE":
        raise _bad("Beam-Position is for PUT and POST")
    kind = _POSITIONS.get(position.lower())
    if kind is None:
        raise _bad("Unknown Beam-Position")
    if method == "POST" and kind not in (Kind.PREPEND, Kind.APPEND):
        # Who may only add to an element must not get to replace it by a header
        # field that no authorization rule looks at, nor to write beside it.
        raise _bad("POST adds inside the element; other positions need PUT")
    return kind


def _kind_of_attribute(method: str, name: str) -> Kind:
    if method == "POST":
        raise _bad("Beam-Attribute is for PUT and DELETE")
    if not is_attribute_name(name):
        raise _bad("Beam-Attribute is no name of an attribute")
    return Kind.SET_ATTRIBUTE if method == "PUT" else Kind.REMOVE_ATTRIBUTE


def _kind_of_class(method: str, value: str, content: bytes) -> tuple[Kind, str]:
    if method != "PUT" or content:
        raise _bad("Beam-Class is for PUT without a body")
    return class_change(value)


def enters_templates(get_all: Callable[[str], Sequence[str]]) -> bool:
    """Tell whether the selector also means the content of ``template`` elements."""
    return any(value.strip().lower() == "template" for value in get_all("beam-scope"))


def class_change(value: str) -> tuple[Kind, str]:
    """
    Read ``add``, ``remove`` or ``toggle``, and a class.

    Raises:
        DocumentError: (``bad-operation``) it is something else.
    """
    verb, _, token = value.strip().partition(" ")
    token = token.strip()
    if verb.lower() not in _CLASS_VERBS or not _TOKEN.fullmatch(token):
        raise _bad("A change of classes is add, remove or toggle, and one class")
    return _CLASS_VERBS[verb.lower()], token


def is_attribute_name(name: str) -> bool:
    """Tell whether ``name`` may be set by its name alone."""
    return _ATTRIBUTE.fullmatch(name) is not None


def _only(name: str, get_all: Callable[[str], Sequence[str]]) -> str | None:
    values = get_all(name.lower())
    if len(values) > 1:
        raise _bad(f"Repeated {name} field")
    return values[0].strip() if values else None


def _bad(reason: str) -> DocumentError:
    return DocumentError(reason, code="bad-operation")
