"""
Which connections are let in: so many at once, from one address, in one second.

Whoever is not gets a 503 and nothing else is kept of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final
from weakref import WeakSet

from beamfast._slots import Slots
from beamfast._wheel import Timed
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service

#: Seconds that somebody who is turned away may stay.
LINGER: Final = 2.0

REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Retry-After: 1\r\n"
    b"Connection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 20\r\n\r\n"
    b"Too many connections"
)


class Admission:
    """
    Decides who may connect.

    Args:
        service: whose connections are counted.
        most: connections at once; 0 for any number.
        per_address: from one address; 0 for any number.
        per_second: new ones; 0 for any number.

    Attributes:
        refused: how many, by reason.
    """

    def __init__(
        self,
        service: Service,
        *,
        most: int = 0,
        per_address: int = 0,
        per_second: int = 0,
    ) -> None:
        self._service = service
        # To copy one costs a third of making one.
        self._connections = Slots(HttpConnection, Timed)
        self._model = HttpConnection(service)
        self.most = most
        self.per_address = per_address
        self.per_second = per_second
        self._second = 0
        self._new = 0
        # Transports leave by themselves, whatever became of the connection.
        self._addresses: dict[str, WeakSet[Any]] = {}
        self.refused: Counter[str] = Counter()

    def connection(self, client: str | None = None) -> asyncio.Protocol:
        """
        Return what a new connection is handled by.

        Args:
            client: its address, when that is not the one of the socket.
        """
        is_crowded = 0 < self.most <= len(self._service.heartbeat)
        if is_crowded or self.per_second:
            reason = self._reason()
            if reason is not None:
                self.refused[reason] += 1
                return Refusal(self._service.loop)
        if client is None and not self.per_address:
            return self._connections.copy(self._model)
        return CountedConnection(self._service, self, client)

    def _reason(self) -> str | None:
        if self.most and len(self._service.heartbeat) >= self.most:
            return "process"
        if self.per_second:
            second = int(self._service.loop.time())
            if second != self._second:
                self._second, self._new = second, 0
            self._new += 1
            if self._new > self.per_second:
                return "rate"
        return None

    def enter(self, address: str, transport: Any) -> bool:
        """Count a connection of an address; False when it has too many."""
        if not self.per_address:
            return True
        found = self._addresses.get(address)
        if found is None:
            # Clients choose where they come from, so empty ones go now and then.
            if len(self._addresses) >= self._most_addresses:
                self._addresses = {k: v for k, v in self._addresses.items() if v}
            found = self._addresses[address] = WeakSet()
        if sum(not one.is_closing() for one in found) >= self.per_address:
            self.refused["address"] += 1
            return False
        found.add(transport)
        return True

    @property
    def _most_addresses(self) -> int:
        return 2 * len(self._service.heartbeat) + 64


class CountedConnection(HttpConnection):
    """
    A connection whose client is counted, or named by a proxy.

    Args:
        service: shared by all connections.
        admission: counts.
        client: its address, when that is not the one of the socket.
    """

    __slots__ = ("_admission", "_client")

    def __init__(
        self, service: Service, admission: Admission, client: str | None
    ) -> None:
        super().__init__(service)
        self._admission = admission
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in, or not."""
        super().connection_made(transport)
        if self._client is not None:
            self._peer = self._client
        if not self._admission.enter(self._peer, transport):
            self.service.heartbeat.forget(self)
            refusal = Refusal(self.service.loop)
            self._transport.set_protocol(refusal)
            refusal.connection_made(transport)


class Refusal(asyncio.Protocol):
    """A connection that is told to come back later."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so, and read on: to close at once could lose the answer."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(REFUSAL)
        if transport.can_write_eof():
            transport.write_eof()
            self._loop.call_later(LINGER, transport.abort)
        else:
            transport.close()
