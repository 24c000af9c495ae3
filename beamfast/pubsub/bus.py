"""
The doorbell between the processes that share a journal.

Delivery is at most once: a ring only says "look at the log again", so a lost
one costs time, never an edit. Plain topics travel the same way.
"""

from __future__ import annotations

import abc
from collections.abc import Callable

MessageCallback = Callable[[str, str | bytes], None]


class Bus(abc.ABC):
    """
    Carry rings and plain topics to the other processes.

    Attributes:
        has_others: False as long as there are no other processes to forward to.
    """

    has_others: bool = True

    @abc.abstractmethod
    def ring(self) -> None:
        """Tell the others that the log has grown."""

    @abc.abstractmethod
    def forward(self, topic: str, message: str | bytes) -> None:
        """Hand a publication of a plain topic to the others."""

    @abc.abstractmethod
    def listen(
        self,
        on_ring: Callable[[], None],
        on_message: Callable[[str, str | bytes], None],
    ) -> None:
        """Name who takes what the others send; called once."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Stop listening and free what is held."""


class LateBus(Bus):
    """A bus that others may come to later; until then there are none."""

    has_others: bool = False

    def __init__(self) -> None:
        self._bus: Bus = NullBus()
        self._callbacks: tuple[Callable[[], None], MessageCallback] | None = None

    def connect(self, bus: Bus) -> None:
        """Carry everything over ``bus`` from now on."""
        self._bus = bus
        self.has_others = bus.has_others
        if self._callbacks is not None:
            bus.listen(*self._callbacks)

    def ring(self) -> None:
        """Tell the others, if there are any."""
        self._bus.ring()

    def forward(self, topic: str, message: str | bytes) -> None:
        """Hand a publication to the others, if there are any."""
        self._bus.forward(topic, message)

    def listen(
        self,
        on_ring: Callable[[], None],
        on_message: Callable[[str, str | bytes], None],
    ) -> None:
        """Name who takes what the others will send."""
        self._callbacks = on_ring, on_message
        self._bus.listen(on_ring, on_message)

    async def close(self) -> None:
        """Leave the bus that was connected."""
        await self._bus.close()


class NullBus(Bus):
    """There are no other processes."""

    has_others: bool = False

    def ring(self) -> None:
        """Ring nobody."""

    def forward(self, topic: str, message: str | bytes) -> None:
        """Tell nobody."""

    def listen(
        self,
        on_ring: Callable[[], None],
        on_message: Callable[[str, str | bytes], None],
    ) -> None:
        """Nobody will call."""

    async def close(self) -> None:
        """Nothing is held."""
