"""
Configurations written in TOML: the same names and values as in HTML.

Settings of the server stand at the top, or in the tables ``limits`` and
``daemon``; ``[[host]]`` has the hosts, ``[[host.plugin]]`` their pipelines,
``[[listener]]`` the places to listen at. Places in messages are paths of keys,
because the reader of the standard library knows lines of syntax errors only.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any, Final

from beamfast.server.loading import default_pipeline
from beamfast.server.options import normal_name
from beamfast.server.settings import GROUPS
from beamfast.server.written import Written, WrittenConfig

_HOSTS: Final = frozenset({"host", "hosts"})
_LISTENERS: Final = frozenset({"listener", "listeners"})
_PLUGINS: Final = frozenset({"plugin", "plugins", "nestedplugins"})
_OCTAL: Final = frozenset({"mode", "umask", "daemonumask"})


def read_toml(text: str, file: str) -> WrittenConfig:
    """Return what is written in a TOML file; mistakes are noted in it."""
    return _Reader(file).read(text)


class _Reader:
    """One pass over the tables of a file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[str] = []

    def place(self, path: str) -> str:
        """Return where a key is."""
        return f"{self.file}: {path}" if path else self.file

    def note(self, path: str, text: str) -> None:
        """Remember a mistake."""
        self.problems.append(f"{self.place(path)}: {text}")

    def read(self, text: str) -> WrittenConfig:
        """Return what is written."""
        written = WrittenConfig(self.file, Written(self.file), problems=self.problems)
        try:
            top = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self.note("", str(error))
            return written
        rest: dict[str, Any] = {}
        groups: dict[str, Mapping[str, Any]] = {}
        for key, value in top.items():
            name = normal_name(key)
            if name in _HOSTS:
                written.hosts += self.items(key, value, is_host=True)
            elif name in _LISTENERS:
                written.listeners += self.items(key, value)
            elif name in _PLUGINS:
                own = Written(self.place(key), nested=self.plugins(key, value))
                written.pipelines.append(own)
            elif name in GROUPS and isinstance(value, dict):
                groups[key] = value
            else:
                rest[key] = value
        server = written.server = self.properties("", rest)
        places = dict(server.places)
        for key, table in groups.items():
            inner = self.properties(key, table)
            prefix = GROUPS[normal_name(key)][1]
            for name, texts in inner.texts.items():
                whole = f"{prefix}_{name}" if prefix else name
                server.texts[whole] = texts
                places[whole] = inner.place_of(name)
        server.places = places
        return written

    def items(
        self, path: str, value: object, *, is_host: bool = False
    ) -> Iterator[Written]:
        """Yield the tables of an array, or one that stands alone."""
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            own = f"{path}[{index}]"
            if not isinstance(one, dict):
                self.note(own, f"{one!r} is no table")
                continue
            rest = {k: v for k, v in one.items() if normal_name(k) not in _PLUGINS}
            written = self.properties(own, rest)
            if is_host:
                tied = [key for key in one if normal_name(key) in _PLUGINS]
                for key in tied:
                    written.nested += self.plugins(f"{own}.{key}", one[key])
                if not tied:
                    written.nested = [
                        Written(own, texts={"name": [plugin.name]})
                        for plugin in default_pipeline()
                    ]
            yield written

    def plugins(self, path: str, value: object) -> list[Written]:
        """Return the plugins of an array: tables, or names alone."""
        plugins = []
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            own = f"{path}[{index}]"
            table = {"name": one} if isinstance(one, str) else one
            if not isinstance(table, dict):
                self.note(own, f"{one!r} is no plugin")
                continue
            inside = [key for key in table if normal_name(key) in _PLUGINS]
            rest = {key: value for key, value in table.items() if key not in inside}
            written = self.properties(own, rest)
            for key in inside:
                written.nested += self.plugins(f"{own}.{key}", table[key])
            plugins.append(written)
        return plugins

    def properties(self, path: str, table: Mapping[str, Any]) -> Written:
        """Return the texts of a table; a table inside adds its name to its keys'."""
        texts: dict[str, list[str]] = {}
        places: dict[str, str] = {}
        for key, value in table.items():
            own = f"{path}.{key}" if path else key
            if isinstance(value, dict):
                inner = self.properties(own, value)
                for name, found in inner.texts.items():
                    texts[f"{key}_{name}"] = found
                    places[f"{key}_{name}"] = inner.place_of(name)
                continue
            try:
                is_octal = normal_name(key) in _OCTAL
                texts[key] = [_text(one, is_octal=is_octal) for one in _list(value)]
            except ValueError as error:
                self.note(own, str(error))
            places[key] = self.place(own)
        return Written(self.place(path), texts=texts, places=places)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _text(value: object, *, is_octal: bool) -> str:
    """
    Return what the other dialect would say.

    Raises:
        ValueError: it has no word for that.
    """
    if isinstance(value, str):
        return value
    if is_octal and isinstance(value, int):
        # TOML has numbers in octal, and reads them.
        return f"{value:o}"
    if isinstance(value, dict | list):
        raise ValueError("a list of lists or tables")
    return str(value) if isinstance(value, date | time) else json.dumps(value)
