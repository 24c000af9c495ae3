"""
Settings of a server from texts: of a file, the environment, the command line.

The later one wins, and each value remembers where it came from. Standard library
only, because the supervisor uses it.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, get_type_hints

from beamfast.errors import ConfigError
from beamfast.server.config import (
    DaemonConfig,
    HostConfig,
    LimitsConfig,
    ListenerConfig,
    ServerConfig,
)
from beamfast.server.options import nearest, normal_name, read_value
from beamfast.server.written import Written

logger: logging.Logger = logging.getLogger("beamfast.server")

PREFIX: Final = "BEAMFAST_"
#: Variables that are read elsewhere.
CONFIG_VARIABLE: Final = "BEAMFAST_CONFIG"
HOSTNAMES_VARIABLE: Final = "BEAMFAST_HOSTNAMES"
#: What container platforms set, weaker than our own names for the same.
PLATFORM: Final[Mapping[str, str]] = types.MappingProxyType(
    {"PORT": "port", "BIND_ADDRESS": "address"}
)

#: Groups of settings, with what their names begin with where that is usual.
GROUPS: Final[Mapping[str, tuple[type[Any], str]]] = types.MappingProxyType(
    {
        "": (ServerConfig, ""),
        "limits": (LimitsConfig, ""),
        "daemon": (DaemonConfig, "daemon"),
    }
)
#: Further names; ``root`` of a server is the root of plugins without a host.
SERVER_ALIASES: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "bindaddress": "address",
        "bind": "address",
        "bindport": "port",
        "serverroot": "root",
        "requesttimeout": "limits.body_timeout",
        "headertimeout": "limits.head_timeout",
        "maxrequestline": "limits.request_line",
        "maxhead": "limits.head",
        "maxfields": "limits.fields",
        "keepalivetimeout": "limits.keep_alive",
    }
)
HOST_ALIASES: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        **dict.fromkeys(("hostname", "host", "aliases", "name"), "names"),
        "hostroot": "root",
    }
)
RANGES: Final[Mapping[str, tuple[int, int]]] = types.MappingProxyType(
    {"workers": (0, 64)}
)
_READ_ELSEWHERE: Final = frozenset({CONFIG_VARIABLE, HOSTNAMES_VARIABLE})
_SKIPPED: Final = frozenset({"hosts", "listeners", "limits", "daemon", "file"})
_OF_HOSTS: Final = ("durability", "retain_entries", "retain_bytes")
HOST: Final = "host"
_ROOT: Final = "root"


@dataclass(slots=True)
class Settings:
    """
    What was read.

    Attributes:
        values: by field, such as ``port`` and ``limits.max_body``.
        sources: where each came from.
        problems: what cannot be used, and why, one line each.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A configuration, and where its settings came from.

    Attributes:
        config: checked as far as it can be without listening.
        sources: by field of the server; what is not there is a default.
    """

    config: ServerConfig
    sources: dict[str, str]


def folder_config(path: Path, layers: Sequence[Written] = ()) -> Loaded:
    """
    Return what serves a folder without a configuration file.

    Raises:
        ConfigError: there is no such folder, or a setting cannot be used.
    """
    config = ServerConfig.for_folder(path)
    settings = read_settings(layers)
    if settings.problems:
        raise ConfigError("\n".join(settings.problems))
    (host,) = config.hosts
    config = replace(config, hosts=(replace(host, **of_hosts(settings)),))
    return Loaded(apply(config, settings), settings.sources)


def server_fields() -> dict[str, tuple[str, Any]]:
    """Return every setting: normal name to field and type."""
    found: dict[str, tuple[str, Any]] = {
        _ROOT: (_ROOT, str),
        "listen": ("listen", tuple[str, ...]),
    }
    for group, (kind, prefix) in GROUPS.items():
        hints = get_type_hints(kind, include_extras=True)
        for one in fields(kind):
            if one.name not in _SKIPPED:
                name = f"{group}.{one.name}" if group else one.name
                found[normal_name(prefix + one.name)] = name, hints[one.name]
    # Said of the server they hold for each host that says nothing else.
    hints = get_type_hints(HostConfig, include_extras=True)
    for own in _OF_HOSTS:
        found[normal_name(own)] = f"{HOST}.{own}", hints[own]
    by_field = {name: (name, hint) for name, hint in found.values()}
    return found | {alias: by_field[name] for alias, name in SERVER_ALIASES.items()}


def read_settings(layers: Sequence[Written]) -> Settings:
    """Return what the layers set; a later one wins."""
    known, settings = server_fields(), Settings()
    for layer in layers:
        for name, texts in layer.texts.items():
            place = layer.place_of(name)
            entry = known.get(normal_name(name))
            if entry is None:
                hint = nearest(name, _spellings(known))
                settings.problems.append(f"{place}: unknown property {name}{hint}")
                continue
            target, hint_type = entry
            try:
                value = read_value(hint_type, texts)
                _check_range(target, value)
            except ValueError as error:
                settings.problems.append(f"{place}: {name}: {error}")
                continue
            settings.values[target] = value
            settings.sources[target] = place
    return settings


def _values_of(settings: Settings, group: str) -> dict[str, Any]:
    found = {}
    for name, value in settings.values.items():
        own_group, _, own = name.rpartition(".")
        if own_group == group:
            found[own] = value
    return found


def of_hosts(settings: Settings) -> dict[str, Any]:
    """Return what holds for each host that says nothing else."""
    return _values_of(settings, HOST)


def apply(config: ServerConfig, settings: Settings) -> ServerConfig:
    """Return ``config`` with other settings; its hosts stay."""
    by_group = {group: _values_of(settings, group) for group in GROUPS}
    values = by_group.pop("")
    values.pop(_ROOT, None)
    listen = values.pop("listen", ())
    changed = replace(
        config,
        **values,
        **{
            group: replace(getattr(config, group), **own)
            for group, own in by_group.items()
        },
    )
    places = (*config.listeners, *map(ListenerConfig, listen))
    if places and {"address", "port"} & settings.values.keys():
        # Whoever names an address beside other listeners means it as well.
        places = (*replace(changed, listeners=()).places, *places)
    return replace(changed, listeners=places)


def environment_layers(environment: Mapping[str, str]) -> list[Written]:
    """Return what variables set, the platform's own ones first."""
    platform = {name: environment[name] for name in PLATFORM if environment.get(name)}
    known, own = server_fields(), {}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name in _READ_ELSEWHERE or not text:
            continue
        if normal_name(name.removeprefix(PREFIX)) in known:
            own[name] = text
        else:
            # It may be somebody else's, so it cannot be a reason not to start.
            hint = nearest(name.removeprefix(PREFIX), _spellings(known))
            logger.warning("%s means nothing here%s", name, hint)
    return [
        Written(
            "environment",
            texts={PLATFORM[name]: [text] for name, text in platform.items()},
            places={PLATFORM[name]: name for name in platform},
        ),
        Written(
            "environment",
            texts={
                name.removeprefix(PREFIX).lower(): [text] for name, text in own.items()
            },
            places={name.removeprefix(PREFIX).lower(): name for name in own},
        ),
    ]


