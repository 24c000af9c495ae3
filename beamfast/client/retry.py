"""When to try again: longer and longer, and never all clients at once."""

from __future__ import annotations

import random
import ssl
from typing import Final

from beamfast.errors import ConnectError

#: Answers of servers that may be back in a moment.
_PASSING: Final = frozenset({429, 500, 502, 503, 504})


class BackOff:
    """
    Seconds to wait before each attempt.

    Args:
        first: upper bound before the first new attempt.
        most: upper bound later; each attempt doubles the bound up to here.
    """

    def __init__(self, first: float = 1.0, most: float = 60.0) -> None:
        self._first = first
        self._most = most
        self._bound = first

    def next(self) -> float:
        """Return the next delay: between half its bound and the bound."""
        bound = self._bound
        self._bound = min(2 * bound, self._most)
        # Jitter: clients of a server that was restarted come one by one.
        return bound * random.uniform(0.5, 1)  # noqa: S311 - nothing secret about it

    def reset(self) -> None:
        """Begin again: the connection was good."""
        self._bound = self._first


def is_passing(error: Exception) -> bool:
    """Tell whether an attempt that ended with ``error`` is worth another one."""
    if isinstance(error, ConnectError):
        return error.status is None or error.status in _PASSING
    # A wrong certificate stays wrong; OSError includes timeouts.
    return isinstance(error, OSError) and not isinstance(
        error, ssl.SSLCertVerificationError
    )
