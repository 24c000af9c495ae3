"""The server: everything put together, started, drained and stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvloop

from beamfast import __version__
from beamfast.connection.service import Service
from beamfast.documents.allocator import tune_allocator
from beamfast.pubsub.bus import Bus
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server.binding import bind_tcp, url_of
from beamfast.server.config import ServerConfig
from beamfast.server.host import Host, Hosts
from beamfast.server.listener import listen
from beamfast.server.plugin_types import load_plugins
from beamfast.server.rundir import hold_roots

logger: logging.Logger = logging.getLogger("beamfast.server")


class Server:
    """
    One process that serves the hosts of a configuration.

    Args:
        config: what to serve; checked here.
        listener: bound and listening; own ones are bound without it.
        shared: folder of what the workers share, if there are others.

    Raises:
        ConfigError: the configuration is unsafe or names what does not exist.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        listener: socket.socket | None = None,
        shared: Path | None = None,
    ) -> None:
        config.check()
        for host in config.hosts:
            load_plugins(host.plugins)
        self.config = config
        self._listener = listener
        self._shared = shared
        self._draining = asyncio.Event()
        self._cut = asyncio.Event()

    def bind(self) -> str:
        """
        Bind the listener and return its URL.

        Raises:
            OSError: the port is in use, or may not be bound.
        """
        if self._listener is None:
            self._listener = bind_tcp(self.config.address, self.config.port)
        return url_of(self._listener)

    def run(self, on_ready: Callable[[str], None] | None = None) -> int:
        """
        Serve until SIGINT or SIGTERM; a second signal cuts what is still open.

        Args:
            on_ready: called with the URL once connections are accepted.

        Returns:
            the exit code.

        Raises:
            ConfigError: another server has one of the document roots.
        """
        with (
            hold_roots(one.root for one in self.config.hosts),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(self.serve(on_ready, handle_signals=True))
        return 0

    async def serve(
        self,
        on_ready: Callable[[str], None] | None = None,
        *,
        bus: Bus | None = None,
        handle_signals: bool = False,
    ) -> None:
        """
        Serve on the running loop until told to stop or drain.

        Args:
            on_ready: called with the URL once connections are accepted.
            bus: to the other workers, if there are any; closed at the end.
            handle_signals: stop at SIGINT and SIGTERM.
        """
        url = self.bind()
        tune_allocator()
        loop = asyncio.get_running_loop()
        if handle_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.stop)
        hub = Hub(loop, bus=bus, shared=self._shared)
        try:
            await self._serve(hub, on_ready, url)
        finally:
            await hub.close()
            self._close_listener()

    async def _serve(
        self, hub: Hub, on_ready: Callable[[str], None] | None, url: str
    ) -> None:
        config = self.config
        loop = asyncio.get_running_loop()
        run_state = RunState(self._shared)
        hosts = Hosts(
            [
                Host(one, hub, loop, shared=self._shared, run_state=run_state)
                for one in config.hosts
            ],
            is_loopback=config.is_loopback,
        )
        service = Service(
            hosts.handle,
            loop,
            hub.registry,
            server=(
                f"beamfast/{__version__}"
                if config.server_header is None
                else config.server_header
            ),
        )
        hub.open_connections = service.heartbeat.connections
        for host in hosts.hosts:
            host.follow(service)
            host.start()
        assert self._listener is not None
        server = await listen(self._listener, service)
        try:
            if on_ready is not None:
                on_ready(url)
            await self._draining.wait()
            logger.info("stopping")
            server.close()
            await self._drain(service)
        finally:
            server.close()
            await service.cancel_handlers()
            for host in hosts.hosts:
                await host.stop()
            run_state.close()
            service.expiry.close()
            service.heartbeat.close()

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def stop(self) -> None:
        """Begin to stop; a second call cuts what is still open."""
        if self._draining.is_set():
            self.cut()
        self.drain()

    def drain(self) -> None:
        """Accept no more and let what is open end; again means the same."""
        self._draining.set()

    def cut(self) -> None:
        """Drain without waiting for what is open."""
        self._draining.set()
        self._cut.set()

    async def _drain(self, service: Service) -> None:
        """Let requests finish, say goodbye to streams, cut what stays."""
        service.is_draining = True
        for connection in service.heartbeat.connections():
            connection.on_drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.config.drain
        while len(service.heartbeat) and loop.time() < deadline:
            if self._cut.is_set():
                break
            await asyncio.sleep(0.02)
        for connection in service.heartbeat.connections():
            connection.abort()
        # One turn, in which the transports report their end.
        await asyncio.sleep(0)
