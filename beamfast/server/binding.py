"""
Bind the listening sockets; standard library only.

With one worker, or where the kernel does not spread connections, there is one
socket; on Linux each worker has its own, so that none takes nearly everything.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

#: Connections that the kernel holds until they are accepted.
BACKLOG: Final = 2048

#: Linux spreads connections over the sockets of a port (socket(7)); where the
#: option exists elsewhere, the last socket gets everything.
SPREADS: Final = sys.platform == "linux"


def bind_tcp(address: str, port: int) -> socket.socket:
    """
    Return a bound and listening TCP socket.

    Args:
        address: IP address or name.
        port: 0 for any free one.

    Raises:
        OSError: the port is in use, or may not be bound.
    """
    return bind_tcp_for(1, address, port)[0]


def bind_tcp_for(workers: int, address: str, port: int) -> list[socket.socket]:
    """
    Return bound and listening TCP sockets on one port, one for each worker.

    Without the means to spread connections all workers share one socket.

    Args:
        workers: how many.
        address: IP address or name.
        port: 0 for any free one.

    Raises:
        OSError: the port is in use, or may not be bound.
    """
    found = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, place = found[0]
    listeners: list[socket.socket] = []
    try:
        for _ in range(workers if SPREADS else 1):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            _bind(listener, place, shares=workers > 1, is_first=len(listeners) == 1)
            # All of them on the port that the first one got.
            place = listener.getsockname()
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners if SPREADS else listeners * workers


def _bind(
    listener: socket.socket, place: tuple[object, ...], *, shares: bool, is_first: bool
) -> None:
    # A restart must not wait for the last connections of the old process.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6 and hasattr(socket, "IPV6_V6ONLY"):
        # "::" means both families; a plain IPv6 address is not affected.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    shares = shares and SPREADS
    # With the option the first one would join whoever else has set it, and a port
    # in use would go unnoticed. It needs it only when the others come.
    if shares and not is_first:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(place)
    if shares and is_first:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.listen(BACKLOG)
    listener.setblocking(False)


def url_of(listener: socket.socket) -> str:
    """Return the URL that a browser on this machine can open."""
    host, port, *_ = listener.getsockname()
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
