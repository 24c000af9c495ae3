"""
The hosts that a process serves now, and how others take their place.

A new configuration is built and started beside the old one. One assignment puts it
in place; the old pipelines stop after their last request. Documents, and whoever
follows them, stay.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from beamfast.connection.service import Application, Service
from beamfast.errors import ConfigError, StorageError
from beamfast.http import Request, Response
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server.certificates import Certificates
from beamfast.server.config import HostConfig, ServerConfig
from beamfast.server.forwarded import TrustedProxies
from beamfast.server.host import Host, Hosts
from beamfast.server.site import Site

logger: logging.Logger = logging.getLogger("beamfast.server")

Reload = Callable[[], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A configuration whose hosts are running, and get no requests yet.

    Attributes:
        config: what it is made of.
        hosts: started.
        application: answers requests.
    """

    config: ServerConfig
    hosts: tuple[Host, ...]
    application: Application


class Hosting:
    """
    What a process serves.

    Args:
        config: the first one.
        hub: topics of this process.
        loop: of this process.
        shared: folder of what several workers share; None for a single one.
        run_state: of all workers.

    Raises:
        ConfigError: a plugin or a certificate cannot be used.
    """

    def __init__(
        self,
        config: ServerConfig,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        *,
        shared: Path | None,
        run_state: RunState,
    ) -> None:
        self.config: ServerConfig = config
        self._hub = hub
        self._loop = loop
        self._shared = shared
        self._run_state = run_state
        self._sites: dict[str, Site] = {}
        self._service: Service
        self._reload: Reload
        self._apply: Callable[[ServerConfig], None]
        self._retiring: set[asyncio.Task[None]] = set()
        self.hosts: tuple[Host, ...] = self._hosts(config)
        self.application: Application = _application(config, self.hosts)
        self.certificates: Certificates = Certificates(config.hosts)

    def start(
        self,
        service: Service,
        reload: Reload,
        apply: Callable[[ServerConfig], None] = lambda config: None,
    ) -> None:
        """
        Start the hosts and answer the requests of ``service``.

        Args:
            service: of all connections.
            reload: what plugins call to have the configuration read again.
            apply: makes other settings count for the connections.
        """
        self._service, self._reload, self._apply = service, reload, apply
        self._start(self.config, self.hosts)
        self.certificates.follow(self._loop)

    def prepare(self, config: ServerConfig) -> Prepared:
        """
        Build and start what another configuration asks for.

        Raises:
            ConfigError: it cannot be used, and nothing has changed.
        """
        # Looked at now, while it can be refused.
        Certificates(config.hosts)
        hosts = self._hosts(config)
        for host in hosts:
            if (predecessor := self._predecessor(host)) is not None:
                host.pipeline.take_over(predecessor.pipeline)
        self._start(config, hosts)
        return Prepared(config, hosts, _application(config, hosts))

    def replace(self, prepared: Prepared) -> None:
        """Serve what is prepared; the old pipelines stop when they are done."""
        old = self.hosts
        self.config, self.hosts = prepared.config, prepared.hosts
        self._service.application = self.application = prepared.application
        self._apply(prepared.config)
        for site in self._sites.values():
            site.store.edit_limit = prepared.config.limits.edit_limit
        try:
            self.certificates.replace(prepared.config.hosts)
        except ConfigError as error:
            logger.error("%s; the old ones stay", error)
        self._retire(old)

    def abandon(self, prepared: Prepared) -> None:
        """Serve as before."""
        self._retire(prepared.hosts)

    def share(self, shared: Path) -> None:
        """From now on other processes serve the same documents."""
        self._shared = shared
        for site in self._sites.values():
            site.share(shared)

    async def stop(self) -> None:
        """Finish the edits that wait, then stop the plugins."""
        self.certificates.close()
        for site in self._sites.values():
            await site.stop()
        for host in self.hosts:
            host.pipeline.stop()
            await host.pipeline.finish()
        # What has waited for its last request has nothing left to wait for.
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def _hosts(self, config: ServerConfig) -> tuple[Host, ...]:
        return tuple(
            Host(
                *(one, self._hub, self._loop),
                run_state=self._run_state,
                site=self._site(one, config),
            )
            for one in config.hosts
        )

    def _site(self, host: HostConfig, config: ServerConfig) -> Site:
        root = str(host.root.resolve())
        if root not in self._sites:
            try:
                self._sites[root] = Site(
                    *(host, self._hub, self._loop),
                    shared=self._shared,
                    limits=config.limits,
                )
            except StorageError as error:
                # Of another version, for one: then a new generation changes nothing.
                raise ConfigError(str(error)) from error
        return self._sites[root]

    def _predecessor(self, host: Host) -> Host | None:
        """Return who serves the same documents under one of the same names."""
        same = [old for old in self.hosts if old.site is host.site]
        names = set(host.config.names)
        for old in same:
            if names & set(old.config.names):
                return old
        return same[0] if len(same) == 1 else None

    def _start(self, config: ServerConfig, hosts: Sequence[Host]) -> None:
        for index, host in enumerate(hosts):
            host.follow(self._service)
            host.status.config_file = config.file
            host.status.reload = self._reload
            try:
                host.start()
            except Exception as error:
                for started in hosts[:index]:
                    started.pipeline.stop()
                raise ConfigError(f"{host.config.place}: {error}") from error

    def _retire(self, hosts: Sequence[Host]) -> None:
        for host in hosts:
            task = self._loop.create_task(host.pipeline.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)


def _application(config: ServerConfig, hosts: Sequence[Host]) -> Application:
    """Return what answers requests, with what proxies say of them if any counts."""
    handle = Hosts(hosts, is_loopback=config.is_loopback).handle
    if not config.trusted_proxies:
        return handle
    proxies = TrustedProxies(config.trusted_proxies)

    def behind_proxies(request: Request) -> Response | Awaitable[Response]:
        proxies.apply(request)
        return handle(request)

    return behind_proxies
