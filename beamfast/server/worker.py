"""Bind the listening sockets; standard library only."""

from __future__ import annotations

import socket
from typing import Final

#: Connections that the kernel holds until they are accepted.
BACKLOG: Final = 2048


def bind_tcp(address: str, port: int) -> socket.socket:
    """
    Return a bound and listening TCP socket.

    Args:
        address: IP address or name.
        port: 0 for any free one.

    Raises:
        OSError: the port is in use, or may not be bound.
    """
    found = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A restart must not wait for the last connections of the old process.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and hasattr(socket, "IPV6_V6ONLY"):
            # "::" means both families; a plain IPv6 address is not affected.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
