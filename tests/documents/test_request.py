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
def test_a_position_says_where_the_content_goes(position, kind):
    assert asked("PUT", b"x", beam_position=position).kind is kind


def test_post_only_adds_inside_the_element():
    assert asked("POST", b"x", beam_position="afterbegin").kind is Kind.PREPEND
    assert asked("POST", b"x", beam_position="beforeend").kind is Kind.APPEND
    for position in (
        "beforebegin",
        "afterend",
        "innerHTML",
        "outerHTML",
        "textContent",
    ):
        assert "need PUT" in refusal("POST", b"x", beam_position=position)


def test_a_position_that_is_unknown_repeated_or_of_no_use_is_refused():
    assert refusal("PUT", beam_position="inside") == "Unknown Beam-Position"
    assert "Repeated" in refusal("PUT", beam_position=["innerHTML", "innerHTML"])
    assert "PUT and POST" in refusal("DELETE", beam_position="innerHTML")


def test_an_attribute_is_set_by_put_and_removed_by_delete():
    assert asked("PUT", b"v", beam_attribute="data-x") == Operation(
        Kind.SET_ATTRIBUTE, SELECTOR, b"v", name="data-x"
    )
    assert asked("DELETE", beam_attribute="@click.once") == Operation(
        Kind.REMOVE_ATTRIBUTE, SELECTOR, name="@click.once"
    )
    assert "PUT and DELETE" in refusal("POST", b"v", beam_attribute="a")


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a>", "a/", "'", '"', "a<", "\xe9"])
def test_what_no_tag_can_name_is_no_attribute(name):
    assert "no name" in refusal("PUT", b"v", beam_attribute=name)


@pytest.mark.parametrize(
    ("value", "kind", "token"),
    [
        ("add k", Kind.ADD_CLASS, "k"),
        ("remove  w-1/2 ", Kind.REMOVE_CLASS, "w-1/2"),
        ("Toggle md:hover", Kind.TOGGLE_CLASS, "md:hover"),
    ],
)
def test_a_class_is_added_removed_or_toggled(value, kind, token):
    operation = asked("PUT", beam_class=value)
    assert (operation.kind, operation.name) == (kind, token)


@pytest.mark.parametrize(
    "value", ["", "k", "add", "add ", "add a b", "set k", "add \xe9"]
)
def test_anything_else_about_classes_is_refused(value):
    assert "one class" in refusal("PUT", beam_class=value)
    assert "without a body" in refusal("PUT", b"x", beam_class="add k")
    for method in ("POST", "DELETE"):
        assert "for PUT" in refusal(method, beam_class="add k")


def test_only_one_of_the_fields_can_be_meant():
    assert "Only one" in refusal("PUT", beam_class="add k", beam_attribute="a")
    assert "Only one" in refusal("PUT", beam_position="innerHTML", beam_attribute="a")
