"""
What can be said of an open connection: who, since when, how far behind.

Nothing here is counted as it goes: the kernel keeps the bytes of each TCP
connection, and is asked when somebody wants to know.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

#: Linux' ``struct tcp_info``: bytes received at 128, bytes sent at 200.
_INFO: Final = struct.Struct("@128xQ64xQ")


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """
    One open connection.

    Attributes:
        kind: ``WebSocket``, ``EventSource``, or what else is connected.
        path: of the request that opened it.
        remote_addr: address of the peer; ``-`` when there is none.
        user: name of the authenticated user.
        opened: when, in seconds since the epoch.
        state: of a WebSocket, as in RFC 6455.
        subprotocol: of a WebSocket.
        topics: that it is subscribed to.
        queue: bytes that wait for the peer.
        bytes_sent: to the peer, handshake and TLS included; None where the kernel
            does not say.
        bytes_received: from the peer, likewise.
    """

    kind: str
    path: str
    remote_addr: str
    user: str | None
    opened: int
    state: str | None
    subprotocol: str | None
    topics: tuple[str, ...]
    queue: int
    bytes_sent: int | None
    bytes_received: int | None


def facts_of(
    connection: Any, topics_of: Callable[[Any], list[str]]
) -> ConnectionFacts | None:
    """Return what is known of ``connection``; None when it is gone already."""
    transport = connection.transport
    if transport is None:
        return None
    peer = transport.get_extra_info("peername")
    sent, received = traffic(transport.get_extra_info("socket"))
    state = getattr(connection, "state", None)
    return ConnectionFacts(
        kind=type(connection).__name__,
        path=connection.path,
        remote_addr=str(peer[0]) if isinstance(peer, tuple | list) else "-",
        user=connection.user,
        opened=connection.opened,
        state=None if state is None else state.name.lower(),
        subprotocol=getattr(connection, "subprotocol", None),
        topics=tuple(topics_of(connection)),
        queue=connection.buffered_amount,
        bytes_sent=sent,
        bytes_received=received,
    )


def traffic(sock: Any) -> tuple[int | None, int | None]:
    """Return how many bytes a TCP connection has carried, out and in."""
    option = getattr(socket, "TCP_INFO", None)
    if sock is None or option is None:
        return None, None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, _INFO.size)
    except OSError:
        # A Unix socket, or one that has just gone.
        return None, None
    if len(info) < _INFO.size:
        return None, None
    received, sent = _INFO.unpack(info)
    return sent, received