def with_host_names(
    config: ServerConfig, environment: Mapping[str, str]
) -> ServerConfig:
    """Return ``config`` whose first host has the names that a variable adds."""
    names = environment.get(HOSTNAMES_VARIABLE, "").replace(",", " ").split()
    if not names:
        return config
    first, *others = config.hosts
    added = tuple(name for name in names if name not in first.names)
    return replace(config, hosts=(replace(first, names=first.names + added), *others))


def host_fields() -> dict[str, tuple[str, Any]]:
    """Return what can be said of a host: normal name to field and type."""
    hints = get_type_hints(HostConfig, include_extras=True)
    found = {
        normal_name(one.name): (one.name, hints[one.name])
        for one in fields(HostConfig)
        if one.name not in ("plugins", "place")
    }
    return found | {alias: (name, hints[name]) for alias, name in HOST_ALIASES.items()}


def _spellings(known: Mapping[str, tuple[str, Any]]) -> Iterator[str]:
    """Yield names to hint at: as the published files spell them, and the fields."""
    yield from ("bindAddress", "bindPort", "serverRoot")
    for name, _ in known.values():
        group, _, own = name.rpartition(".")
        prefix = GROUPS[group][1] if group in GROUPS else ""
        yield f"{prefix}_{own}".lstrip("_")


def _check_range(name: str, value: object) -> None:
    if name in RANGES and isinstance(value, int):
        low, high = RANGES[name]
        if not low <= value <= high:
            raise ValueError(f"{value} is not between {low} and {high}")
