"""
From texts in a configuration to the typed options of a plugin or host.

Names match whatever their case and without ``-`` and ``_``, then by aliases.
Each value is converted on its own by the type of its field, so that one look
reports every mistake.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


#: A TCP port.
Port = Annotated[int, "port"]
#: A number of bytes; texts may end with KiB, MiB or GiB.
Size = Annotated[int, "size"]
#: Permission bits, written in octal.
Octal = Annotated[int, "octal"]


def normal_name(name: str) -> str:
    """Return what names are compared by."""
    return name.lower().replace("-", "").replace("_", "")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for a name that nobody knows, or nothing."""
    by_normal = {normal_name(one): one for one in known}
    found = difflib.get_close_matches(normal_name(name), by_normal, n=1)
    return f"; did you mean {by_normal[found[0]]}?" if found else ""


def convert(
    options_type: type[Any],
    texts: Mapping[str, list[str]],
    aliases: Mapping[str, str] = types.MappingProxyType({}),
) -> tuple[dict[str, object], dict[str, str]]:
    """
    Convert the texts of a configuration to keyword arguments.

    A field of type ``Mapping[str, str]`` takes every name that begins with its own;
    what follows is the key: ``error_page_404`` sets ``404`` in ``error_page``.

    Args:
        options_type: a dataclass; its field types decide.
        texts: values by name, as written; a repeated name has several.
        aliases: further names, each with the field it stands for.

    Returns:
        the arguments; and for each name that cannot be used, why.
    """
    hints = get_type_hints(options_type, include_extras=True)
    known = {normal_name(one.name): one.name for one in fields(options_type)}
    secret = {one.name for one in fields(options_type) if is_secret(one)}
    for alias, name in aliases.items():
        known.setdefault(normal_name(alias), name)
    tables = {
        prefix: field
        for prefix, field in known.items()
        if get_origin(hints[field]) is Mapping
    }
    values: dict[str, object] = {}
    problems: dict[str, str] = {}
    for name, written in texts.items():
        normal = normal_name(name)
        field = known.get(normal)
        if field is not None and field not in tables.values():
            try:
                shown = map(reveal, written) if field in secret else written
                values[field] = read_value(hints[field], list(shown))
            except ValueError as error:
                problems[name] = f"{name}: {error}"
            continue
        for prefix, table in tables.items():
            if normal.startswith(prefix) and normal != prefix:
                rows = values.setdefault(table, {})
                assert isinstance(rows, dict)
                rows[_rest(name, prefix)] = written[-1].strip()
                break
        else:
            problems[name] = f"unknown option {name}{nearest(name, known.values())}"
    return values, problems


def _rest(name: str, prefix: str) -> str:
    """Return what follows ``prefix`` in a name that was written in another form."""
    left = len(prefix)
    for index, letter in enumerate(name):
        if not left:
            return name[index:].strip("-_")
        left -= letter not in "-_"
    return ""


def read_value(hint: Any, written: list[str]) -> object:
    """
    Convert what is written for one field.

    Args:
        hint: ``str``, ``int``, ``float``, ``bool``, ``Path`` (``file://`` may stand
            before it), a ``Literal`` of strings, an optional one of these, or
            ``tuple[str, ...]``, which takes repeated values and comma lists.
        written: at least one text; for anything but a tuple the last counts.

    Raises:
        ValueError: the text is no such value; says what would be one.
    """
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is tuple:
        parts = [part.strip() for text in written for part in text.split(",")]
        return tuple(filter(None, parts))
    if not written:
        raise ValueError("there is no value")
    text = written[-1].strip()
    if get_origin(hint) is Literal:
        return _read_choice(get_args(hint), text)
    return _READERS[hint](text)


def is_secret(option: Field[Any]) -> bool:
    """Return True for an option whose value nobody should see."""
    return bool(option.metadata.get("secret"))


def reveal(text: str) -> str:
    """
    Return a secret that is written down elsewhere: ``env:NAME`` or ``file:PATH``.

    Raises:
        ValueError: it is not there.
    """
    text = text.strip()
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        if name not in os.environ:
            raise ValueError(f"there is no environment variable {name}")
        return os.environ[name]
    if text.startswith("file:"):
        path = Path(text.removeprefix("file:").removeprefix("//"))
        try:
            return path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: {error}") from error
    return text


def read_bool(text: str) -> bool:
    """
    Read a word of the list that the schema documents give.

    Raises:
        ValueError: it is none of these.
    """
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return word in _TRUE


def _read_choice(choices: tuple[str, ...], text: str) -> str:
    for choice in choices:
        if choice.lower() == text.lower():
            return choice
    raise ValueError(f"{text!r} is none of {', '.join(choices)}")


def _read_int(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None
    if number < 0:
        raise ValueError(f"{text} is negative")
    return number


def _read_float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not 0 <= number < math.inf:
        raise ValueError(f"{text} is out of range")
    return number


def _read_path(text: str) -> Path:
    name = text.removeprefix("file://")
    if not name:
        raise ValueError("the path is empty")
    return Path(name)


def _read_port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise ValueError(f"{text!r} is not a port")
    return int(text)


def _read_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number of bytes")
    return int(match[1]) * _UNITS[match[2].lower()]


def _read_octal(text: str) -> int:
    try:
        number = int(text.lower().removeprefix("0o"), 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o7777:
        raise ValueError(f"{text!r} is not an octal number of permissions")
    return number


_SIZE: Final = re.compile(r"([0-9]+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_UNITS: Final[Mapping[str, int]] = types.MappingProxyType(
    {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
)
_READERS: Final[Mapping[Any, Any]] = types.MappingProxyType(
    {
        str: str,
        int: _read_int,
        float: _read_float,
        bool: read_bool,
        Path: _read_path,
        Port: _read_port,
        Size: _read_size,
        Octal: _read_octal,
    }
)
