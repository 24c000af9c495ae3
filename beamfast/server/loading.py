"""
Configurations from files and folders, with what environment and command line say.

All mistakes are collected, each with its place, before anything is refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from beamfast.errors import ConfigError
from beamfast.server.config import (
    HostConfig,
    ListenerConfig,
    PluginConfig,
    ServerConfig,
)
from beamfast.server.options import convert, nearest, normal_name, read_value
from beamfast.server.plugin_config import PipelineReader
from beamfast.server.settings import (
    Loaded,
    Settings,
    apply,
    environment_layers,
    folder_config,
    host_fields,
    of_hosts,
    read_settings,
    with_host_names,
)
from beamfast.server.written import Written, WrittenConfig

logger: logging.Logger = logging.getLogger("beamfast.server")

DEFAULT_ROOT: Final = "./files"


def load(path: Path, layers: Sequence[Written] = ()) -> Loaded:
    """
    Read a configuration file, or a folder to serve.

    Args:
        path: HTML, or TOML by its name.
        layers: settings that win over those of the file.

    Raises:
        ConfigError: it cannot be read; or names every mistake, one per line.
    """
    if path.is_dir():
        return folder_config(path, layers)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {_reason(error)}") from error
    # What reads the other dialect is not loaded.
    if path.suffix.lower() == ".toml":
        from beamfast.server.toml_config import read_toml  # noqa: PLC0415 - see above

        written = read_toml(text, str(path))
    else:
        from beamfast.server.html_config import read_html  # noqa: PLC0415 - see above

        written = read_html(text, str(path))
    loaded = build(written, layers)
    return replace(loaded, config=replace(loaded.config, file=path.absolute()))


def load_with_environment(path: Path, overrides: Written | None = None) -> Loaded:
    """
    Read a configuration as a server does: file, environment, command line.

    Raises:
        ConfigError: it cannot be read; or names every mistake, one per line.
    """
    layers = environment_layers(os.environ)
    loaded = load(path, layers if overrides is None else [*layers, overrides])
    return replace(loaded, config=with_host_names(loaded.config, os.environ))


def build(written: WrittenConfig, layers: Sequence[Written] = ()) -> Loaded:
    """
    Return the configuration that is written.

    Raises:
        ConfigError: names every mistake, one per line.
    """
    builder = _Builder(written)
    settings = read_settings([written.server, *layers])
    config = builder.build(settings)
    if builder.problems or config is None:
        raise ConfigError("\n".join(builder.problems))
    return Loaded(config, settings.sources)


class _Builder:
    """One pass over what is written."""

    def __init__(self, written: WrittenConfig) -> None:
        self.written = written
        self.problems: list[str] = list(written.problems)
        self.of_hosts: dict[str, Any] = {}
        self.pipelines = PipelineReader(written.file, self.note)

    def note(self, place: str, text: str) -> None:
        """Remember a mistake."""
        self.problems.append(f"{place}: {text}")

    def build(self, settings: Settings) -> ServerConfig | None:
        """Return the configuration, or None after noting why there is none."""
        self.problems += settings.problems
        self.of_hosts = of_hosts(settings)
        written = self.written
        listeners = list(filter(None, map(self.listener, written.listeners)))
        hosts = list(filter(None, map(self.host, written.hosts)))
        if not written.hosts:
            root = settings.values.get("root", DEFAULT_ROOT)
            hosts += self.bare_pipelines(root)
        if not hosts and not self.problems:
            self.note(written.server.place, "no HostConfig: nothing to serve")
        if self.problems:
            return None
        config = ServerConfig(tuple(hosts), listeners=tuple(listeners))
        return apply(config, settings)

    def host(self, item: Written) -> HostConfig | None:
        """Return what is said of a host."""
        # The root keeps its spelling, for the message that it is not there.
        known = host_fields()
        known |= {name: (f, str) for name, (f, _) in known.items() if f == "root"}
        values: dict[str, Any] = {}
        for name, texts in item.texts.items():
            entry = known.get(normal_name(name))
            if entry is None:
                hints = ("hostname", "hostRoot", "serverHeader", "ssl_cert", "ssl_key")
                hint = nearest(name, hints)
                self.note(item.place_of(name), f"unknown property {name}{hint}")
                continue
            field, kind = entry
            try:
                value = read_value(kind, texts)
            except ValueError as error:
                self.note(item.place_of(name), f"{name}: {error}")
                continue
            if isinstance(value, tuple):
                # No host has white space in its name, and no origin.
                words = [word for text in value for word in text.split()]
                value = (*values.get(field, ()), *words)
            if isinstance(value, Path):
                value = self.existing(value, item.place_of(name))
            values[field] = value
        if not values.get("names"):
            self.note(item.place, "HostConfig without hostname")
        if not values.get("root"):
            self.note(item.place, "HostConfig without hostRoot")
        plugins = self.pipelines.read(item.nested)
        if not values.get("names") or not values.get("root"):
            return None
        root = self.folder(values.pop("root"), item.place)
        return HostConfig(
            root, plugins=plugins, place=item.place, **(self.of_hosts | values)
        )

    def bare_pipelines(self, root: str) -> Iterator[HostConfig]:
        """Yield a catch-all host for each pipeline of a page without hosts."""
        for item in self.written.pipelines:
            plugins = self.pipelines.read(item.nested)
            folder = self.folder(root, item.place)
            yield HostConfig(folder, ("*",), plugins, place=item.place, **self.of_hosts)

    def listener(self, item: Written) -> ListenerConfig | None:
        """Return what is said of a listener."""
        found, problems = convert(ListenerConfig, item.texts, {"address": "listen"})
        values: dict[str, Any] = found
        for name, problem in problems.items():
            self.note(item.place_of(name), problem)
        if "listen" not in values:
            self.note(item.place, "a listener without address")
            return None
        return ListenerConfig(**values) if not problems else None

    def folder(self, text: str, place: str) -> Path:
        """Return a folder; relative to here first, then to the configuration."""
        path = Path(text.removeprefix("file://"))
        for base in (Path(), Path(self.written.file).parent):
            if (base / path).is_dir():
                logger.info("%s: %s is %s", place, text, base / path)
                return base / path
        self.note(place, f"no such folder: {text}")
        return path

    def existing(self, path: Path, place: str) -> Path:
        """Return a file that has to be there already."""
        found = self.pipelines.beside(path)
        if not found.is_file():
            self.note(place, f"no such file: {path}")
        return found


def default_pipeline() -> tuple[PluginConfig, ...]:
    """Return the plugins of a host that names none."""
    return HostConfig(Path()).plugins


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
