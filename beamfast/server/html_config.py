"""
Configurations written in HTML with microdata, in every form that was published.

The page holds one ``ServerConfig``, any number of ``HostConfig`` items and their
plugins, linked, nested or side by side; all four spellings of a type count.
"""

from __future__ import annotations

import json
from typing import Final

from beamfast.documents.microdata import Item, items_of
from beamfast.server.config import ServerConfig
from beamfast.server.loading import build
from beamfast.server.options import normal_name
from beamfast.server.settings import host_fields, server_fields
from beamfast.server.written import Written, WrittenConfig

_LINKS: Final = frozenset({"plugin", "plugins", "listener", "listeners"})
_NESTED_IN_JSON: Final = "nested_plugins"
_NESTED: Final = normal_name(_NESTED_IN_JSON)


def read_html_config(text: str, file: str) -> ServerConfig:
    """
    Return the configuration that a page describes.

    Args:
        text: of the page.
        file: its path, for messages and for relative paths.

    Raises:
        ConfigError: names every mistake, one per line.
    """
    return build(read_html(text, file)).config


def read_html(text: str, file: str) -> WrittenConfig:
    """Return what is written in a page; mistakes are noted in it."""
    return _Reader(items_of(text), file).read()


class _Reader:
    """One pass over the items of a page."""

    def __init__(self, items: list[Item], file: str) -> None:
        self.items = items
        self.file = file
        self.order = {item: place for place, item in enumerate(items)}
        self.problems: list[str] = []

    def place(self, line: int) -> str:
        """Return where a line is."""
        return f"{self.file}:{line}"

    def of_kind(self, kind: str) -> list[Item]:
        """Return the items of a type, wherever they stand."""
        return [item for item in self.items if item.kind() == kind]

    def read(self) -> WrittenConfig:
        """Return what is written."""
        servers = self.of_kind("ServerConfig")
        self.problems += [
            f"{self.place(extra.line)}: a second ServerConfig" for extra in servers[1:]
        ]
        server = Written(self.place(1))
        if servers:
            server = self.properties(servers[0])
            # A page may say of its only host what it says of the server.
            of_hosts = host_fields().keys() - server_fields().keys()
            for name in list(server.texts):
                if normal_name(name) in of_hosts:
                    del server.texts[name]
        return WrittenConfig(
            self.file,
            server,
            hosts=[self.with_plugins(one) for one in self.of_kind("HostConfig")],
            listeners=[self.properties(one) for one in self.of_kind("ListenerConfig")],
            pipelines=[self.with_plugins(one) for one in self.of_kind("Pipeline")],
            problems=self.problems,
        )

    def properties(self, item: Item) -> Written:
        """Return what an item says of itself."""
        written = Written(self.place(item.line), item.kind())
        places: dict[str, str] = {}
        for one in item.properties:
            if isinstance(one.value, str) and normal_name(one.name) not in _LINKS:
                written.texts.setdefault(one.name, []).append(one.value)
                places[one.name] = self.place(one.line)
        written.places = places
        return written

    def with_plugins(self, item: Item) -> Written:
        """Return what an item says of itself and of the plugins inside it."""
        written = self.properties(item)
        written.nested = [self.with_plugins(child) for child in self.children(item)]
        for name in [name for name in written.texts if normal_name(name) == _NESTED]:
            place = written.place_of(name)
            for text in written.texts.pop(name):
                try:
                    written.nested += _from_json(json.loads(text or "[]"), place)
                except ValueError as error:
                    self.problems.append(f"{place}: {name}: {error}")
        return written

    def children(self, owner: Item) -> list[Item]:
        """Return the plugin items of ``owner``, tied to it or only inside it."""
        tied = {
            one.value
            for one in owner.properties
            if isinstance(one.value, Item)
            and normal_name(one.name) in ("plugin", "plugins")
        }
        loose = {
            item
            for item in self.items
            if item.parents[:1] == (owner,)
            and item.kind().endswith("Plugin")
            and not item.is_property
        }
        return sorted(tied | loose, key=lambda item: self.order[item])


def _from_json(found: object, place: str) -> list[Written]:
    """
    Return the plugins of a ``nested_plugins`` array.

    Raises:
        ValueError: it is no list of plugins; says what is wrong.
    """
    if not isinstance(found, list):
        raise ValueError("not an array")
    plugins = []
    for one in found:
        if not isinstance(one, dict):
            raise ValueError(f"{one!r} is no plugin")
        given = dict(one)
        nested = _from_json(given.pop(_NESTED_IN_JSON, []), place)
        options = given.pop("config", {})
        if not isinstance(options, dict):
            raise ValueError(f"config: {options!r} is no object")
        texts: dict[str, list[str]] = {}
        for name, value in (options | given).items():
            if not isinstance(value, str | int | float):
                raise ValueError(f"{name}: {value!r} is no text")
            # JSON's own words for yes and no are those of the options.
            texts[name] = [value if isinstance(value, str) else json.dumps(value)]
        plugins.append(Written(place, texts=texts, nested=nested))
    return plugins
