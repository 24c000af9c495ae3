"""
Signals as bytes to read, one per signal.

A handler could run between any two lines; a byte waits for its turn. Standard
library only, because the supervisor uses it.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from typing import Any, Final, Self


class Signals:
    """Catches what a supervisor understands while the context lasts."""

    NUMBERS: Final = (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGCHLD,
        signal.SIGHUP,
        signal.SIGUSR2,
        signal.SIGQUIT,
    )

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
        # Held back by whoever this process was before it executed itself.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.NUMBERS)
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
