"""
The supervisor: it holds the listening sockets and keeps the workers alive.

Standard library only, no event loop and no threads: it has to outlive whatever
goes wrong in a worker. Workers are fresh interpreters, never forks. One that
ends is replaced at once, one that ends again and again with growing pauses, and
one that is silent is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from beamfast.errors import ConfigError
from beamfast.server.binding import Bound, bind, urls_of
from beamfast.server.config import ServerConfig
from beamfast.server.control import (
    CUT,
    DRAIN,
    Assignment,
    config_from_json,
    overrides_to_json,
)
from beamfast.server.rundir import WorkerFolder, hold_roots, run_directory
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


def command(*arguments: str) -> list[str]:
    """Return a command for our own code in a fresh interpreter."""
    # "-m" puts the current folder in front of the module path. Unless that is how
    # this process was started, a json.py in a served folder must not be imported.
    here = sys.path[:1] in ([""], [os.getcwd()])  # noqa: PTH109 - compared as text
    safe = [] if here else ["-P"]
    return [sys.executable, *safe, "-m", "beamfast.server", *arguments]


def config_command(path: Path, overrides: Written | None) -> list[str]:
    """Return the command that prints a configuration."""
    said = overrides_to_json(overrides or Written("command line"))
    return command("config", str(path), said)


def read_config(path: Path, overrides: Written | None = None) -> ServerConfig:
    """
    Read a configuration file, in another process.

    Args:
        path: of the file, or of a folder.
        overrides: what the command line says.

    Raises:
        ConfigError: it cannot be used; names every mistake.
    """
    done = subprocess.run(  # noqa: S603 - our own code
        config_command(path, overrides),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(done.stdout or f"{path}: cannot be read")
    return config_from_json(done.stdout)


class Supervisor:
    """
    Keep the workers of one configuration running.

    Args:
        config: what to serve.
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
        verbose: bool = False,
        starts: Sequence[str] | None = None,
        silence: float = SILENCE,
    ) -> None:
        config.check()
        self.config = config
        self._verbose = verbose
        self._starts = starts or command("worker")
        self._silence = silence
        self._slots = [Slot(number) for number in range(max(1, config.workers))]
        self._bound: list[Bound] = []
        self._folder: Path | None = None
        self._selector: selectors.BaseSelector
        self._on_ready: Callable[[str], None] | None = None
        self.urls: list[str] = []
        self._looked = 0.0
        self._was_ready = False
        self._kill_at: float | None = None
        self._exit_code = 0

    def bind(self) -> str:
        """
        Bind the listeners and return the URL of the first.

        Raises:
            OSError: a port is in use, or may not be bound.
            ConfigError: there is no such place.
        """
        if not self._bound:
            self._bound = bind(self.config.places, len(self._slots))
            self.urls = urls_of(self._bound)
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
                stack.enter_context(hold_roots(one.root for one in self.config.hosts))
                if len(self._slots) > 1:
                    folder = stack.enter_context(WorkerFolder(run_directory()))
                    self._folder = folder.path
                signals = stack.enter_context(Signals())
                self._selector = stack.enter_context(selectors.DefaultSelector())
                self._selector.register(signals, selectors.EVENT_READ)
                # Whatever goes wrong here, no worker is left behind.
                stack.callback(self._kill_all)
                self._supervise(signals)
        finally:
            self._close_listeners()
        return self._exit_code

    def _supervise(self, signals: Signals) -> None:
        self._looked = time.monotonic()
        self._look_after_all(self._looked)
        while self._kill_at is None or any(slot.process for slot in self._slots):
            ready = self._selector.select(self._pause(time.monotonic()))
            now = time.monotonic()
            for key, _ in ready:
                if isinstance(key.data, Slot):
                    self._listen(key.data, now)
                elif any(
                    number in (signal.SIGINT, signal.SIGTERM)
                    for number in signals.read()
                ):
                    self.stop(now)
            if now - self._looked > ROUND + self._silence / 2:
                # It was this process that slept (Ctrl-Z, a suspended machine);
                # what the workers said meanwhile is only being read.
                for slot in self._slots:
                    slot.heard = now
            self._looked = now
            self._look_after_all(now)

    def _listen(self, slot: Slot, now: float) -> None:
        was_ready = slot.is_ready
        if not slot.listen(now):
            assert slot.control is not None
            self._selector.unregister(slot.control)
        elif slot.is_ready > was_ready and (self._was_ready or len(self._slots) > 1):
            assert slot.process is not None
            logger.info("worker %d is process %d", slot.number, slot.process.pid)

    def stop(self, now: float) -> None:
        """Let the workers drain; a second call cuts what is still open."""
        if self._kill_at is None:
            # From now on connections are refused; nobody would serve them.
            self._close_listeners()
            self._kill_at = now + self.config.drain + GRACE
            word = DRAIN
        else:
            self._kill_at = now + CUT_GRACE
            word = CUT
        for slot in self._slots:
            slot.tell(word)

    def _pause(self, now: float) -> float:
        times = [now + ROUND]
        if self._kill_at is not None:
            times.append(self._kill_at)
        else:
            times += [slot.due for slot in self._slots if slot.process is None]
        return max(0.0, min(times) - now)

    def _look_after_all(self, now: float) -> None:
        for slot in self._slots:
            self._look_after(slot, now)
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._kill_all()
        elif not self._was_ready and all(slot.is_ready for slot in self._slots):
            self._was_ready = True
            if self._on_ready is not None:
                self._on_ready(self.urls[0])

    def _look_after(self, slot: Slot, now: float) -> None:
        code = self._reap(slot, now)
        if self._kill_at is not None:
            return
        if code is not None:
            if not self._was_ready:
                # The others would fail at the same place, and so would the next.
                self._exit_code = max(code, 0) or 1
                self.stop(now)
                return
            logger.warning(
                "worker %d ended with %d, starting another", slot.number, code
            )
        if slot.process is None:
            if now >= slot.due:
                self._start(slot, now)
        elif now - slot.heard > (self._silence if slot.is_ready else START):
            logger.error("worker %d is silent, killing it", slot.number)
            slot.kill()
            slot.heard = now

    def _start(self, slot: Slot, now: float) -> None:
        assignment = Assignment(
            self.config,
            slot.number,
            len(self._slots),
            tuple(
                (one.sockets[slot.number].fileno(), one.config) for one in self._bound
            ),
            self._folder,
            self._verbose,
        )
        control = slot.start(self._starts, assignment, now)
        self._selector.register(control, selectors.EVENT_READ, slot)

    def _reap(self, slot: Slot, now: float) -> int | None:
        control = slot.control
        if control is None:
            return None
        descriptor = control.fileno()
        code = slot.reap(now)
        if code is not None:
            # Unless the end of its stream has been seen before.
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
        return code

    def _kill_all(self) -> None:
        for slot in self._slots:
            slot.kill()

    def _close_listeners(self) -> None:
        for one in self._bound:
            one.close()
        self._bound = []


class Signals:
    """
    Signals as bytes to read, one per signal, while the context lasts.

    A handler could run between any two lines; a byte waits for its turn.
    """

    NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(
            self._writer.fileno(), warn_on_full_buffer=False
        )
        for number in self.NUMBERS:
            self._previous[number] = signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._reader.fileno()

    def read(self) -> Iterable[int]:
        """Return the numbers of the signals that have come."""
        return self._reader.recv(2**10)
