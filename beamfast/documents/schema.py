"""
What items of Rusty Beam's vocabulary may say: schemas, their pages, and validation.

A schema lists properties with a type and a cardinal; what it says of its parent holds
too. The pages are HTML with microdata, so that programs can read them back.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from beamfast.documents.microdata import Item, items_of, kind_of

VOCABULARY: Final = "https://rustybeam.net/schema/"

_SCHEME: Final = re.compile(
    r"(?:https?|ftp|file|wss?)://\S+|(?:mailto|data|tel):\S+", re.IGNORECASE
)
_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BOOLEAN: Final = re.compile("true|false|1|0|yes|no|on|off", re.IGNORECASE)
_PERMISSION: Final = re.compile("allow|deny", re.IGNORECASE)
_CARDINAL: Final = re.compile(r"1|0\.\.1|0\.\.n|1\.\.n")

#: Types of values, and what each has to look like.
TYPES: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {
        "Text": lambda text: True,
        "Number": _NUMBER.fullmatch,
        "Boolean": _BOOLEAN.fullmatch,
        "URL": _SCHEME.fullmatch,
        "DateTime": _DATE.fullmatch,
        "Cardinal": _CARDINAL.fullmatch,
        "Permission": _PERMISSION.fullmatch,
    }
)


@dataclass(frozen=True, slots=True)
class PropertySchema:
    """
    One property of a schema.

    Attributes:
        name: as written in ``itemprop``.
        type: one of :data:`TYPES`, or the name of a schema.
        cardinality: ``1``, ``0..1``, ``0..n`` or ``1..n``.
        description: for people.
        aliases: further names, which count for the same.
    """

    name: str
    type: str = "Text"
    cardinality: str = "0..1"
    description: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """
    What one kind of item may say.

    Attributes:
        name: last part of its URL.
        description: for people.
        properties: its own, in order.
        parent: name of the schema whose properties hold as well; empty for none.
    """

    name: str
    description: str = ""
    properties: tuple[PropertySchema, ...] = ()
    parent: str = ""

    @property
    def url(self) -> str:
        """What ``itemtype`` says."""
        return f"{VOCABULARY}{self.name}"


@dataclass(frozen=True, slots=True)
class Problem:
    """
    What is wrong with an item.

    Attributes:
        line: where, from 1.
        text: what.
    """

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


def all_properties(
    schema: Schema, known: Mapping[str, Schema]
) -> tuple[PropertySchema, ...]:
    """Return the properties of a schema and of all its parents, theirs first."""
    chain = [schema]
    while (parent := known.get(chain[-1].parent)) is not None and parent not in chain:
        chain.append(parent)
    return tuple(one for part in reversed(chain) for one in part.properties)


def validate(item: Item, schema: Schema, known: Mapping[str, Schema]) -> list[Problem]:
    """
    Return what an item says too often, too seldom, or not as its type has it.

    Args:
        item: of the kind that ``schema`` is about.
        schema: what counts.
        known: the schemas that it may inherit from, by name.
    """
    problems = []
    for expected in all_properties(schema, known):
        names = (expected.name, *expected.aliases)
        found = [one for one in item.properties if one.name in names]
        cardinality = expected.cardinality
        if not found and cardinality in ("1", "1..n"):
            text = f"{schema.name} without {expected.name}"
            problems.append(Problem(item.line, text))
        problems += [
            Problem(extra.line, f"{expected.name} more than once")
            for extra in found[1:]
            if cardinality in ("1", "0..1")
        ]
        looks_right = TYPES.get(expected.type)
        problems += [
            Problem(one.line, f"{expected.name}: {one.value!r} is no {expected.type}")
            for one in found
            if looks_right is not None
            and isinstance(one.value, str)
            and one.value
            and not looks_right(one.value)
        ]
    return problems


def validate_page(text: str, known: Mapping[str, Schema]) -> list[Problem]:
    """Return what is wrong with the items of a page; other kinds are passed over."""
    return [
        problem
        for item in items_of(text)
        if (schema := known.get(item.kind())) is not None
        for problem in validate(item, schema, known)
    ]


def schema_page(schema: Schema) -> str:
    """Return the page of a schema, for people and for :func:`read_schema`."""
    rows = "".join(map(_row, schema.properties))
    parent = ""
    if schema.parent:
        url = html.escape(VOCABULARY + schema.parent)
        parent = (
            f'<p>Everything of <a itemprop="parent" href="{url}">{schema.parent}</a> '
            "holds as well.</p>\n"
        )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{schema.name}</title>\n</head>\n"
        f'<body itemscope itemtype="{VOCABULARY}Schema">\n'
        f'<h1 itemprop="name">{schema.name}</h1>\n'
        f'<p><code itemprop="id">{schema.url}</code></p>\n'
        f'<p itemprop="description">{html.escape(schema.description)}</p>\n{parent}'
        "<table>\n<tr><th>Property<th>Type<th>Cardinality<th>Required<th>Description\n"
        f"{rows}</table>\n</body>\n</html>\n"
    )


def _row(one: PropertySchema) -> str:
    required = "true" if one.cardinality in ("1", "1..n") else "false"
    url = html.escape(VOCABULARY + one.type)
    return (
        f'<tr itemprop="property" itemscope itemtype="{VOCABULARY}Property">'
        f'<td itemprop="name">{html.escape(one.name)}'
        f'<td><a itemprop="type" href="{url}">{html.escape(one.type)}</a>'
        f'<td itemprop="cardinality">{one.cardinality}'
        f'<td itemprop="required">{required}'
        f'<td itemprop="description">{html.escape(one.description)}\n'
    )


def read_schema(text: str) -> Schema | None:
    """
    Return the schema that a page describes, or None when it describes none.

    The body may have the type of the meta schema or the schema's own URL.
    """
    for item in items_of(text):
        rows = item.items("property")
        name = item.get("name")
        if not name or not (rows or item.kind() == "Schema"):
            continue
        properties = tuple(
            PropertySchema(
                row.get("name"),
                kind_of(row.get("type")) or row.get("type") or "Text",
                row.get("cardinality") or "0..1",
                row.get("description"),
            )
            for row in rows
        )
        return Schema(
            name, item.get("description"), properties, kind_of(item.get("parent"))
        )
    return None
