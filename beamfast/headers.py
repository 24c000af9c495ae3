"""
Header fields: in order as they stand on the wire, found by name.

Standard: HTTP Semantics, RFC 9110, section 5. What a field means is known to
those who use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from beamfast._fields import Fields

#: Field names and values as they stand on the wire.
RawFields = list[tuple[bytes, bytes]]
#: Values by names in lower case.
FieldIndex = dict[bytes, list[bytes]]

_WEIGHT: Final = re.compile(r";q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?);")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Headers(Fields):
    """Header fields in order, found by case-insensitive name."""

    __slots__ = ()

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self.put([_field(name, value) for name, value in fields])

    @classmethod
    def from_raw(cls, raw: RawFields, index: FieldIndex | None = None) -> Headers:
        """Wrap pairs that a parser has already checked, and perhaps sorted."""
        headers = cls.__new__(cls)
        headers.put(raw, index)
        return headers

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of ``name``."""
        value = self.first(_key(name))
        return default if value is None else value.decode("latin-1")

    def get_all(self, name: str) -> list[str]:
        """Return every value of ``name``, one per field line."""
        return [value.decode("latin-1") for value in self.values(_key(name))]

    def tokens(self, name: str) -> list[str]:
        """Return the members of a comma list, lower-cased, empty ones dropped."""
        joined = ",".join(self.get_all(name))
        return [item for part in joined.split(",") if (item := part.strip().lower())]

    def weights(self, name: str) -> dict[str, float]:
        """Return what a list prefers, each with its weight (RFC 9110, 12.4.2)."""
        found: dict[str, float] = {}
        for token in self.tokens(name):
            value, _, parameters = "".join(token.split()).partition(";")
            weight = _WEIGHT.search(f";{parameters};")
            found[value] = float(weight[1]) if weight else float("q=" not in parameters)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(_key(name))

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, value in self.raw:
            yield name.decode("latin-1"), value.decode("latin-1")

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"

    def add(self, name: str, value: str) -> None:
        """
        Append one field.

        Raises:
            ValueError: the name is no token, or the value could end the line.
        """
        self.put([*self.raw, _field(name, value)])

    def set(self, name: str, value: str) -> None:
        """Replace every field of this name by one."""
        key, field = _key(name), _field(name, value)
        if key in self.index:
            kept = [pair for pair in self.raw if pair[0].lower() != key]
            self.put([*kept, field])
        else:
            self.put([*self.raw, field])

    def update(self, fields: Headers) -> None:
        """Replace the fields that ``fields`` has by those."""
        kept = [pair for pair in self.raw if pair[0].lower() not in fields.index]
        self.put(kept + fields.raw)

    def add_token(self, name: str, token: str) -> None:
        """Make ``token`` a member of a comma list, unless it or ``*`` is one."""
        if not {token.lower(), "*"} & set(self.tokens(name)):
            self.set(name, ", ".join([*self.get_all(name), token]))

    def remove(self, name: str) -> None:
        """Drop every field of this name; none is fine."""
        key = _key(name)
        if key in self.index:
            self.put([pair for pair in self.raw if pair[0].lower() != key])


# Names come from a few literals in the code, again and again.
@lru_cache(256)
def _key(name: str) -> bytes:
    return name.lower().encode("latin-1", "replace")


@lru_cache(256)
def _checked_name(name: str) -> bytes:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"not a header name: {name!r}")
    return name.encode("ascii")


def _field(name: str, value: str) -> tuple[bytes, bytes]:
    """Return one field for the wire; ValueError if it could end its line."""
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"line end or NUL in header {name}: {value!r}")
    return _checked_name(name), value.encode("latin-1")
