"""
A limit on requests per client: a token bucket for each, 429 when it is empty.

Standard: RFC 6585, section 4 (status), RFC 9110, section 10.2.3 (``Retry-After``).
WebSocket handshakes are counted apart from other requests, so that a page that
reconnects cannot use up what its edits need. Several workers count together.
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
from beamfast.runstate import IDLE, Bucket, RunState

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
        self._shared: RunState | None = None
        self._prefix = ""
        rate = self.options.rate
        self._rates = {False: rate, True: self.options.upgrades_per_second or rate}
        self._capacities = {
            is_upgrade: self.options.burst_capacity or max(math.ceil(2 * one), 1)
            for is_upgrade, one in self._rates.items()
        }

    def __len__(self) -> int:
        return len(self._buckets)

    def reload(self, previous: RateLimit) -> None:
        """Go on with the same buckets, unless they are of another size."""
        if previous.options == self.options:
            self._buckets = previous._buckets

    def start(self, context: Context) -> None:
        """Find out whether other workers serve the same clients."""
        if context.run_state.is_shared:
            self._shared = context.run_state
            # The same in every worker, and after a reload that changed nothing.
            self._prefix = f"{context.host_names} {self.options}"

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Take a token, or answer 429; a probe costs nothing."""
        if request.probe:
            return None
        key = self._key(request)
        if self._shared is None:
            now = self._clock()
            bucket = self._bucket(key, now)
            is_taken = bucket.take(now)
        else:
            is_taken, bucket = self._shared.take(
                self._name(key), self._rates[key[0]], self._capacities[key[0]]
            )
        if is_taken:
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
        key = self._key(request)
        if self._shared is None:
            bucket = self._buckets.get(key)
        else:
            bucket = self._shared.look(
                self._name(key), self._rates[key[0]], self._capacities[key[0]]
            )
        if bucket is not None:
            for name, value in bucket.fields(self._clock()):
                response.headers.set(name, value)

    def _name(self, key: Key) -> str:
        """Return what all workers call a bucket."""
        return f"{self._prefix} {key[0]} {key[1]}"

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
