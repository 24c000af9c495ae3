"""
What a server is: listeners, hosts, the plugins of each host.

Configuration is data: making one starts nothing and opens nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from beamfast.errors import ConfigError

DEFAULT_ADDRESS: Final = "127.0.0.1"
DEFAULT_PORT: Final = 3000

Durability = Literal["full", "relaxed"]

#: The pipeline of a folder that is served without a configuration file.
DEFAULT_PLUGINS: Final = (
    "websocket",
    "eventsource",
    "selector-handler",
    "file-handler",
    "access-log",
)


@dataclass(frozen=True, slots=True)
class PluginConfig:
    """
    One plugin of a pipeline.

    Attributes:
        name: as configurations write it, such as ``file-handler``.
        options: typed values by the names of the plugin's options.
        nested: the pipeline inside it, for a plugin that holds others.
    """

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    nested: tuple[PluginConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class HostConfig:
    """
    One virtual host.

    Attributes:
        root: folder of its documents.
        names: host names it answers to; ``*`` for any.
        plugins: its pipeline, in order.
        allowed_origins: foreign origins that may connect and write.
        server_header: value of the ``Server`` field; None for the server's own,
            empty for none.
        durability: when an edit is answered: ``full``, the disk has it; ``relaxed``,
            the system has it, so that it survives the end of the process only.
        retain_entries: edits that the journal keeps of each document.
        retain_bytes: at most so many bytes of them.
    """

    root: Path
    names: tuple[str, ...] = ("*",)
    plugins: tuple[PluginConfig, ...] = tuple(map(PluginConfig, DEFAULT_PLUGINS))
    allowed_origins: tuple[str, ...] = ()
    server_header: str | None = None
    durability: Durability = "full"
    retain_entries: int = 1024
    retain_bytes: int = 8 * 2**20


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """
    One server.

    Attributes:
        hosts: at least one.
        address: IP address or name to listen on.
        port: TCP port, 0 for any free one.
        server_header: value of the ``Server`` field, empty for none.
        allow_anonymous_writes: a public listener may take writes from anybody.
        drain: seconds that open connections get when the server stops.
        workers: processes that serve, under a supervisor; 0 for a single process
            without one.
    """

    hosts: tuple[HostConfig, ...]
    address: str = DEFAULT_ADDRESS
    port: int = DEFAULT_PORT
    server_header: str = ""
    allow_anonymous_writes: bool = False
    drain: float = 20.0
    workers: int = 1

    @classmethod
    def for_folder(cls, folder: Path, *, port: int = DEFAULT_PORT) -> Self:
        """
        Serve one folder under every host name, with the default pipeline.

        Raises:
            ConfigError: there is no such folder.
        """
        if not folder.is_dir():
            kind = "not a folder" if folder.exists() else "no such folder"
            raise ConfigError(f"{kind}: {folder}")
        return cls((HostConfig(folder),), port=port)

    def check(self) -> None:
        """
        Refuse what would be unsafe.

        Raises:
            ConfigError: anybody on the network could write.
        """
        is_restricted = all(
            any(plugin.name == "authorization" for plugin in host.plugins)
            for host in self.hosts
        )
        if not (self.is_loopback or is_restricted or self.allow_anonymous_writes):
            raise ConfigError(
                f"{self.address} is reachable from other machines and nothing "
                "restricts who may edit; listen on 127.0.0.1, configure the "
                "authorization plugin, or pass --allow-anonymous-writes"
            )

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can connect."""
        return is_loopback_name(self.address)


def is_loopback_name(name: str) -> bool:
    """Return True for ``localhost``, names below it, and loopback addresses."""
    name = name.lower().strip("[]").rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
