"""The server: everything put together, started, reloaded, drained and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import uvloop

from beamfast import __version__
from beamfast.connection.admission import Admission
from beamfast.connection.service import Application, Service
from beamfast.documents.allocator import tune_allocator
from beamfast.errors import ConfigError
from beamfast.protocol.http11 import Limits
from beamfast.pubsub.bus import Bus
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server import systemd
from beamfast.server.binding import Bound, bind, urls_of
from beamfast.server.commands import announced
from beamfast.server.config import ServerConfig
from beamfast.server.embedding import Embedding, Source
from beamfast.server.farewell import Farewell
from beamfast.server.filewatch import INTERVAL, FileWatch
from beamfast.server.forwarded import TrustedProxies
from beamfast.server.hosting import Hosting
from beamfast.server.listener import Closable, listen
from beamfast.server.logs import dump_tasks
from beamfast.server.plugin_types import load_plugins
from beamfast.server.rundir import hold_roots
from beamfast.server.stuck import StuckAlarm

logger: logging.Logger = logging.getLogger("beamfast.server")


class Server(Embedding):
    """
    One process that serves the hosts of a configuration, and Python handlers.

    Args:
        config: what to serve; checked here. A folder stands for the default
            pipeline on it, None for handlers alone.
        address: to listen on instead of the configuration's.
        port: likewise; 0 for any free one.
        ordered: one order over all topics, likewise.
        bound: the listeners, when somebody else binds them and closes them.
        folder: of what belongs to this server while it runs.
        shares: other processes serve the same documents.
        reload: what plugins call to have the configuration read again; by default
            this process does it.
        reread: returns the configuration as it is now; what was given by default.

    Raises:
        ConfigError: the configuration is unsafe or names what does not exist.
    """

    def __init__(
        self,
        config: Source = None,
        *,
        address: str | None = None,
        port: int | None = None,
        ordered: bool | None = None,
        bound: Sequence[Bound] | None = None,
        folder: Path | None = None,
        shares: bool = False,
        reload: Callable[[], Awaitable[Sequence[str]]] | None = None,
        reread: Callable[[], ServerConfig] | None = None,
    ) -> None:
        super().__init__(config, address=address, port=port, ordered=ordered)
        self.config.check()
        for host in self.config.hosts:
            load_plugins(host.plugins)
        self._bound = list(bound or ())
        self._owns_listeners = bound is None
        self._folder = folder
        self._shares = shares
        self._ask_reload = reload or self.reload
        self._reread = reread or (lambda: self.config)
        self._restarts = False
        self._tells_systemd = False
        self._draining = asyncio.Event()
        self._cut = asyncio.Event()
        self._watchdog: asyncio.TimerHandle | None = None
        self._reloads: set[asyncio.Future[Sequence[str]]] = set()
        self.hosting: Hosting
        self.url: str = ""
        """Where clients connect to, between ``async with`` and its end."""
        self._roots = contextlib.ExitStack()
        self._serving: asyncio.Task[None] | None = None

    def bind(self) -> str:
        """
        Bind the listeners and return the URL of the first.

        Raises:
            OSError: a port is in use, or may not be bound.
            ConfigError: there is no such place.
        """
        if not self._bound:
            self._bound = bind(self.config.places)
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Where clients connect to."""
        return urls_of(self._bound)

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
        roots = [one.root for one in self.config.hosts]
        path = self.config.file or next(iter(roots), Path())
        self.bind()
        with (
            hold_roots(roots),
            announced(path, roots, self.urls, workers=0),
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
            handle_signals: stop at SIGINT and SIGTERM, reload at SIGHUP.
        """
        url = self.bind()
        tune_allocator()
        loop = asyncio.get_running_loop()
        if handle_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.stop)
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
            loop.add_signal_handler(signal.SIGUSR2, _refuse_replacement)
            loop.add_signal_handler(signal.SIGQUIT, dump_tasks)
            self._tells_systemd = True
        ordered = self.config.ordered
        hub = self._hub = Hub(loop, bus=bus, shared=self._folder, ordered=ordered)
        try:
            with contextlib.ExitStack() as stack:
                if handle_signals:
                    stack.enter_context(StuckAlarm(loop))
                    stack.callback(loop.create_task(self._watch()).cancel)
                await self._serve(hub, on_ready, url)
        finally:
            self._hub = None
            await hub.close()
            if self._owns_listeners:
                for one in self._bound:
                    one.close()
                self._bound = []

    async def _serve(
        self, hub: Hub, on_ready: Callable[[str], None] | None, url: str
    ) -> None:
        config = self.insert(self.config)
        loop = asyncio.get_running_loop()
        run_state = RunState(self._folder)
        shared = self._folder if self._shares else None
        hosting = self.hosting = Hosting(
            config, hub, loop, shared=shared, run_state=run_state
        )
        service = make_service(hosting.application, hub, loop, config)
        hub.open_connections = service.heartbeat.connections
        admission = Admission(service)

        def apply(config: ServerConfig) -> None:
            self.config = config
            configure(service, config)
            limits = config.limits
            admission.most = limits.max_connections or _room()
            admission.per_address = limits.max_connections_per_address
            admission.per_second = limits.connections_per_second

        apply(config)
        hosting.start(service, self._ask_reload, apply)
        listeners = await self._listen(admission, hosting)
        try:
            self._tell(systemd.READY, f"STATUS=serving {' '.join(self.urls)}")
            self._feed_watchdog(loop)
            if on_ready is not None:
                on_ready(url)
            await self._draining.wait()
            logger.info("stopping")
            self._tell(systemd.STOPPING)
            # Probes are the first to learn of it.
            service.is_draining = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._cut.wait(), self.config.pre_stop)
            for listener in listeners:
                listener.close()
            farewell = Farewell(service, self.config.drain, restarts=self._restarts)
            await farewell.take(self._cut)
        finally:
            for listener in listeners:
                listener.close()
            if self._watchdog is not None:
                self._watchdog.cancel()
            await service.cancel_handlers()
            await hosting.stop()
            run_state.close()
            service.expiry.close()
            service.heartbeat.close()

    async def _listen(self, admission: Admission, hosting: Hosting) -> list[Closable]:
        limits = self.config.limits
        proxies = TrustedProxies(self.config.trusted_proxies)
        return [
            await listen(
                *(bound.sockets[0], admission),
                tls=hosting.certificates.context if bound.config.tls else None,
                proxies=proxies if bound.config.proxy_protocol else None,
                handshake_timeout=limits.head_timeout,
            )
            for bound in self._bound
        ]

    def _tell(self, *lines: str) -> None:
        """Tell systemd, if no supervisor does."""
        if self._tells_systemd:
            systemd.notify(*lines)

    def _feed_watchdog(self, loop: asyncio.AbstractEventLoop) -> None:
        """Show that the loop turns, for as long as it does."""
        interval = systemd.watchdog_interval()
        if self._tells_systemd and interval is not None:
            self._tell(systemd.WATCHDOG)
            self._watchdog = loop.call_later(interval, self._feed_watchdog, loop)

    async def _watch(self) -> None:
        """Reload whenever the configuration was saved, while it says so."""
        if self.config.file is None:
            return
        watch = FileWatch(self.config.file)
        while True:
            await asyncio.sleep(INTERVAL)
            if watch.has_changed() and self.config.watch:
                await self.reload()

    async def reload(self) -> Sequence[str]:
        """
        Read the configuration again and serve what it says.

        Returns:
            the problems; if there are any, nothing has changed.
        """
        logger.info("Reloading configuration...")
        if self._tells_systemd:
            systemd.reloading()
        try:
            config = self.insert(await asyncio.to_thread(self._reread))
            self.hosting.replace(self.hosting.prepare(self.insert(config)))
        except ConfigError as error:
            logger.error("The configuration stays as it was: %s", error)
            return str(error).splitlines()
        finally:
            self._tell(systemd.READY)
        logger.info("Configuration reloaded successfully")
        return ()

    def share(self) -> None:
        """From now on other processes serve the same documents."""
        assert self._folder is not None
        if not self._shares:
            self._shares = True
            self.hosting.share(self._folder)

    def _reload_soon(self) -> None:
        task = asyncio.ensure_future(self.reload())
        # Somebody has to hold it.
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def __aenter__(self) -> Self:
        """
        Serve on the running loop, and return once connections are accepted.

        Raises:
            ConfigError: another server has one of the document roots.
            OSError: the port is in use, or may not be bound.
        """
        self._roots.enter_context(hold_roots(one.root for one in self.config.hosts))
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[str] = loop.create_future()
        serving = self._serving = loop.create_task(self.serve(ready.set_result))
        try:
            either: set[asyncio.Future[Any]] = {ready, serving}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
            self.url = ready.result().rstrip("/")
        except BaseException:
            serving.cancel()
            self._roots.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let what is open end, write the files, and stop."""
        self.drain()
        try:
            if self._serving is not None:
                await self._serving
        finally:
            self.url, self._serving = "", None
            self._roots.close()

    def stop(self) -> None:
        """Begin to stop; a second call cuts what is still open."""
        if self._draining.is_set():
            self.cut()
        self.drain()

    def drain(self, *, restarts: bool = False) -> None:
        """
        Accept no more and let what is open end; again means the same.

        Args:
            restarts: others take over.
        """
        self._restarts = self._restarts or restarts
        self._draining.set()

    def cut(self) -> None:
        """Drain without waiting for what is open."""
        self._draining.set()
        self._cut.set()


def _refuse_replacement() -> None:
    logger.warning("SIGUSR2 needs a supervisor: this server has --workers 0")


def _room() -> int:
    """Return how many connections the descriptors of this process allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft * 9 // 10


def make_service(
    application: Application,
    hub: Hub,
    loop: asyncio.AbstractEventLoop,
    config: ServerConfig,
) -> Service:
    """Return what the connections share."""
    service = Service(application, loop, hub.registry)
    configure(service, config)
    return service


def configure(service: Service, config: ServerConfig) -> None:
    """Make the settings of a configuration count for connections."""
    limits = config.limits
    header = config.server_header
    service.name_server(f"beamfast/{__version__}" if header is None else header)
    service.limits = Limits(
        limits.request_line, limits.head, limits.fields, limits.max_body
    )
    service.head_timeout = limits.head_timeout
    service.body_timeout = limits.body_timeout
    service.idle_timeout = limits.keep_alive
