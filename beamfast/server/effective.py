"""
The effective configuration in TOML, each value with where it came from.

What is secret is masked; the rest, read again, is the same configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from beamfast.server.config import HostConfig, ListenerConfig, PluginConfig
from beamfast.server.options import Octal, is_secret
from beamfast.server.plugin_types import plugin_type
from beamfast.server.settings import GROUPS, Loaded

DEFAULT: Final = "default"
MASK: Final = "***"
#: What the list of listeners says as well.
_MAIN_LISTENER: Final = frozenset({"address", "port", "tls"})
_NOT_SCALAR: Final = frozenset(
    {"hosts", "listeners", "limits", "daemon", "file", "plugins", "place"}
)


def describe(loaded: Loaded, *, everything: bool = True) -> Iterator[str]:
    """
    Yield the lines of a configuration file.

    Args:
        loaded: what to describe.
        everything: values that nobody set, too.
    """
    config = loaded.config
    if config.file is not None:
        yield f"# {config.file}"
    for group, (kind, _) in GROUPS.items():
        lines = []
        for name, value in _scalars(getattr(config, group) if group else config, kind):
            if not group and config.listeners and name in _MAIN_LISTENER:
                continue
            place = loaded.sources.get(f"{group}.{name}" if group else name)
            if everything or place:
                lines.append((name, value, place or DEFAULT))
        if group and lines:
            yield ""
            yield f"[{group}]"
        yield from _aligned(lines)
    for listener in config.listeners:
        yield ""
        yield "[[listener]]"
        yield from _aligned([(k, v, "") for k, v in _scalars(listener, ListenerConfig)])
    for host in config.hosts:
        yield from _host(host, everything=everything)


def _host(host: HostConfig, *, everything: bool) -> Iterator[str]:
    yield ""
    yield f"[[host]]  # {host.place or DEFAULT}"
    yield from _aligned([(k, v, "") for k, v in _scalars(host, HostConfig)])
    if not host.plugins:
        yield "plugins = []"
    for plugin in host.plugins:
        yield from _plugin(plugin, "host.plugin", everything=everything)


def _plugin(plugin: PluginConfig, path: str, *, everything: bool) -> Iterator[str]:
    yield ""
    yield f"[[{path}]]  # {plugin.place or DEFAULT}"
    own = plugin.name
    key = "library" if own.startswith(("python:", "file:")) else "name"
    yield f"{key} = {_toml(own)}"
    options = plugin_type(own).options_type
    secret = {one.name for one in fields(options) if is_secret(one)}
    # Made only for its defaults.
    defaults = _defaults(options)
    lines = []
    for name, value in {**defaults, **plugin.options}.items():
        if value is None or (name not in plugin.options and not everything):
            continue
        shown = MASK if name in secret and value else value
        lines.append((name, shown, "" if name in plugin.options else DEFAULT))
    yield from _aligned(lines)
    for inner in plugin.nested:
        yield from _plugin(inner, f"{path}.plugin", everything=everything)


def _defaults(options: type[Any]) -> dict[str, Any]:
    try:
        made = options()
    except (TypeError, ValueError):
        # Some options have to be given.
        return {}
    return {one.name: getattr(made, one.name) for one in fields(options)}


def _scalars(value: Any, kind: type[Any]) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        found = getattr(value, one.name)
        if one.name in _NOT_SCALAR or found is None:
            continue
        yield one.name, f"0o{found:o}" if hints[one.name] == Octal else found


def _aligned(lines: list[tuple[str, Any, str]]) -> Iterator[str]:
    texts = [f"{name} = {_toml(value)}" for name, value, _ in lines]
    width = max(map(len, texts), default=0)
    for text, (*_, place) in zip(texts, lines, strict=True):
        yield f"{text:<{width}}  # {place}" if place else text


def _toml(value: object) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Path):
        return _toml(str(value))
    if isinstance(value, tuple | list | frozenset):
        return f"[{', '.join(_toml(str(one)) for one in value)}]"
    if isinstance(value, Mapping):
        rows = (f"{_toml(str(k))} = {_toml(str(v))}" for k, v in value.items())
        return f"{{ {', '.join(rows)} }}"
    # Strings of JSON are strings of TOML, but for characters above the first plane.
    return json.dumps(str(value), ensure_ascii=False)
