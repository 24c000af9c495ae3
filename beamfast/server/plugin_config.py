"""
Pipelines from what somebody wrote: names of plugins, and their typed options.

A library of the original is the built-in plugin of that name, so its
configurations run unchanged; a container without a library is what is in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from beamfast.errors import ConfigError
from beamfast.server.config import PluginConfig
from beamfast.server.options import convert, normal_name, read_bool
from beamfast.server.plugin_types import (
    builtin_names,
    load_plugin,
    plugin_type,
    takes_name,
)
from beamfast.server.written import Written

logger: logging.Logger = logging.getLogger("beamfast.server")

_GENERIC: Final = frozenset({"library", "pluginpath", "name", "enabled", "priority"})
_LIBRARY: Final = re.compile(
    r"file://(?P<path>[^?#]+)\.(?:so|dll|dylib)", re.IGNORECASE
)
_PYTHON: Final = re.compile(r"python:[\w.]+:\w+")
_SOURCE: Final = re.compile(r"file://(?P<path>[^?#]+\.py)(?::(?P<name>\w+))?")


class PipelineReader:
    """
    Turns written plugins into configured ones.

    Args:
        file: the configuration's path, for relative paths.
        note: told of each mistake with its place.
    """

    def __init__(self, file: str, note: Callable[[str, str], None]) -> None:
        self._folder = Path(file).parent
        self._file = file
        self._note = note

    def read(self, written: list[Written]) -> tuple[PluginConfig, ...]:
        """Return the plugins that are written, in order."""
        found = [pair for one in written for pair in self._plugin(one)]
        found.sort(key=lambda pair: pair[0])
        return tuple(plugin for _, plugin in found)

    def _plugin(self, item: Written) -> Iterator[tuple[int, PluginConfig]]:
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
            self._note(item.place, f"enabled: {error}")
        library = generic.get("library") or generic.get("pluginpath") or ""
        found = self._name(item, library, generic.get("name", ""))
        if found is None:
            return
        if not found:
            if not item.nested and not texts:
                self._note(item.place, "a plugin with neither library nor name")
            for child in item.nested:
                yield from self._plugin(child)
            return
        # Where nothing else does, the name says which plugin it is.
        if generic.get("name", found) != found and takes_name(found):
            texts["name"] = [generic["name"]]
        priority = generic.get("priority", "0")
        if not re.fullmatch(r"-?\d+", priority):
            self._note(item.place, f"priority: {priority!r} is not a whole number")
            priority = "0"
        config = self._typed(found, texts, item)
        if config is not None:
            yield int(priority), config

    def _name(self, item: Written, library: str, name: str) -> str | None:
        """
        Return the name of a plugin from its library, its name, or its type.

        Empty for a container, None when the library cannot be loaded.
        """
        if _PYTHON.fullmatch(library):
            return library
        if match := _SOURCE.fullmatch(library):
            path = self.beside(Path(match["path"])).absolute()
            return f"file://{path}" + (f":{match['name']}" if match["name"] else "")
        if library:
            match = _LIBRARY.fullmatch(library)
            if match is None:
                self._note(item.place, f"library {library!r} cannot be loaded")
                return None
            base = match["path"].rpartition("/")[2]
            base = base.removeprefix("lib").removeprefix("rusty_beam_")
            return re.sub(r"-v\d+$", "", base).replace("_", "-")
        if name:
            return name
        kind = normal_name(item.kind.removesuffix("Plugin"))
        return next((one for one in builtin_names() if normal_name(one) == kind), "")

    def _typed(
        self, name: str, texts: Mapping[str, list[str]], item: Written
    ) -> PluginConfig | None:
        """Return a plugin with typed options, or note what is wrong with it."""
        try:
            found = plugin_type(name)
        except ConfigError as error:
            self._note(item.place, str(error))
            return None
        nested = self.read(item.nested)
        values, problems = convert(found.options_type, texts, found.aliases)
        for option, problem in problems.items():
            self._note(item.place_of(option), f"{name}: {problem}")
        if problems:
            return None
        for option, value in values.items():
            if isinstance(value, Path):
                values[option] = self.beside(value)
        config = PluginConfig(name, values, nested, item.place)
        try:
            load_plugin(config)
        except ConfigError as error:
            self._note(item.place, str(error))
            return None
        return config

    def beside(self, path: Path) -> Path:
        """Return ``path``, relative to the configuration if only that one exists."""
        other = self._folder / path
        if path.exists() or not other.exists():
            return path
        logger.info("%s: %s is %s", self._file, path, other)
        return other
