"""
What a driver reports beside data messages.

A complete text message is a plain ``str`` and a complete binary message plain
``bytes`` in the same list of events; only the rest has classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from beamfast.http import Request


@dataclass(frozen=True, slots=True)
class Requested:
    """A client asks for a WebSocket; answer with ``accept`` or ``reject``."""

    request: Request


@dataclass(frozen=True, slots=True)
class Opened:
    """The opening handshake is complete (RFC 6455, 4)."""

    version: str
    subprotocol: str | None
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """A Ping arrived; while open its Pong is in the output (RFC 6455, 5.5.2)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """
    A Pong arrived, asked for or not (RFC 6455, 5.5.3).

    Attributes:
        data: payload.
        pings: payloads of the own pings that it completes, oldest first.
    """

    data: bytes
    pings: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection was failed (RFC 6455, 7.1.7); ``Closed`` follows."""

    message: str
    close_code: int


@dataclass(frozen=True, slots=True)
class Closed:
    """
    The WebSocket is closed; reported exactly once.

    Attributes:
        code: the peer's close code, 1005 for an empty close, 1006 for none.
        reason: the peer's reason.
        clean: True when both sides sent a close frame (RFC 6455, 7.1.4).
        initiated_by: who began the closing handshake.
    """

    code: int
    reason: str
    clean: bool
    initiated_by: Literal["local", "remote"]


Event = str | bytes | Requested | Opened | Ping | Pong | Failed | Closed
