"""
A limit on requests per client: a token bucket for each, 429 when it is empty.

Standard: RFC 6585, section 4 (status), RFC 9110, section 10.2.3 (``Retry-After``).
WebSocket handshakes are counted apart from other requests, so that a page that
reconnects cannot use up what its edits need. Each process counts for itself.
"""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, Final, Literal

from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

#: Seconds after which an unused bucket is forgotten; it has long been full.
IDLE: Final = 3600.0
#: Buckets at most; beyond it the one that was not used for longest goes.
BUCKETS: Final = 100_000

#: Kind of request, and whose it is.
Key = tuple[bool, str]


@dataclass(frozen=True)
class Options:
    """
    Options of the rate-limit plugin.

    Attributes:
        requests_per_second: refilled for each client.
        requests_per_minute: the same, per minute; 0 for not given.
        requests: the same, per ``window``; 0 for not given.
        window: seconds that ``requests`` are for.
        burst_capacity: requests at once; 0 for twice those of a second.
        upgrades_per_second: WebSocket handshakes; 0 for as many as requests.
        key_strategy: who counts as one client: an address, a user, a host name,
            or everybody together.
        cleanup_interval: seconds between looks for unused buckets.
    """

    requests_per_second: float = 10.0
    requests_per_minute: float = 0.0
    requests: float = 0.0
    window: float = 60.0
    burst_capacity: int = 0
    upgrades_per_second: float = 0.0
    key_strategy: Literal["ip", "user", "host", "global"] = "ip"
    cleanup_interval: float = 300.0

    def __post_init__(self) -> None:
        """Refuse a limit that nothing would pass."""
        if not self.window or not self.rate:
            raise ValueError("a rate of 0 would refuse every request")

    @property
    def rate(self) -> float:
        """Requests per second, from the option that was given."""
        if self.requests:
            return self.requests / self.window
        return self.requests_per_minute / 60 or self.requests_per_second


class Bucket:
    """
    Tokens of one client.

    Args:
        rate: tokens per second.
        capacity: tokens at most; so many at first.
        now: in seconds.
    """

    __slots__ = ("_capacity", "_rate", "_tokens", "used")

    def __init__(self, rate: float, capacity: int, now: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._tokens = float(capacity)
        self.used: float = now

    def take(self, now: float) -> bool:
        """Take one token; return False when there is none."""
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait(self) -> int:
        """Return the seconds until there is a token, rounded up, at least 1."""
        return max(math.ceil((1.0 - self._tokens) / self._rate), 1)

    def fields(self, now: float) -> list[tuple[str, str]]:
        """Return the fields that tell a client how it stands."""
        self._refill(now)
        full = math.ceil((self._capacity - self._tokens) / self._rate)
        return [
            ("X-RateLimit-Limit", str(self._capacity)),
            ("X-RateLimit-Remaining", str(int(self._tokens))),
            ("X-RateLimit-Reset", str(full)),
        ]

    def _refill(self, now: float) -> None:
        earned = (now - self.used) * self._rate
        self._tokens = min(self._tokens + earned, float(self._capacity))
        self.used = now


class RateLimit(Plugin[Options]):
    """
    Refuse the requests of clients that ask too often.

    Args:
        options: see :class:`Options`.
        clock: seconds that only grow.
    """

    name = "rate-limit"
    aliases: ClassVar[Mapping[str, str]] = {
        "burst_size": "burst_capacity",
        "burst": "burst_capacity",
    }

    def __init__(
        self,
        options: Options | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(options)
        self._clock = clock
        # Least recently used first.
        self._buckets: OrderedDict[Key, Bucket] = OrderedDict()
        self._cleaned = clock()
        rate = self.options.rate
        self._rates = {False: rate, True: self.options.upgrades_per_second or rate}
        self._capacities = {
            is_upgrade: self.options.burst_capacity or max(math.ceil(2 * one), 1)
            for is_upgrade, one in self._rates.items()
        }

    def __len__(self) -> int:
        return len(self._buckets)

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Take a token, or answer 429; a probe costs nothing."""
        if request.probe:
            return None
        now = self._clock()
        bucket = self._bucket(self._key(request), now)
        if bucket.take(now):
            return None
        seconds = bucket.wait()
        text = {
            "error": "Rate limit exceeded",
            "message": f"Too many requests; try again in {seconds} s",
            "retry_after_seconds": seconds,
        }
        return Response(
            429,
            json.dumps(text),
            content_type="application/json",
            headers=[("Retry-After", str(seconds))],
        )

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Tell the client how it stands."""
        bucket = self._buckets.get(self._key(request))
        if bucket is not None:
            for name, value in bucket.fields(self._clock()):
                response.headers.set(name, value)

    def _key(self, request: Request) -> Key:
        strategy = self.options.key_strategy
        if strategy == "global":
            who = ""
        elif strategy == "host":
            who = (request.headers.get("host") or "").lower()
        elif strategy == "user" and request.user is not None:
            who = f"user {request.user}"
        else:
            who = network(request.remote_addr)
        return request.is_websocket, who

    def _bucket(self, key: Key, now: float) -> Bucket:
        buckets = self._buckets
        if now - self._cleaned >= self.options.cleanup_interval:
            self._cleaned = now
            while buckets and now - next(iter(buckets.values())).used > IDLE:
                buckets.popitem(last=False)
        bucket = buckets.get(key)
        if bucket is None:
            kind = key[0]
            bucket = Bucket(self._rates[kind], self._capacities[kind], now)
            buckets[key] = bucket
            if len(buckets) > BUCKETS:
                buckets.popitem(last=False)
        else:
            buckets.move_to_end(key)
        return bucket


def network(address: str) -> str:
    """Return what stands for a client: its address, of IPv6 the first 64 bits."""
    # A subscriber gets a whole /64 (RFC 6177), so its addresses are one client.
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64))
