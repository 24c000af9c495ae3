"""
What a server is: listeners, hosts, the plugins of each host.

Configuration is data: making one starts nothing and opens nothing. A scalar field
added to one of these classes can be set in every dialect, by the environment and
in ``beamfast config``, without another line. Standard library only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from beamfast.errors import ConfigError
from beamfast.server.options import Octal, Port, Size

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
        place: where it is configured.
    """

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    nested: tuple[PluginConfig, ...] = ()
    place: str = field(default="", compare=False)


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
        ssl_cert: file of its certificate and those above it, in PEM.
        ssl_key: file of the private key; None when it is in the same file.
        place: where it is configured.
    """

    root: Path
    names: tuple[str, ...] = ("*",)
    plugins: tuple[PluginConfig, ...] = tuple(map(PluginConfig, DEFAULT_PLUGINS))
    allowed_origins: tuple[str, ...] = ()
    server_header: str | None = None
    durability: Durability = "full"
    retain_entries: int = 1024
    retain_bytes: Size = 8 * 2**20
    ssl_cert: Path | None = None
    ssl_key: Path | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """
    One place to listen at.

    Attributes:
        listen: ``ADDRESS:PORT``, ``unix:PATH``, ``fd:NUMBER`` of an inherited
            descriptor, or ``systemd`` for all that systemd hands over.
        tls: encrypted, with the certificates of the hosts.
        mode: permission bits of a Unix socket.
        proxy_protocol: each connection begins with a header of the PROXY protocol,
            and comes from a trusted proxy.
    """

    listen: str
    tls: bool = False
    mode: Octal = 0o660
    proxy_protocol: bool = False

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can connect."""
        if self.listen.startswith("unix:"):
            return True
        # What is inherited is not known here.
        host = self.listen.rpartition(":")[0]
        return bool(host) and host != "fd" and is_loopback_name(host)


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """
    How much clients may take.

    Attributes:
        max_connections: of one process; 0 for nine tenths of its descriptors.
        max_connections_per_address: of one process; 0 for any number.
        connections_per_second: new ones of one process; 0 for any number.
        request_line: bytes; above it 414.
        head: bytes of the request line and all fields; 431.
        fields: number of header fields; 431.
        max_body: bytes of any request body; 413.
        edit_limit: bytes of a document that can be edited by selector; 413.
        head_timeout: seconds for a request head to arrive; 408.
        body_timeout: seconds without a byte of an expected body; 408.
        keep_alive: seconds that a connection may be idle.
    """

    max_connections: int = 0
    max_connections_per_address: int = 0
    connections_per_second: int = 0
    request_line: Size = 8 * 2**10
    head: Size = 32 * 2**10
    fields: int = 100
    max_body: Size = 8 * 2**20
    edit_limit: Size = 2 * 2**20
    head_timeout: float = 10.0
    body_timeout: float = 30.0
    keep_alive: float = 75.0


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """
    How a server leaves the terminal, with ``--daemon``.

    Attributes:
        pid_file: gets the process id.
        user: name or number to run as, once the listeners are bound.
        group: name or number.
        umask: of the files that are made.
        stdout: file that output is appended to; None to drop it.
        stderr: the same for errors.
        chown_pid_file: the file belongs to ``user``.
        working_directory: what relative paths are relative to.
    """

    pid_file: Path | None = None
    user: str | None = None
    group: str | None = None
    umask: Octal = 0o027
    stdout: Path | None = None
    stderr: Path | None = None
    chown_pid_file: bool = False
    working_directory: Path | None = None


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """
    One server.

    Attributes:
        hosts: at least one.
        address: IP address or name to listen on; ``*`` for all, of both families.
        port: TCP port, 0 for any free one.
        tls: the address and port are encrypted; None when a host has a certificate.
        server_header: value of the ``Server`` field, empty for none.
        allow_anonymous_writes: a public listener may take writes from anybody.
        pre_stop: seconds from the first sign of stopping until no more connections
            are accepted, for balancers to notice.
        drain: seconds that open connections get when the server stops.
        workers: processes that serve, under a supervisor; 0 for a single process
            without one.
        trusted_proxies: networks whose word about clients counts; ``unix`` for
            whoever connects to a Unix socket.
        ordered: whoever follows several topics gets their messages in the order in
            which a process published them; see :class:`~beamfast.pubsub.hub.Hub`.
        verbose: say what happens.
        watch: read the configuration file again when it was saved.
        listeners: instead of address and port.
        limits: how much clients may take.
        daemon: how to leave the terminal.
        file: the configuration file; None for a folder.
    """

    hosts: tuple[HostConfig, ...]
    address: str = DEFAULT_ADDRESS
    port: Port = DEFAULT_PORT
    tls: bool | None = None
    server_header: str | None = None
    allow_anonymous_writes: bool = False
    pre_stop: float = 0.0
    drain: float = 20.0
    workers: int = 1
    trusted_proxies: tuple[str, ...] = ()
    ordered: bool = False
    verbose: bool = False
    watch: bool = False
    listeners: tuple[ListenerConfig, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    daemon: DaemonConfig = DaemonConfig()
    file: Path | None = None

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
        Refuse what would be unsafe, or cannot work.

        Raises:
            ConfigError: says what, one line for each.
        """
        problems = list(self._problems())
        if problems:
            raise ConfigError("\n".join(problems))

    def _problems(self) -> list[str]:
        problems = []
        is_restricted = all(
            any(plugin.name == "authorization" for plugin in host.plugins)
            for host in self.hosts
        )
        public = [one.listen for one in self.places if not one.is_loopback]
        if public and not (is_restricted or self.allow_anonymous_writes):
            problems.append(
                f"{', '.join(public)} is reachable from other machines and nothing "
                "restricts who may edit; listen on 127.0.0.1, configure the "
                "authorization plugin, or pass --allow-anonymous-writes"
            )
        for name in self.trusted_proxies:
            try:
                name == "unix" or ipaddress.ip_network(name, strict=False)
            except ValueError as error:
                problems.append(f"trusted_proxies: {error}")
        if self.ordered not in (True, False):
            problems.append(f"ordered: {self.ordered!r} is neither true nor false")
        if self.watch and self.file is None:
            problems.append("watch: a folder has no configuration file to watch")
        certified = any(host.ssl_cert for host in self.hosts)
        encrypted = any(one.tls for one in self.places)
        if encrypted and not certified:
            problems.append("a listener is encrypted, and no host has a certificate")
        if any(one.proxy_protocol for one in self.places) and not self.trusted_proxies:
            problems.append(
                "a listener expects the PROXY protocol, and no trusted_proxies are "
                "named; nobody could connect"
            )
        return problems

    @property
    def places(self) -> tuple[ListenerConfig, ...]:
        """Where to listen."""
        if self.listeners:
            return self.listeners
        tls = (
            any(host.ssl_cert for host in self.hosts) if self.tls is None else self.tls
        )
        host = f"[{self.address}]" if ":" in self.address else self.address
        return (ListenerConfig(f"{host}:{self.port}", tls=tls),)

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can connect."""
        return all(one.is_loopback for one in self.places)


def is_loopback_name(name: str) -> bool:
    """Return True for ``localhost``, names below it, and loopback addresses."""
    name = name.lower().strip("[]").rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
