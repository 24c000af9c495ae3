"""
The hub: topics of this process, joined with the bus to the other processes.

Single-threaded, one per server process; :meth:`Hub.publish_threadsafe` is the
only method that other threads may call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set

from beamfast._fanout import TopicRegistry
from beamfast._outbound import Outbound
from beamfast.pubsub.bus import Bus, NullBus

#: Returns the framed bytes of one message, ready for the sockets of a lane.
WireForm = Callable[[object], bytes]


class Hub:
    """
    Publish messages to whoever subscribed to a topic.

    A text or bytes message reaches the topic in the other workers too. Anything
    else stays in this process: documents reach the others through the log, which
    the bus only rings for.

    Args:
        loop: of this process.
        bus: to the other processes; none by default.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, bus: Bus | None = None
    ) -> None:
        self._loop = loop
        self.registry: TopicRegistry = TopicRegistry(loop)
        self.bus: Bus = NullBus() if bus is None else bus
        self._on_ring: list[Callable[[], None]] = []
        self.bus.listen(self._rung, self._received)

    def on_ring(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when another process says that the log grew."""
        self._on_ring.append(callback)

    def _rung(self) -> None:
        for callback in self._on_ring:
            callback()

    def _received(self, topic: str, message: str | bytes) -> None:
        # To the registry, not through publish: it must not travel on.
        self.registry.publish(topic, message)

    def subscribe(
        self,
        subscriber: Outbound,
        topic: str,
        wire_form: WireForm,
        filters: frozenset[object] = frozenset(),
    ) -> bool:
        """
        Send ``subscriber`` everything published on ``topic`` from now on.

        A second call moves the subscriber to another wire form or other
        filters without a gap or a repeat.

        Args:
            subscriber: a WebSocket or an EventSource.
            topic: any text; plugins prefix theirs with their name.
            wire_form: frames one message; the same callable for all that take
                the same bytes.
            filters: only messages that match one of these; empty for the whole
                topic. However many match, each message comes once.

        Returns:
            False when the connection takes no more bytes: it is closing or gone.
        """
        return self.registry.subscribe(subscriber, topic, wire_form, filters)

    def unsubscribe(self, subscriber: Outbound, topic: str) -> None:
        """Stop sending; a subscriber that is not there is fine."""
        self.registry.unsubscribe(subscriber, topic)

    def publish(
        self,
        topic: str,
        message: object,
        *,
        matched: Set[object] = frozenset(),
        exclude: Outbound | None = None,
        same_item: bool = False,
    ) -> int:
        """
        Send ``message`` to every subscriber of ``topic`` in this loop turn.

        Args:
            topic: a topic without subscribers is fine.
            message: whatever the topic's wire forms take.
            matched: of :meth:`filters`, those that the message meets.
            exclude: a subscriber that shall not get it.
            same_item: this and the message before belong to one edit, which
                counts as one item in the queue of a slow subscriber.

        Returns:
            the number of subscribers of the topic in this process.
        """
        if isinstance(message, str | bytes):
            self.bus.forward(topic, message)
        return self.registry.publish(
            topic, message, matched=matched, exclude=exclude, same_item=same_item
        )

    def publish_threadsafe(self, topic: str, message: object) -> None:
        """Publish from another thread; the loop does it in its next turn."""
        self._loop.call_soon_threadsafe(self.publish, topic, message)

    def filters(self, topic: str) -> frozenset[object]:
        """Return every filter that a subscriber of ``topic`` has in this process."""
        found = self.registry.topic(topic)
        return frozenset() if found is None else found.filters

    def subscribers(self, topic: str) -> int:
        """Return how many subscribers ``topic`` has in this process."""
        return self.registry.subscribers(topic)
