"""
Virtual hosts: a document root with its store, committer and pipeline.

Here too stand the two checks that protect every host alike: a ``Host`` that
cannot be ours on a loopback listener, and writes that a foreign page sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from beamfast.commit.committer import Committer
from beamfast.connection.service import Service
from beamfast.documents.store import DocumentStore
from beamfast.http import WRITE_METHODS, Request, Response
from beamfast.pipeline import Context, Pipeline, Status
from beamfast.protocol.handshake import origin_allowed
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server.config import HostConfig, is_loopback_name
from beamfast.server.plugin_types import load_plugins
from beamfast.server.site import Site

#: Values of ``Host`` that need no second look.
REMEMBERED_NAMES: Final = 1024
#: Stands for what HTTP/1.0 may leave out, and for an empty field.
_NO_HOST: Final = b"localhost"


class Host:
    """
    One virtual host. Constructing it reads nothing but its plugins' code.

    Args:
        config: names, root and plugins.
        hub: topics of this process.
        loop: of this process.
        shared: folder of what several workers share; None for a single one.
        run_state: of all workers; an own one without it.
        site: documents that outlive the host; own ones without it.

    Raises:
        ConfigError: a plugin or one of its options does not exist.
    """

    def __init__(
        self,
        config: HostConfig,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        *,
        shared: Path | None = None,
        run_state: RunState | None = None,
        site: Site | None = None,
    ) -> None:
        self.config = config
        self._owns_site = site is None
        self.site: Site = site or Site(config, hub, loop, shared=shared)
        self.store: DocumentStore = self.site.store
        self.committer: Committer = self.site.committer
        context = Context(
            self.store,
            self.committer,
            hub,
            host_names=config.names,
            allowed_origins=config.allowed_origins,
            server_name=(
                "beamfast" if config.server_header is None else config.server_header
            ),
            run_state=run_state or RunState(),
        )
        plugins = load_plugins(config.plugins)
        self.pipeline: Pipeline = Pipeline(plugins, context, config.server_header)
        context.rights.ask_pipeline = self.pipeline.ask

    @property
    def status(self) -> Status:
        """What the plugins know of the process."""
        return self.pipeline.context.status

    def start(self) -> None:
        """Start the documents, if nobody has, and the plugins."""
        self.site.start()
        self.pipeline.start()

    def follow(self, service: Service) -> None:
        """Let the plugins know how the connections of the process are."""
        self.status.is_draining = lambda: service.is_draining
        self.status.connections = partial(len, service.heartbeat)

    async def stop(self) -> None:
        """Finish the edits that wait, then stop the plugins."""
        if self._owns_site:
            await self.site.stop()
        self.pipeline.stop()
        await self.pipeline.finish()


class Hosts:
    """
    All hosts of a server; chooses one by the ``Host`` field.

    Args:
        hosts: in configured order; the first with a name owns it.
        is_loopback: only this machine can connect, so any other name in
            ``Host`` is a page that rebound its own name to us.
    """

    def __init__(self, hosts: Sequence[Host], *, is_loopback: bool) -> None:
        self.hosts: tuple[Host, ...] = tuple(hosts)
        self._is_loopback = is_loopback
        self._by_name: dict[str, Host] = {}
        for host in hosts:
            for name in host.config.names:
                self._by_name.setdefault(name.lower(), host)
        self._chosen: dict[bytes, tuple[Host | None, bool]] = {}

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        """Answer ``request``; never raises."""
        value = request.headers.first(b"host") or _NO_HOST
        host, is_ours = self._chosen.get(value) or self._choose(value)
        if host is None:
            return Response(404, "Host not found")
        if not is_ours:
            return host.pipeline.answer(
                request, Response(421, "This server does not have that name")
            )
        if request.method in WRITE_METHODS and is_foreign(request, host.config):
            return host.pipeline.answer(
                request, Response(403, "Writes from other origins are refused")
            )
        return host.pipeline.handle(request)

    def _choose(self, value: bytes) -> tuple[Host | None, bool]:
        """Return the host for a ``Host`` field, and whether the name may be ours."""
        name = host_name(value.decode("latin-1"))
        host, is_ours = self._by_name.get(name) or self._by_wildcard(name), True
        if host is None:
            host = self._by_name.get("*")
            is_ours = not self._is_loopback or is_loopback_name(name)
        # Clients choose the values, so there may be any number.
        if len(self._chosen) >= REMEMBERED_NAMES:
            self._chosen.clear()
        self._chosen[value] = host, is_ours
        return host, is_ours

    def _by_wildcard(self, name: str) -> Host | None:
        """Return the host with the longest ``*.`` name that covers ``name``."""
        while name := name.partition(".")[2]:
            if host := self._by_name.get(f"*.{name}"):
                return host
        return None


def host_name(value: str) -> str:
    """Return the name in a ``Host`` field, lower-cased, without the port."""
    if value.startswith("["):
        return value[: value.find("]") + 1].lower()
    return value.partition(":")[0].lower()


def is_foreign(request: Request, config: HostConfig) -> bool:
    """
    Return True when a page of another origin sent this write.

    A browser sends a plain POST without asking first, so neither cookies nor
    CORS stand in its way (production rule: own host, or listed).
    """
    headers = request.headers
    if (headers.get("sec-fetch-site") or "").lower() == "cross-site":
        origin = headers.get("origin")
        if origin is None or origin.lower() not in config.allowed_origins:
            return True
    return not origin_allowed(
        headers, config.allowed_origins, is_secure=request.is_secure
    )
