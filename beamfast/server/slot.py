"""
One worker as its supervisor sees it: a process, its control socket, its past.

The clock is an argument everywhere. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from typing import Any, Final, Self

from beamfast.server.control import READY, RELOADED, Assignment, Control

#: A worker that lived so many seconds died of something new.
STABLE: Final = 10.0
#: Seconds before the second restart in a row; each further one waits twice as long.
BACK_OFF: Final = 0.1
BACK_OFF_LIMIT: Final = 10.0


class Child:
    """
    A process that this one started, or whoever it was before it executed itself.

    Args:
        pid: of the process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self._code = 1
            else:
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self) -> int:
        """Return the exit code when it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ChildProcessError):
                _, status = os.waitpid(self.pid, 0)
                self._code = os.waitstatus_to_exitcode(status)
        return 1 if self._code is None else self._code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, whatever it does."""
        self.send_signal(signal.SIGKILL)


class Slot:
    """
    One place among the workers, empty at first.

    Args:
        number: from 0.
        seat: on the bus, where a generation and the next one sit side by side.
    """

    def __init__(self, number: int, seat: int | None = None) -> None:
        self.number = number
        self.seat: int = number if seat is None else seat
        self.process: Child | None = None
        self.control: Control | None = None
        self.is_ready: bool = False
        self.heard: float = 0.0
        """When the worker was last heard."""
        self.due: float = 0.0
        """When to start the next one, if there is none."""
        self._started = 0.0
        self._failures = 0

    def start(
        self, command: Sequence[str], assignment: Assignment, now: float
    ) -> Control:
        """
        Start a worker: a fresh interpreter, never a fork of this process.

        Args:
            command: its argument list without the control socket's descriptor.
            assignment: sent over the control socket.
            now: on the monotonic clock.
        """
        ours, theirs = socket.socketpair()
        # A terminal sends Ctrl-C to every process. Held back until the worker has
        # said that it ignores it, else the interpreter would die while it starts.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            started = subprocess.Popen(  # noqa: S603 - our own code
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *(one for one, _ in assignment.listeners)),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()
        self.process = Child(started.pid)
        # Waited for by its number, also after this process has executed itself.
        started.returncode = 0
        self.control = Control(ours)
        self.is_ready = False
        self._started = self.heard = now
        # A worker that is gone already is found by :meth:`reap`.
        self.control.assign(assignment)
        return self.control

    def listen(self, now: float) -> list[str] | None:
        """Return what the worker says; None when it says no more."""
        assert self.control is not None
        words = self.control.receive()
        if words is None:
            return None
        if words:
            self.heard = now
        self.is_ready = self.is_ready or READY in words
        return words

    def tell(self, word: str) -> None:
        """Send the worker one word, or a word and what belongs to it."""
        if self.control is not None:
            self.control.send(word)

    def tell_reloaded(self, problems: list[str]) -> None:
        """Send the worker what came of the reload that it asked for."""
        self.tell(f"{RELOADED} {json.dumps(problems)}")

    def __str__(self) -> str:
        if self.process is None:
            return f"{self.number}: none"
        state = "ready" if self.is_ready else "starting"
        return f"{self.number}: process {self.process.pid}, {state}"

    def kill(self) -> None:
        """End the worker, whatever it does."""
        if self.process is not None:
            self.process.kill()

    def reap(self, now: float) -> int | None:
        """
        Return the exit code of a worker that has ended, and empty the slot.

        Args:
            now: on the monotonic clock; the next worker is due from it.
        """
        if self.process is None or (code := self.process.poll()) is None:
            return None
        assert self.control is not None
        self.control.close()
        self.process = self.control = None
        self.is_ready = False
        if now - self._started >= STABLE:
            self._failures = 0
        # The first restart is immediate; a worker that cannot live must not keep
        # the machine busy with being born.
        delay = BACK_OFF * 2 ** (self._failures - 1) if self._failures else 0.0
        self.due = now + min(delay, BACK_OFF_LIMIT)
        self._failures += 1
        return code

    # Handed on to whoever this process becomes.

    def to_state(self) -> dict[str, Any]:
        """Return what :meth:`from_state` needs; its descriptor is inherited."""
        state: dict[str, Any] = {"number": self.number, "seat": self.seat}
        if self.process is not None and self.control is not None:
            state |= {
                "pid": self.process.pid,
                "control": self.control.fileno(),
                "rest": self.control.rest.decode("latin-1"),
                "is_ready": self.is_ready,
            }
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any], now: float) -> Self:
        """Take over a worker that runs."""
        slot = cls(state["number"], state["seat"])
        if "pid" in state:
            slot.process = Child(state["pid"])
            rest = state["rest"].encode("latin-1")
            slot.control = Control(socket.socket(fileno=state["control"]), rest)
            slot.is_ready = state["is_ready"]
        slot.heard = slot._started = now
        return slot
