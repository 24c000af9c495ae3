"""Items against their schemas: what is missing, repeated, or of another type."""

import pytest

from beamfast.documents.microdata import items_of
from beamfast.documents.schema import (
    TYPES,
    PropertySchema,
    Schema,
    all_properties,
    read_schema,
    schema_page,
    validate,
    validate_page,
)

THING = Schema(
    "Thing",
    "A <thing>.",
    (
        PropertySchema("one", "Text", "1", "needed & once"),
        PropertySchema("maybe", "Number", "0..1"),
        PropertySchema("some", "Text", "1..n", "", ("more",)),
        PropertySchema("any", "Boolean", "0..n"),
    ),
)
CHILD = Schema("Child", "", (PropertySchema("own", "URL", "1"),), "Thing")
KNOWN = {schema.name: schema for schema in (THING, CHILD)}


def problems(schema: Schema, *properties: tuple[str, str]) -> list[str]:
    rows = "\n".join(f"<b itemprop='{name}'>{value}</b>" for name, value in properties)
    text = f"<div itemscope itemtype='{schema.url}'>\n{rows}</div>"
    return list(map(str, validate_page(text, KNOWN)))


GOOD = [("one", "x"), ("some", "y")]


def test_an_item_that_says_enough_is_fine():
    assert problems(THING, *GOOD) == []
    assert problems(THING, *GOOD, ("maybe", "1"), ("any", "on"), ("any", "No")) == []


def test_a_missing_repeated_or_wrong_property_is_told_with_its_line():
    assert problems(THING, ("some", "y")) == ["line 1: Thing without one"]
    assert problems(THING, ("one", "x")) == ["line 1: Thing without some"]
    assert problems(THING, *GOOD, ("one", "z")) == ["line 4: one more than once"]
    assert problems(THING, *GOOD, ("maybe", "1"), ("maybe", "2")) == [
        "line 5: maybe more than once"
    ]
    assert problems(THING, *GOOD, ("maybe", "many")) == [
        "line 4: maybe: 'many' is no Number"
    ]


def test_another_name_of_a_property_counts_for_it():
    assert problems(THING, ("one", "x"), ("more", "y")) == []


def test_what_the_parent_says_holds_as_well():
    assert problems(CHILD, ("own", "https://a.example/")) == [
        "line 1: Child without one",
        "line 1: Child without some",
    ]
    names = [one.name for one in all_properties(CHILD, KNOWN)]
    assert names == ["one", "maybe", "some", "any", "own"]


def test_schemas_that_are_each_others_parents_end():
    one, other = Schema("A", parent="B"), Schema("B", parent="A")
    assert all_properties(one, {"A": one, "B": other}) == ()


def test_an_item_inside_counts_and_an_empty_value_has_no_type():
    text = (
        f"<div itemscope itemtype='{THING.url}'><p itemprop=one itemscope>"
        "<b itemprop=x>y</b></p><b itemprop=some></b><b itemprop=maybe></b></div>"
    )
    [item, _] = items_of(text)
    assert validate(item, THING, KNOWN) == []


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("Text", ["", "anything"], []),
        ("Number", ["0", "-1.5", "2e10"], ["01", "1.", "one", ".5"]),
        ("Boolean", ["TRUE", "off", "1"], ["2", "maybe"]),
        (
            "URL",
            ["https://a.example", "mailto:a@b.example", "WS://x"],
            ["/a", "ssh://a"],
        ),
        ("DateTime", ["2026-01-31", "2026-01-31T10:00:00.5Z"], ["yesterday", "2026"]),
        ("Cardinal", ["1", "0..1", "0..n", "1..n"], ["2", "n"]),
        ("Permission", ["allow", "DENY"], ["maybe"]),
    ],
)
def test_values_of_each_type(kind, good, bad):
    assert all(TYPES[kind](text) for text in good)
    assert not any(TYPES[kind](text) for text in bad)


@pytest.mark.parametrize("schema", [THING, CHILD], ids=lambda schema: schema.name)
def test_a_page_is_read_back(schema):
    found = read_schema(schema_page(schema))
    assert (found.name, found.description, found.parent) == (
        schema.name,
        schema.description,
        schema.parent,
    )
    assert [
        (p.name, p.type, p.cardinality, p.description) for p in found.properties
    ] == [(p.name, p.type, p.cardinality, p.description) for p in schema.properties]


def test_a_page_whose_body_has_the_url_of_its_own_schema_is_read_too():
    page = schema_page(THING).replace("schema/Schema", "schema/Thing", 1)
    assert read_schema(page).name == "Thing"


def test_another_page_describes_no_schema():
    assert read_schema("<p itemscope><b itemprop=name>x</b>") is None
