"""
A fresh copy for subscribers that were too slow: one RESET for all that they missed.

It is of exactly the version that was published last, so that what comes after it
continues it, and it is built once however many need it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from beamfast.commit.keeper import Keeper
from beamfast.commit.provenance import ChangedByHand
from beamfast.commit.replica import Replica
from beamfast.entry import Version
from beamfast.pubsub.hub import Hub, WireForm

logger: logging.Logger = logging.getLogger("beamfast.commit")

#: Copies that are kept for the next one who needs them.
KEPT: Final = 16


class FreshCopies:
    """
    Send whole documents to subscribers for which something was left out.

    Args:
        replica: the documents.
        hub: the topics.
        loop: of this process.
        ready: returns when the document is loaded and caught up.
        is_ready: it is so already.
        work: takes in what was done to the file by hand.
    """

    def __init__(
        self,
        replica: Replica,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        ready: Callable[[Keeper], Awaitable[None]],
        is_ready: Callable[[Keeper], bool],
        work: Callable[[Keeper], Awaitable[None]],
    ) -> None:
        self._replica = replica
        self._hub = hub
        self._loop = loop
        self._ready = ready
        self._is_ready = is_ready
        self._work = work
        self._copies: OrderedDict[tuple[str, WireForm], tuple[Version, bytes]] = (
            OrderedDict()
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, subscriber: Any, topic: str, wire_form: WireForm) -> None:
        """Send the document of a topic, now or when it is known."""
        keeper = self._replica.of_topic(topic)
        if keeper is None:
            # It is kept as long as anybody follows it.
            subscriber.abort()
        elif not self._is_ready(keeper) or not self._try(
            subscriber, topic, keeper, wire_form
        ):
            task = self._loop.create_task(
                self._send_later(subscriber, topic, keeper, wire_form)
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_later(
        self, subscriber: Any, topic: str, keeper: Keeper, wire_form: WireForm
    ) -> None:
        keeper.joining += 1
        try:
            await self._ready(keeper)
            while not self._try(subscriber, topic, keeper, wire_form):
                await self._work(keeper)
                await self._ready(keeper)
        except Exception as error:
            logger.warning("%s cannot be sent whole: %s", keeper.location.key, error)
            subscriber.abort()
        finally:
            keeper.joining -= 1

    def _try(
        self, subscriber: Any, topic: str, keeper: Keeper, wire_form: WireForm
    ) -> bool:
        """Send the document; False when its file has to be looked at first."""
        try:
            copy = self._copy(keeper, wire_form)
        except ChangedByHand:
            return False
        # If other bytes wait by now, the topic asks again when they are gone.
        if self._hub.registry.resume(subscriber, topic, copy):
            logger.info("[resync] %s", keeper.location.key)
        return True

    def _copy(self, keeper: Keeper, wire_form: WireForm) -> bytes:
        place = keeper.location.key, wire_form
        version, copy = self._copies.get(place, (None, b""))
        if version != keeper.version:
            copy = wire_form(self._replica.reset_of(keeper))
            self._copies[place] = keeper.version, copy
            if len(self._copies) > KEPT:
                self._copies.popitem(last=False)
        self._copies.move_to_end(place)
        return copy

    async def close(self) -> None:
        """Send nothing more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
