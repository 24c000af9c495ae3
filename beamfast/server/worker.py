"""
The supervisor: it holds the listening sockets and keeps the workers alive.

Standard library only, no event loop and no threads: it has to outlive whatever
goes wrong in a worker. Workers are fresh interpreters, never forks. One that
ends is replaced at once, one that ends again and again with growing pauses, and
one that is silent is killed. All of them, and this process, can be replaced by
new ones on the same sockets.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from beamfast.server import systemd
from beamfast.server.binding import Bound, bind, urls_of
from beamfast.server.commands import CommandSocket, announced, obey
from beamfast.server.config import ServerConfig
from beamfast.server.control import (
    CUT,
    DRAIN,
    PREPARED,
    REFUSED,
    RELOAD,
    REPLACE,
    SHARED,
    Assignment,
    config_to_json,
    overrides_to_json,
)
from beamfast.server.filewatch import FileWatch
from beamfast.server.generation import Generation
from beamfast.server.reading import command, config_command
from beamfast.server.reloading import Asker, Reloading, restart_needed
from beamfast.server.rundir import RootLocks, WorkerFolder, run_directory
from beamfast.server.signals import Signals
from beamfast.server.slot import Slot
from beamfast.server.written import Written

logger: logging.Logger = logging.getLogger("beamfast.supervisor")

#: Seconds without a sign of life, after which a worker is killed; a worker that
#: starts has longer.
SILENCE: Final = 10.0
START: Final = 30.0
#: Seconds beyond the drain for a worker to write its files and end.
GRACE: Final = 1.5
#: Seconds to end in when asked twice.
CUT_GRACE: Final = 0.7
#: The supervisor looks after its workers at least so often, in seconds.
ROUND: Final = 1.0


class Supervisor:
    """
    Keep the workers of one configuration running.

    Args:
        config: what to serve.
        path: where it was read; for reloads.
        overrides: what the command line said; for reloads.
        verbose: say what happens.
        starts: command of a worker, to which its control socket's descriptor is
            appended.
        silence: seconds without a heartbeat until a worker is killed.

    Raises:
        ConfigError: the configuration is unsafe.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        path: Path | None = None,
        overrides: Written | None = None,
        verbose: bool = False,
        starts: Sequence[str] | None = None,
        silence: float = SILENCE,
    ) -> None:
        config.check()
        self.config: ServerConfig = config
        self.path: Path = path or config.file or config.hosts[0].root
        self.overrides = overrides
        self.verbose = verbose
        self.urls: list[str] = []
        self.slots: list[Slot] = [Slot(n) for n in range(max(1, config.workers))]
        self.bound: list[Bound] = []
        self.roots: RootLocks = RootLocks()
        self.folder: WorkerFolder | None = None
        self.shares: bool = len(self.slots) > 1
        self.kill_at: float | None = None
        self.pid_file: Path | None = None
        self._starts = starts or command("worker")
        self._silence = silence
        self._selector: selectors.BaseSelector
        self._on_ready: Callable[[str], None] | None = None
        self._looked = 0.0
        self.was_ready: bool = False
        self._exit_code = 0
        self.generation: Generation = Generation(self)
        self.reloading: Reloading = Reloading(
            config_command(self.path, overrides), self._accept, FileWatch(self.path)
        )

    def bind(self) -> str:
        """
        Bind the listeners and return the URL of the first.

        Raises:
            OSError: a port is in use, or may not be bound.
            ConfigError: there is no such place.
        """
        if not self.bound:
            self.bound = bind(self.config.places, len(self.slots))
            self.urls = urls_of(self.bound)
        return self.urls[0]

    def run(self, on_ready: Callable[[str], None] | None = None) -> int:
        """
        Keep the workers running until SIGINT or SIGTERM.

        The signal lets them drain; a second one cuts what is still open.

        Args:
            on_ready: called with the URL once all workers accept connections.

        Returns:
            the exit code: 0, or that of a worker that could not start.

        Raises:
            ConfigError: another server has one of the document roots.
            OSError: the port is in use, or may not be bound.
        """
        self._on_ready = on_ready
        try:
            self.bind()
            with contextlib.ExitStack() as stack:
                stack.enter_context(self.roots)
                self.roots.hold(one.root for one in self.config.hosts)
                if self.folder is None:
                    self.folder = WorkerFolder(run_directory())
                stack.enter_context(self.folder)
                signals = stack.enter_context(Signals())
                self._selector = stack.enter_context(selectors.DefaultSelector())
                self._selector.register(signals, selectors.EVENT_READ, signals)
                roots = [one.root for one in self.config.hosts]
                commands = stack.enter_context(
                    announced(self.path, roots, self.urls, len(self.slots))
                )
                if commands is not None:
                    self._selector.register(commands, selectors.EVENT_READ, commands)
                # Whatever goes wrong here, no worker is left behind.
                stack.callback(self._kill_all)
                self._supervise()
        finally:
            self._close_listeners()
        return self._exit_code

    def _supervise(self) -> None:
        self._looked = time.monotonic()
        for slot in self.all_slots():
            self._watch(slot)
        self._look_after_all(self._looked)
        while self.kill_at is None or any(slot.process for slot in self.all_slots()):
            ready = self._selector.select(self._pause(time.monotonic()))
            now = time.monotonic()
            for key, _ in ready:
                if isinstance(key.data, Slot):
                    self._listen(key.data, now)
                elif isinstance(key.data, Signals):
                    for number in key.data.read():
                        self._signalled(number, now)
                elif isinstance(key.data, CommandSocket):
                    obey(key.data, self, now)
                elif self.reloading.readable(self.slots):
                    self._selector.unregister(key.fd)
            if now - self._looked > ROUND + self._silence / 2:
                # It was this process that slept (Ctrl-Z, a suspended machine);
                # what the workers said meanwhile is only being read.
                for slot in self.all_slots():
                    slot.heard = now
            self._looked = now
            self._look_after_all(now)

    def all_slots(self) -> list[Slot]:
        """Return those of every generation."""
        return [*self.slots, *self.generation.slots]

    def _signalled(self, number: int, now: float) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self.stop(now)
        elif number == signal.SIGHUP:
            self.reload(now)
        elif number == signal.SIGUSR2:
            self.generation.ask()
        elif number == signal.SIGQUIT:
            faulthandler.dump_traceback()
            for slot in self.all_slots():
                if slot.process is not None:
                    slot.process.send_signal(signal.SIGQUIT)

    def _watch(self, slot: Slot) -> None:
        if slot.control is not None:
            self._selector.register(slot.control, selectors.EVENT_READ, slot)

    def _listen(self, slot: Slot, now: float) -> None:
        was_ready = slot.is_ready
        words = slot.listen(now)
        if words is None:
            assert slot.control is not None
            self._selector.unregister(slot.control)
            return
        for line in words:
            word, _, rest = line.partition(" ")
            if word == RELOAD:
                self.reload(now, slot.tell_reloaded)
            elif word in (PREPARED, REFUSED):
                self.reloading.heard(slot, word, rest)
            elif word == SHARED:
                self.generation.shared()
        if slot.is_ready > was_ready and (self.was_ready or len(self.slots) > 1):
            assert slot.process is not None
            logger.info("worker %d is process %d", slot.number, slot.process.pid)

    # What can be asked for.

    def stop(self, now: float, *, restarts: bool = False) -> None:
        """
        Let the workers drain; a second call cuts what is still open.

        Args:
            now: on the monotonic clock.
            restarts: clients are told that others take over.
        """
        if self.kill_at is None:
            systemd.notify(systemd.STOPPING)
            # From now on connections are refused; nobody would serve them.
            if not self.config.pre_stop:
                self._close_listeners()
            self.kill_at = now + self.config.pre_stop + self.config.drain + GRACE
            word = REPLACE if restarts else DRAIN
        else:
            self.kill_at = now + CUT_GRACE
            word = CUT
        for slot in self.all_slots():
            slot.tell(word)

    def reload(self, now: float, asker: Asker = lambda problems: None) -> None:
        """Read the configuration again; ``asker`` gets the problems."""

        def answer(problems: list[str]) -> None:
            self.notify_ready()
            asker(problems)

        if self.kill_at is not None or self.generation.is_starting:
            answer(["the server is being stopped or replaced"])
            return
        systemd.reloading()
        self.reloading.ask(answer)
        self._begin_reload(now)

    def _begin_reload(self, now: float) -> None:
        # Workers that start do so with the configuration of before.
        if all(slot.is_ready for slot in self.slots):
            descriptor = self.reloading.begin(now)
            if descriptor is not None:
                self._selector.register(descriptor, selectors.EVENT_READ)

    def _accept(self, config: ServerConfig, is_in_place: bool) -> None:
        """Take a configuration that can be read, or that all workers have."""
        if not is_in_place:
            self.roots.hold(one.root for one in config.hosts)
            return
        for name in restart_needed(self.config, config):
            logger.warning("%s changed; that needs a restart", name)
        self.config = config

    # Looking after the workers.

    def _pause(self, now: float) -> float:
        times = [now + ROUND]
        if self.kill_at is not None:
            times.append(self.kill_at)
        else:
            times += [slot.due for slot in self.slots if slot.process is None]
        if (interval := systemd.watchdog_interval()) is not None:
            times.append(now + interval)
        return max(0.0, min(times) - now)

    def _look_after_all(self, now: float) -> None:
        for slot in self.slots:
            self._look_after(slot, now)
        self.generation.look(now)
        if self.config.watch and self.reloading.file.has_changed():
            self.reload(now)
        self.reloading.look(now)
        self._begin_reload(now)
        if systemd.watchdog_interval() is not None:
            systemd.notify(systemd.WATCHDOG)
        if self.kill_at is not None:
            if now >= self.kill_at:
                self._kill_all()
        elif not self.was_ready and all(slot.is_ready for slot in self.slots):
            self.was_ready = True
            self.notify_ready()
            if self._on_ready is not None:
                self._on_ready(self.urls[0])

    def notify_ready(self) -> None:
        """Tell systemd that we serve, and where."""
        systemd.notify(systemd.READY, f"STATUS=serving {' '.join(self.urls)}")

    def _look_after(self, slot: Slot, now: float) -> None:
        code = self.reap(slot, now)
        if self.kill_at is not None:
            return
        if code is not None:
            if not self.was_ready:
                # The others would fail at the same place, and so would the next.
                self._exit_code = max(code, 0) or 1
                self.stop(now)
                return
            logger.warning(
                "worker %d ended with %d, starting another", slot.number, code
            )
        if slot.process is None:
            if now >= slot.due and not self.reloading.is_running:
                self.start(slot, now)
        elif now - slot.heard > (self._silence if slot.is_ready else START):
            logger.error("worker %d is silent, killing it", slot.number)
            slot.kill()
            slot.heard = now

    def start(self, slot: Slot, now: float) -> None:
        """Start a worker in an empty slot."""
        assert self.folder is not None
        assignment = Assignment(
            self.config,
            slot.number,
            len(self.slots),
            tuple(
                (one.sockets[slot.number].fileno(), one.config) for one in self.bound
            ),
            self.folder.path,
            slot.seat,
            self.shares,
            self.verbose,
        )
        slot.start(self._starts, assignment, now)
        self._watch(slot)

    def reap(self, slot: Slot, now: float) -> int | None:
        """Return the exit code of a worker that has ended, and empty its slot."""
        control = slot.control
        if control is None:
            return None
        descriptor = control.fileno()
        code = slot.reap(now)
        if code is not None:
            self.reloading.gone(slot)
            # Unless the end of its stream has been seen before.
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
        return code

    def _kill_all(self) -> None:
        for slot in self.all_slots():
            slot.kill()

    def _close_listeners(self) -> None:
        for one in self.bound:
            one.close()
        self.bound = []

    # Handed on to whoever this process becomes.

    def to_state(self) -> dict[str, Any]:
        """Return what another one can go on with; its descriptors are inherited."""
        assert self.folder is not None
        return {
            "config": config_to_json(self.config),
            "path": str(self.path),
            "overrides": overrides_to_json(self.overrides or Written("command line")),
            "verbose": self.verbose,
            "pid_file": None if self.pid_file is None else str(self.pid_file),
            "bound": [one.to_state() for one in self.bound],
            "roots": self.roots.to_state(),
            "folder": self.folder.to_state(),
            "slots": [slot.to_state() for slot in self.slots],
            "old": self.generation.to_state(),
        }
