"""The server: everything put together, started, drained and stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable

import uvloop

from beamfast import __version__
from beamfast.connection.service import Service
from beamfast.documents.allocator import tune_allocator
from beamfast.pubsub.hub import Hub
from beamfast.server.config import ServerConfig
from beamfast.server.host import Host, Hosts
from beamfast.server.listener import listen, url_of
from beamfast.server.plugin_types import load_plugin
from beamfast.server.worker import bind_tcp

logger: logging.Logger = logging.getLogger("beamfast.server")


class Server:
    """
    One process that serves the hosts of a configuration.

    Args:
        config: what to serve; checked here.

    Raises:
        ConfigError: the configuration is unsafe or names what does not exist.
    """

    def __init__(self, config: ServerConfig) -> None:
        config.check()
        for host in config.hosts:
            for plugin in host.plugins:
                load_plugin(plugin)
        self.config = config
        self._listener: socket.socket | None = None
        self._stopping: asyncio.Event | None = None

    def bind(self) -> str:
        """
        Bind the listener and return its URL.

        Raises:
            OSError: the port is in use, or may not be bound.
        """
        if self._listener is None:
            self._listener = bind_tcp(self.config.address, self.config.port)
        return url_of(self._listener)

    def run(self, on_ready: Callable[[str], None] | None = None) -> None:
        """
        Serve until SIGINT or SIGTERM; a second signal cuts what is still open.

        Args:
            on_ready: called with the URL once connections are accepted.
        """
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve(on_ready, handle_signals=True))

    async def serve(
        self,
        on_ready: Callable[[str], None] | None = None,
        *,
        handle_signals: bool = False,
    ) -> None:
        """
        Serve on the running loop until :meth:`stop` is called.

        Args:
            on_ready: called with the URL once connections are accepted.
            handle_signals: stop at SIGINT and SIGTERM.
        """
        url = self.bind()
        listener = self._listener
        assert listener is not None
        tune_allocator()
        loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        if handle_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.stop)
        config = self.config
        hub = Hub(loop)
        hosts = Hosts(
            [Host(one, hub, loop) for one in config.hosts],
            is_loopback=config.is_loopback,
        )
        service = Service(
            hosts.handle,
            loop,
            hub.registry,
            server=config.server_header or f"beamfast/{__version__}",
        )
        for host in hosts.hosts:
            host.follow(service)
            host.start()
        server = await listen(listener, service)
        try:
            if on_ready is not None:
                on_ready(url)
            await self._stopping.wait()
            self._stopping.clear()
            logger.info("stopping")
            server.close()
            await self._drain(service)
        finally:
            server.close()
            for host in hosts.hosts:
                await host.stop()
            service.heartbeat.close()
            listener.close()
            self._listener = None

    def stop(self) -> None:
        """Begin to stop; a second call stops waiting for open connections."""
        if self._stopping is not None:
            self._stopping.set()

    async def _drain(self, service: Service) -> None:
        """Let requests finish, say goodbye to streams, cut what stays."""
        service.is_draining = True
        for connection in service.heartbeat.connections():
            connection.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.config.drain
        assert self._stopping is not None
        while len(service.heartbeat) and loop.time() < deadline:
            if self._stopping.is_set():
                break
            await asyncio.sleep(0.02)
        for connection in service.heartbeat.connections():
            connection.abort()
        # One turn, in which the transports report their end.
        await asyncio.sleep(0)
