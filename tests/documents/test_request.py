"""Requests: header fields in, the edit they mean or a refusal out."""

import pytest

from beamfast.documents.edit import Kind, Operation
from beamfast.documents.request import requested
from beamfast.documents.selector import Selector
from beamfast.errors import DocumentError

SELECTOR = Selector("p")


def asked(method, content=b"", **fields):
    values = {name.replace("_", "-"): value for name, value in fields.items()}

    def get_all(name):
        found = values.get(name, [])
        return found if isinstance(found, list) else [found]

    return requested(method, SELECTOR, content, get_all)


def refusal(*arguments, **fields):
    with pytest.raises(DocumentError) as caught:
        asked(*arguments, **fields)
    assert (caught.value.status, caught.value.code) == (400, "bad-operation")
    return str(caught.value)


def test_the_method_alone_replaces_appends_or_deletes():
    assert asked("PUT", b"x") == Operation(Kind.REPLACE, SELECTOR, b"x")
    assert asked("POST", b"x") == Operation(Kind.APPEND, SELECTOR, b"x")
    assert asked("DELETE") == Operation(Kind.DELETE, SELECTOR)


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("position", "kind"),
    [
        ("beforebegin", Kind.BEFORE),
        ("afterbegin", Kind.PREPEND),
        ("beforeend", Kind.APPEND),
        ("afterend", Kind.AFTER),
        ("innerHTML", Kind.INNER),
        ("outerHTML", Kind.REPLACE),
        ("textContent", Kind.TEXT),
        ("BeforeEnd", Kind.APPEND),
    ],
)
def test_a_position_says_where_the_content_goes(method, position, kind):
    assert asked(method, b"x", beam_position=position).kind is kind


def test_a_position_that_is_unknown_repeated_or_of_no_use_is_refused():
    assert refusal("PUT", beam_position="inside") == "Unknown Beam-Position"
    assert "Repeated" in refusal("PUT", beam_position=["innerHTML", "innerHTML"])
    assert "PUT and POST" in refusal("DELETE", beam_position="innerHTML")
