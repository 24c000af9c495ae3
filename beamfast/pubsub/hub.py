"""
The hub: topics of this process, joined with the bus to the other processes.

Single-threaded, one per server process; :meth:`Hub.publish_threadsafe` is the
only method that other threads may call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Set
from functools import partial
from pathlib import Path
from typing import Any, Literal

from beamfast._fanout import TopicRegistry
from beamfast._outbound import Outbound
from beamfast.pubsub.bus import Bus, NullBus
from beamfast.pubsub.facts import ConnectionFacts, facts_of
from beamfast.pubsub.sequence import Said, Sequence, SequenceLog

#: Returns the framed bytes of one message, ready for the sockets of a lane.
WireForm = Callable[[Any], bytes]

#: What happens to a subscriber that is too slow.
SlowConsumer = Literal["close", "resync", "drop-oldest", "coalesce"]

#: Asks for a fresh copy, for subscriber, topic and wire form.
Refresh = Callable[[Any, str, WireForm], object]


class Hub:
    """
    Publish messages to whoever subscribed to a topic.

    A text or bytes message reaches the topic in the other workers too: those of one
    worker in the order in which it published them, each at most once. Anything else
    stays in this process: documents reach the others through the log, which the bus
    only rings for.

    Args:
        loop: of this process.
        bus: to the other processes; none by default.
        shared: folder of what the workers share, if there are others.
        ordered: who is subscribed to several topics gets all messages of this
            process in the order in which they were published. Otherwise that holds
            for each topic, and what a loop turn publishes on one leaves together:
            topics that take turns cost more sends in order.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        bus: Bus | None = None,
        shared: Path | None = None,
        ordered: bool = False,
    ) -> None:
        self._loop = loop
        self.registry: TopicRegistry = TopicRegistry(loop, ordered=ordered)
        self.bus: Bus = NullBus() if bus is None else bus
        self.open_connections: Callable[[], Iterable[Any]] = tuple
        """What is connected to this process; the server says so."""
        self._shared = shared
        self._log: SequenceLog | None = None
        self._on_ring: list[Callable[[], None]] = []
        self._on_message: dict[str, Callable[[str | bytes], None]] = {}
        self.bus.listen(self._rung, self._received)

    def on_ring(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when another process says that the log grew."""
        self._on_ring.append(callback)

    def on_message(self, topic: str, callback: Callable[[str | bytes], None]) -> None:
        """Have ``callback`` called with what other processes forward to a topic."""
        self._on_message[topic] = callback

    def _rung(self) -> None:
        for callback in self._on_ring:
            callback()

    def _received(self, topic: str, message: str | bytes) -> None:
        if (callback := self._on_message.get(topic)) is not None:
            callback(message)
        else:
            # To the registry, not through publish: it must not travel on.
            self.registry.publish(topic, message)

    def subscribe(
        self,
        subscriber: Outbound,
        topic: str,
        wire_form: WireForm | None = None,
        filters: frozenset[object] = frozenset(),
        *,
        slow_consumer: SlowConsumer = "close",
        refresh: Refresh | None = None,
    ) -> int:
        """
        Send ``subscriber`` everything published on ``topic`` from now on.

        A second call moves the subscriber to another wire form or other
        filters without a gap or a repeat; with the same ones it changes nothing.

        Args:
            subscriber: a WebSocket or an EventSource, at a server's end and on the
                event loop of this hub.
            topic: any text; plugins take theirs from :meth:`Context.topic`.
            wire_form: frames one message; the same callable for all that take
                the same bytes. By default a str is a text message, and bytes are a
                binary one.
            filters: only messages that match one of these; empty for the whole
                topic. However many match, each message comes once.
            slow_consumer: what happens to a subscriber with more waiting than its
                budget: ``close`` it (1013); ``resync``: leave out all that waits
                and send a fresh copy; ``drop-oldest``: leave out the oldest
                messages; ``coalesce``: leave out what a newer message with the same
                key replaces, and close when that is not enough.
            refresh: of ``resync``: called with subscriber, topic and wire form when
                nothing waits any more, to call ``registry.resume()`` with the copy.

        Returns:
            the number of subscribers of the topic in this process; 0 when the
            connection takes no more bytes, because it is closing or gone.

        Raises:
            RuntimeError: a message in fragments is on its way to it.
            TypeError: the subscriber is no connection, or frames nothing by itself
                and no wire form is given.
            ValueError: there is no such policy, ``refresh`` does not fit, or the
                subscriber is a client's end or on another event loop.
        """
        if not isinstance(subscriber, Outbound) or getattr(
            subscriber, "is_client", False
        ):
            raise refusal_of(subscriber)
        if wire_form is None:
            wire_form = own_form(subscriber)
        if not self.registry.subscribe(
            subscriber,
            topic,
            wire_form,
            filters,
            slow_consumer=slow_consumer,
            refresh=refresh,
        ):
            return 0
        return self.registry.subscribers(topic)

    def unsubscribe(self, subscriber: Outbound, topic: str) -> None:
        """Stop sending; a subscriber that is not there is fine."""
        self.registry.unsubscribe(subscriber, topic)

    def publish(
        self,
        topic: str,
        message: object,
        *,
        matched: Set[object] = frozenset(),
        exclude: Outbound | Iterable[Outbound] | None = None,
        same_item: bool = False,
        key: object = None,
    ) -> int:
        """
        Send ``message`` to every subscriber of ``topic`` in this loop turn.

        Args:
            topic: a topic without subscribers is fine.
            message: whatever the topic's wire forms take.
            matched: of :meth:`filters`, those that the message meets.
            exclude: a connection that shall not get it, or an iterable of them;
                they need not be subscribed, and may be of this process only.
            same_item: this and the message before belong to one edit, which
                counts as one item in the queue of a slow subscriber.
            key: what the message is about, for subscribers with ``coalesce``; not
                told to other processes.

        Returns:
            how many subscribers of this process get it, whatever their filters.

        Raises:
            TypeError: what is excluded is not a connection.
        """
        if self.bus.has_others and isinstance(message, (str, bytes)):
            self.bus.forward(topic, message)
        return self.registry.publish(topic, message, matched, exclude, same_item, key)

    def publish_threadsafe(
        self,
        topic: str,
        message: object,
        *,
        exclude: Outbound | Iterable[Outbound] | None = None,
    ) -> None:
        """Publish from another thread; the loop does it in its next turn."""
        self._loop.call_soon_threadsafe(
            partial(self.publish, topic, message, exclude=exclude)
        )

    def filters(self, topic: str) -> frozenset[object]:
        """Return every filter that a subscriber of ``topic`` has in this process."""
        found = self.registry.topic(topic)
        return frozenset() if found is None else found.filters

    def subscribers(self, topic: str) -> int:
        """Return how many subscribers ``topic`` has in this process."""
        return self.registry.subscribers(topic)

    def connections(self) -> list[ConnectionFacts]:
        """Return what is known of every WebSocket and event stream of this process."""
        found = [
            facts_of(one, self.registry.topics_of)
            for one in self.open_connections()
            if isinstance(one, Outbound)
        ]
        return [one for one in found if one is not None]

    def sequence(
        self, topic: str, *, keep: int, deliver: Callable[[Said, Any], None]
    ) -> Sequence:
        """
        Open a topic that has one order in all workers; once for each topic.

        Args:
            topic: as for :meth:`subscribe`; nothing is published on it.
            keep: messages that newcomers can be told.
            deliver: see :class:`Sequence`.
        """
        if self._log is None:
            path = None if self._shared is None else self._shared / "topics.db"
            self._log = SequenceLog(path)
        ring = partial(self.bus.forward, topic, "")
        sequence = Sequence(self._log, topic, keep=keep, deliver=deliver, ring=ring)
        # The log has the messages; what comes is only a ring.
        self.on_message(topic, lambda _: sequence.catch_up())
        return sequence

    async def close(self) -> None:
        """Leave the bus, and close what was opened."""
        await self.bus.close()
        if self._log is not None:
            self._log.close()
            self._log = None


def refusal_of(subscriber: object) -> Exception:
    """Return why no topic can send to ``subscriber``."""
    if not isinstance(subscriber, Outbound):
        return TypeError(
            "a hub sends to a WebSocket or an EventSource of beamfast, "
            f"not to {type(subscriber).__name__!r}"
        )
    return ValueError(
        "topics are for the sockets of a server, as what goes to many is framed "
        "once; a socket of connect() masks each frame (RFC 6455, 5.3): send() to it"
    )


def own_form(subscriber: Outbound) -> WireForm:
    """
    Return how ``subscriber`` frames a plain message.

    Raises:
        TypeError: it is neither a WebSocket nor an EventSource.
    """
    form: WireForm | None = getattr(subscriber, "frame_message", None)
    if form is None:
        raise TypeError(f"a {type(subscriber).__name__} needs a wire form")
    return form
