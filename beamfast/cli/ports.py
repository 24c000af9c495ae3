"""Who has a port, and which one is free instead."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from beamfast.server.binding import bind_tcp

#: State of a socket that listens (proc_pid_net_tcp(5)).
_LISTENING: Final = "0A"
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")
#: Ports that are tried.
TRIES: Final = 100


def holder_of(port: int) -> str | None:
    """
    Return name and number of a process that listens on a TCP port.

    None where the kernel does not say: on other systems than Linux, and of
    processes of other users.
    """
    wanted = set(_listening(port))
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        # Processes end while we look, and those of others are closed to us.
        with contextlib.suppress(OSError):
            found = _SOCKET.match(str(descriptor.readlink()))
            if found and found[1] in wanted:
                folder = descriptor.parent.parent
                name = (folder / "comm").read_text("utf-8", "replace").strip()
                return f"{name}, process {folder.name}"
    return None


def _listening(port: int) -> Iterator[str]:
    """Yield the inodes of sockets that listen on ``port``."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text("ascii").splitlines()[1:]:
                _, local, _, state, *others = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield others[5]


def free_port_after(address: str, port: int) -> int:
    """
    Return the next port that can be bound, or 0 when none of the next is free.

    Args:
        address: where.
        port: what is taken.
    """
    for candidate in range(port + 1, min(port + 1 + TRIES, 2**16)):
        with contextlib.suppress(OSError), bind_tcp(address, candidate):
            return candidate
    return 0
