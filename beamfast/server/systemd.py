"""
What systemd and its services tell each other (sd_notify(3), sd_listen_fds(3)).

Standard library only, because the supervisor uses it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Final

#: The first descriptor that is handed over.
FIRST: Final = 3

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"


def inherited_descriptors() -> list[int]:
    """Return the descriptors of sockets that were handed over to this process."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "")
    return list(range(FIRST, FIRST + int(count))) if count.isdecimal() else []


def notify(*lines: str) -> bool:
    """Tell systemd, if it asked to be told; False when it did not."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stream,
    ):
        # A manager that does not read must not hold up whoever serves.
        stream.setblocking(False)
        stream.sendto("\n".join(lines).encode(), address)
        return True
    return False


def reloading() -> None:
    """Say that a reload begins; :data:`READY` ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_interval() -> float | None:
    """Return the seconds between two signs of life; None when nobody waits."""
    micros = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not micros.isdecimal() or int(micros) <= 0 or pid != str(os.getpid()):
        return None
    return int(micros) / 2e6
