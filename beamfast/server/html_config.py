"""
Configurations written in HTML with microdata, in every form that was published.

The page holds one ``ServerConfig``, any number of ``HostConfig`` items and their
plugins, linked, nested or side by side; all four spellings of a type count. All
mistakes are collected, each with its line, before anything is refused.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_type_hints

from beamfast.documents.microdata import Item, Property, items_of
from beamfast.errors import ConfigError
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig
from beamfast.server.options import (
    convert,
    nearest,
    normal_name,
    read_bool,
    read_value,
)
from beamfast.server.plugin_types import builtin_names, load_plugin, plugin_type

logger: logging.Logger = logging.getLogger("beamfast.server")

_SERVER: Final = {
    **dict.fromkeys(("serverroot", "root"), "root"),
    **dict.fromkeys(("bindaddress", "bind"), "address"),
    **dict.fromkeys(("bindport", "port"), "port"),
}
_HOST: Final = {
    **dict.fromkeys(("hostname", "host", "aliases"), "names"),
    **dict.fromkeys(("hostroot", "root"), "root"),
    "serverheader": "server_header",
    "allowedorigins": "allowed_origins",
}
#: Of the journal; said of the server they hold for each host that says nothing else.
_JOURNAL: Final[Mapping[str, str]] = {
    normal_name(name): name for name in ("durability", "retain_entries", "retain_bytes")
}
#: Of the original's daemon mode; this server stays in the foreground.
_DAEMON: Final = "daemon"
_LINKS: Final = frozenset({"plugin", "plugins", "host"})
_GENERIC: Final = frozenset({"library", "pluginpath", "name", "enabled", "priority"})
_NESTED_IN_JSON: Final = "nested_plugins"
_NESTED: Final = normal_name(_NESTED_IN_JSON)
_LIBRARY: Final = re.compile(
    r"file://(?P<path>[^?#]+)\.(?:so|dll|dylib)", re.IGNORECASE
)
_PYTHON: Final = re.compile(r"python:[\w.]+:\w+")


def load_config(path: Path) -> ServerConfig:
    """
    Read a configuration file.

    Raises:
        ConfigError: it cannot be read; or names every mistake, one per line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return read_html_config(text, str(path))


def read_html_config(text: str, file: str) -> ServerConfig:
    """
    Return the configuration that a page describes.

    Args:
        text: of the page.
        file: its path, for messages and for relative paths.

    Raises:
        ConfigError: names every mistake, one per line.
    """
    reader = _Reader(items_of(text), file)
    config = reader.read()
    if reader.problems or config is None:
        raise ConfigError("\n".join(reader.problems))
    return config


@dataclass(frozen=True, slots=True)
class _Written:
    """
    A plugin as somebody wrote it, in microdata or in JSON.

    Attributes:
        line: where it begins.
        kind: name of its type, or empty.
        texts: what is said of it, by names as written.
        lines: where each name stands.
        nested: the plugins inside it.
    """

    line: int
    kind: str
    texts: dict[str, list[str]]
    lines: Mapping[str, int]
    nested: list[_Written]


