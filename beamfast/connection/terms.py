"""What was agreed for a WebSocket: one object for all that agreed on the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from beamfast.http import Upgrade


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """
    The terms of a connection; equal only to themselves, as one object is for all.

    Args:
        ping_interval: seconds between own pings, 0 for none.
        ping_timeout: seconds to wait for the pong.
        stall_timeout: seconds for which the peer may read nothing, 0 for ever.
        subprotocol: the negotiated one, or None.
        max_size: bytes of a message.
        max_fragments: frames of a message.
        is_renewable: a driver that is at rest can be let go, and another one made
            at need.
    """

    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    stall_timeout: float = 0.0
    subprotocol: str | None = None
    max_size: int = 2**20
    max_fragments: int = 4096
    is_renewable: bool = False


def terms_of(upgrade: Upgrade, *, is_renewable: bool) -> Terms:
    """Return what a server has agreed to."""
    return _terms(
        upgrade.ping_interval,
        upgrade.ping_timeout,
        upgrade.stall_timeout,
        upgrade.subprotocol,
        upgrade.max_size,
        upgrade.max_fragments,
        is_renewable,
    )


# A server has few kinds of sockets, and many of each.
_terms: Final = lru_cache(64)(Terms)
