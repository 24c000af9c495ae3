"""
One worker as its supervisor sees it: a process, its control socket, its past.

The clock is an argument everywhere. Standard library only.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from beamfast.server.control import READY, Assignment, Control

#: A worker that lived so many seconds died of something new.
STABLE: Final = 10.0
#: Seconds before the second restart in a row; each further one waits twice as long.
BACK_OFF: Final = 0.1
BACK_OFF_LIMIT: Final = 10.0


class Slot:
    """
    One place among the workers, empty at first.

    Args:
        number: from 0.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
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
            self.process = subprocess.Popen(  # noqa: S603 - our own code
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *(one for one, _ in assignment.listeners)),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()
        self.control = Control(ours)
        self.is_ready = False
        self._started = self.heard = now
        # A worker that is gone already is found by :meth:`reap`.
        self.control.assign(assignment)
        return self.control

    def listen(self, now: float) -> bool:
        """Take in what the worker says; False when it says no more."""
        assert self.control is not None
        words = self.control.receive()
        if words is None:
            return False
        if words:
            self.heard = now
        self.is_ready = self.is_ready or READY in words
        return True

    def tell(self, word: str) -> None:
        """Send the worker one word."""
        if self.control is not None:
            self.control.send(word)

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