class _Reader:
    """One pass over the items of a page."""

    def __init__(self, items: list[Item], file: str) -> None:
        self.items = items
        self.file = file
        self.problems: list[str] = []
        self.order = {item: place for place, item in enumerate(items)}

    def note(self, line: int, text: str) -> None:
        """Remember a mistake."""
        self.problems.append(f"{self.file}:{line}: {text}")

    def read(self) -> ServerConfig | None:
        """Return the configuration, or None after noting why there is none."""
        servers = [item for item in self.items if item.kind() == "ServerConfig"]
        for extra in servers[1:]:
            self.note(extra.line, "a second ServerConfig")
        values: dict[str, Any] = {"root": "./files"}
        if servers:
            values |= self.server_values(servers[0])
        journal: dict[str, Any] = {
            name: values.pop(name) for name in _JOURNAL.values() if name in values
        }
        hosts = [
            host
            for item in self.items
            if item.kind() == "HostConfig"
            and (host := self.host(item, journal)) is not None
        ]
        if not any(item.kind() == "HostConfig" for item in self.items):
            hosts += self.bare_pipelines(Path(values["root"]), journal)
        if not hosts and not self.problems:
            self.note(1, "no HostConfig: nothing to serve")
        if self.problems:
            return None
        del values["root"]
        return ServerConfig(tuple(hosts), **values)

    def server_values(self, item: Item) -> dict[str, Any]:
        """Return what a ServerConfig item sets."""
        values: dict[str, Any] = {}
        for one in item.properties:
            name = normal_name(one.name)
            if isinstance(one.value, Item) or name in _LINKS:
                continue
            field = _SERVER.get(name)
            if field == "port":
                if one.value.isdecimal() and int(one.value) < 2**16:
                    values["port"] = int(one.value)
                else:
                    self.note(one.line, f"{one.name}: {one.value!r} is not a port")
            elif field is not None:
                values[field] = one.value
            elif name in _JOURNAL:
                values |= self.journal_value(one)
            elif name.startswith(_DAEMON):
                logger.warning(
                    "%s:%d: %s has no effect: the server stays in the foreground",
                    *(self.file, one.line, one.name),
                )
            elif name not in _HOST:
                hint = nearest(one.name, ("bindAddress", "bindPort", "serverRoot"))
                self.note(one.line, f"unknown property {one.name}{hint}")
        return values

    def journal_value(self, one: Property) -> dict[str, Any]:
        """Return what one property says of the journal."""
        name = _JOURNAL[normal_name(one.name)]
        try:
            hint = get_type_hints(HostConfig)[name]
            return {name: read_value(hint, [str(one.value)])}
        except ValueError as error:
            self.note(one.line, f"{one.name}: {error}")
            return {}

    def host(self, item: Item, journal: Mapping[str, Any]) -> HostConfig | None:
        """Return what a HostConfig item describes; ``journal`` is the server's."""
        names: list[str] = []
        values: dict[str, Any] = dict(journal)
        for one in item.properties:
            name = normal_name(one.name)
            if isinstance(one.value, Item) or name in _LINKS - {"host"}:
                continue
            field = _HOST.get(name)
            if field == "names":
                names += [part for part in re.split(r"[,\s]+", one.value) if part]
            elif field == "allowed_origins":
                values[field] = tuple(re.split(r"[,\s]+", one.value))
            elif name in _JOURNAL:
                values |= self.journal_value(one)
            elif field is not None:
                values[field] = one.value
            else:
                hint = nearest(one.name, ("hostname", "hostRoot", "serverHeader"))
                self.note(one.line, f"unknown property {one.name}{hint}")
        if not names:
            self.note(item.line, "HostConfig without hostname")
        root = values.pop("root", "")
        if not root:
            self.note(item.line, "HostConfig without hostRoot")
        plugins = self.plugins(item)
        if not names or not root:
            return None
        return HostConfig(self.path(root, item.line), tuple(names), plugins, **values)

    def bare_pipelines(
        self, root: Path, journal: Mapping[str, Any]
    ) -> Iterator[HostConfig]:
        """Yield a catch-all host for each Pipeline item of a page without hosts."""
        for item in self.items:
            if item.kind() == "Pipeline":
                folder = self.path(str(root), item.line)
                plugins = self.plugins(item)
                yield HostConfig(folder, ("*",), plugins, **journal)

    def path(self, text: str, line: int) -> Path:
        """Return a folder; relative to here first, then to the configuration."""
        path = Path(text.removeprefix("file://"))
        for base in (Path(), Path(self.file).parent):
            if (base / path).is_dir():
                logger.info("%s:%d: %s is %s", self.file, line, text, base / path)
                return base / path
        self.note(line, f"no such folder: {text}")
        return path

    # Plugins.

    def plugins(self, owner: Item) -> tuple[PluginConfig, ...]:
        """Return the pipeline of a host, in order."""
        return self.pipeline([self.written(one) for one in self.children(owner)])

    def pipeline(self, written: list[_Written]) -> tuple[PluginConfig, ...]:
        """Return the plugins that are written, in order."""
        found = [pair for one in written for pair in self.plugin(one)]
        found.sort(key=lambda pair: pair[0])
        return tuple(plugin for _, plugin in found)

    def written(self, item: Item) -> _Written:
        """Return what an item says of a plugin and of those inside it."""
        texts: dict[str, list[str]] = {}
        for one in item.properties:
            if isinstance(one.value, str):
                texts.setdefault(one.name, []).append(one.value)
        nested = [self.written(child) for child in self.children(item)]
        lines = {one.name: one.line for one in item.properties}
        for name in [name for name in texts if normal_name(name) == _NESTED]:
            for text in texts.pop(name):
                try:
                    nested += _from_json(json.loads(text or "[]"), lines[name])
                except ValueError as error:
                    self.note(lines[name], f"{name}: {error}")
        return _Written(item.line, item.kind(), texts, lines, nested)

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

    def plugin(self, item: _Written) -> Iterator[tuple[int, PluginConfig]]:
        """Yield the plugin of an item; of a container, the plugins in it."""
        texts: dict[str, list[str]] = {}
        generic: dict[str, str] = {}
        for written, values in item.texts.items():
            if (name := normal_name(written)) in _GENERIC:
                generic[name] = values[-1]
            else:
                texts[written] = values
        try:
            if not read_bool(generic.get("enabled", "true")):
                return
        except ValueError as error:
            self.note(item.line, f"enabled: {error}")
        library = generic.get("library") or generic.get("pluginpath") or ""
        name = self.plugin_name(item, library, generic.get("name", ""))
        if not name:
            if not item.nested and not texts:
                self.note(item.line, "a plugin with neither library nor name")
            for child in item.nested:
                yield from self.plugin(child)
            return
        priority = generic.get("priority", "0")
        if not re.fullmatch(r"-?\d+", priority):
            self.note(item.line, f"priority: {priority!r} is not a whole number")
            priority = "0"
        config = self.typed(name, texts, item)
        if config is not None:
            yield int(priority), config

    def plugin_name(self, item: _Written, library: str, name: str) -> str:
        """Return the name of a plugin from its library, its name, or its type."""
        if _PYTHON.fullmatch(library):
            return library
        if library:
            match = _LIBRARY.fullmatch(library)
            if match is None:
                self.note(item.line, f"library {library!r} cannot be loaded")
                return "-"
            base = match["path"].rpartition("/")[2]
            base = base.removeprefix("lib").removeprefix("rusty_beam_")
            return re.sub(r"-v\d+$", "", base).replace("_", "-")
        if name:
            return name
        kind = normal_name(item.kind.removesuffix("Plugin"))
        return next((one for one in builtin_names() if normal_name(one) == kind), "")

    def typed(
        self, name: str, texts: Mapping[str, list[str]], item: _Written
    ) -> PluginConfig | None:
        """Return a plugin with typed options, or note what is wrong with it."""
        if name == "-":
            return None
        try:
            found = plugin_type(name)
        except ConfigError as error:
            self.note(item.line, str(error))
            return None
        nested = self.pipeline(item.nested)
        values, problems = convert(found.options_type, texts, found.aliases)
        for option, problem in problems.items():
            self.note(item.lines.get(option, item.line), f"{name}: {problem}")
        if problems:
            return None
        for option, value in values.items():
            if isinstance(value, Path):
                values[option] = self.beside(value)
        config = PluginConfig(name, values, nested)
        try:
            load_plugin(config)
        except ConfigError as error:
            self.note(item.line, str(error))
            return None
        return config

    def beside(self, path: Path) -> Path:
        """Return ``path``, relative to the configuration if only that one exists."""
        other = Path(self.file).parent / path
        if path.exists() or not other.exists():
            return path
        logger.info("%s: %s is %s", self.file, path, other)
        return other


def _from_json(found: object, line: int) -> list[_Written]:
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
        nested = _from_json(given.pop(_NESTED_IN_JSON, []), line)
        options = given.pop("config", {})
        if not isinstance(options, dict):
            raise ValueError(f"config: {options!r} is no object")
        texts: dict[str, list[str]] = {}
        for name, value in (options | given).items():
            if not isinstance(value, str | int | float):
                raise ValueError(f"{name}: {value!r} is no text")
            # JSON's own words for yes and no are those of the options.
            texts[name] = [value if isinstance(value, str) else json.dumps(value)]
        plugins.append(_Written(line, "", texts, dict.fromkeys(texts, line), nested))
    return plugins
