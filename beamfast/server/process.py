"""
One worker process: take the assignment, serve, show signs of life, drain.

The other end of the control socket is :mod:`beamfast.server.worker`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from beamfast.errors import BusError, ConfigError
from beamfast.pubsub.bus import LateBus
from beamfast.pubsub.unix import UnixBus
from beamfast.server.binding import Bound
from beamfast.server.control import (
    ABANDON,
    COMMIT,
    CUT,
    DRAIN,
    HEARTBEAT,
    HEARTBEAT_INTERVAL,
    PREPARE,
    PREPARED,
    READY,
    REFUSED,
    RELOAD,
    RELOADED,
    REPLACE,
    SHARE,
    SHARED,
    Assignment,
    Control,
    config_from_json,
    config_to_json,
    overrides_from_json,
)
from beamfast.server.hosting import Prepared
from beamfast.server.loading import load_with_environment
from beamfast.server.logs import dump_tasks, log_to_terminal
from beamfast.server.plugin_types import load_plugins
from beamfast.server.server import Server
from beamfast.server.stuck import StuckAlarm

logger: logging.Logger = logging.getLogger("beamfast.server")

#: Exit codes: the supervisor is gone, and what it gave us cannot be used.
FAILURE: Final = 1
UNUSABLE: Final = 2


def run_worker(descriptor: int) -> int:
    """
    Serve until the supervisor says otherwise, or is gone.

    Args:
        descriptor: of the control socket.

    Returns:
        the exit code.
    """
    # The terminal sends Ctrl-C to all processes; what it means for this one the
    # supervisor says. It was held back until here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with contextlib.closing(Control(socket.socket(fileno=descriptor))) as control:
        assignment = control.assignment()
        if assignment is None:
            return FAILURE
        log_to_terminal(verbose=assignment.verbose)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(control, assignment))
        except (BusError, ConfigError) as error:
            logger.error("beamfast: %s", error)
            return UNUSABLE
    return 0


async def serve(control: Control, assignment: Assignment) -> None:
    """
    Serve what is assigned, on the running loop, until told to drain.

    Raises:
        ConfigError: the configuration cannot be used.
        BusError: the other workers cannot be reached.
    """
    bound = [
        Bound(place, (socket.socket(fileno=descriptor),))
        for descriptor, place in assignment.listeners
    ]
    try:
        await _Worker(control, assignment, bound).run()
    finally:
        for one in bound:
            one.close(remove=False)


class _Worker:
    """A server that does what its supervisor says."""

    def __init__(
        self, control: Control, assignment: Assignment, bound: list[Bound]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._control = control
        self._assignment = assignment
        self._bus = LateBus()
        self._server = Server(
            assignment.config,
            bound=bound,
            folder=assignment.folder,
            shares=assignment.shares,
            reload=self._ask_reload,
        )
        self._prepared: Prepared | None = None
        self._waiting: list[asyncio.Future[list[str]]] = []
        self._beat: asyncio.TimerHandle
        self._is_ready = False
        self._acts: dict[str, Callable[[], None]] = {
            DRAIN: self._server.drain,
            REPLACE: partial(self._server.drain, restarts=True),
            CUT: self._server.cut,
            SHARE: self._share,
            COMMIT: self._commit,
            ABANDON: self._abandon,
        }

    async def run(self) -> None:
        """Serve until told to drain, or until nobody says anything any more."""
        loop = self._loop
        if self._assignment.shares:
            self._connect()
        loop.add_reader(self._control, self._listen)
        # What came with the assignment has been read; no poll would tell of it.
        self._listen()
        # systemd sends it to every process of a service; draining twice is once.
        loop.add_signal_handler(signal.SIGTERM, self._server.drain)
        loop.add_signal_handler(signal.SIGQUIT, dump_tasks)
        # The supervisor reads the configuration; a service may be told as a whole.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        self._heartbeat()
        try:
            with StuckAlarm(loop):
                await self._server.serve(self._ready, bus=self._bus)
        finally:
            self._beat.cancel()
            loop.remove_reader(self._control)
            for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _ready(self, url: str) -> None:
        self._is_ready = True
        self._control.send(READY)

    def _heartbeat(self) -> None:
        self._control.send(HEARTBEAT)
        self._beat = self._loop.call_later(HEARTBEAT_INTERVAL, self._heartbeat)

    def _listen(self) -> None:
        words = self._control.receive()
        # The end of the stream: nobody would restart us, forward a signal or
        # hold the port.
        if words is None:
            self._loop.remove_reader(self._control)
            self._server.drain()
            return
        for line in words:
            word, _, rest = line.partition(" ")
            if word == PREPARE:
                self._prepare(rest)
            elif word == RELOADED:
                self._answer(json.loads(rest))
            elif act := self._acts.get(word):
                act()

    # Others beside us.

    def _connect(self) -> None:
        seat, seats = self._assignment.seat, 2 * self._assignment.workers
        self._bus.connect(UnixBus(self._assignment.folder, seat, seats))

    def _share(self) -> None:
        self._connect()
        self._server.share()
        self._control.send(SHARED)

    # Another configuration.

    def _prepare(self, text: str) -> None:
        if not self._is_ready:
            # Started with the old one; whoever replaces it gets the new one.
            self._refuse(["a worker has not started yet; try again"])
            return
        try:
            self._prepared = self._server.hosting.prepare(config_from_json(text))
        except ConfigError as error:
            self._refuse(str(error).splitlines())
        else:
            self._control.send(PREPARED)

    def _refuse(self, problems: list[str]) -> None:
        self._control.send(f"{REFUSED} {json.dumps(problems)}")

    def _commit(self) -> None:
        if self._prepared is not None:
            self._server.hosting.replace(self._prepared)
            self._prepared = None

    def _abandon(self) -> None:
        if self._prepared is not None:
            self._server.hosting.abandon(self._prepared)
            self._prepared = None

    async def _ask_reload(self) -> Sequence[str]:
        answer: asyncio.Future[list[str]] = self._loop.create_future()
        self._waiting.append(answer)
        self._control.send(RELOAD)
        return await answer

    def _answer(self, problems: list[str]) -> None:
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            if not answer.done():
                answer.set_result(problems)


def print_config(path: Path, overrides: str) -> int:
    """
    Print a configuration as JSON, or its mistakes; return the exit code.

    The supervisor has this done in another process, because reading one takes the
    parser of HTML and every plugin, and the supervisor stays small.

    Args:
        path: of a configuration file or folder.
        overrides: what the command line says, by name, in JSON.
    """
    try:
        loaded = load_with_environment(path, overrides_from_json(overrides))
        loaded.config.check()
        for host in loaded.config.hosts:
            load_plugins(host.plugins)
    except ConfigError as error:
        sys.stdout.write(str(error))
        return UNUSABLE
    sys.stdout.write(config_to_json(loaded.config))
    return 0
