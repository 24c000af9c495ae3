"""
Who follows a document, and from which version on.

A subscriber that names the version it has seen gets what came after it, then
what comes: nothing is left out and nothing comes twice. When its version is not in
the log, or a change of the whole document lies between, it gets one RESET with
the document as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from beamfast.commit.audience import Audience
from beamfast.commit.keeper import Keeper
from beamfast.commit.provenance import ChangedByHand
from beamfast.commit.publication import ItemForm, Publication, WireForms
from beamfast.commit.replica import Replica
from beamfast.commit.resync import FreshCopies
from beamfast.documents.selector import Selector
from beamfast.documents.store import Location
from beamfast.entry import Entry, Version
from beamfast.errors import TooManyFilters
from beamfast.journal.journal import Journal, Logged, Reset
from beamfast.pubsub.hub import Hub, WireForm

logger: logging.Logger = logging.getLogger("beamfast.commit")

#: Entries of a replay that are sent in one turn of the loop.
SLICE: Final = 64
#: Reads of the log before a document that is edited all the time is sent whole.
ROUNDS: Final = 64

#: Different filters that all subscribers of a document may have together.
FILTERS: Final = 1024

#: Called with the version that is safe to resume from, before the first item.
Greeting = Callable[[Version], None]


@dataclass(slots=True)
class _Wish:
    """Who wants to follow which document, and how."""

    subscriber: Any
    keeper: Keeper
    topic: str
    wire_form: WireForm
    filters: frozenset[Selector]
    greet: Greeting | None
    may_resync: bool


class Followers:
    """
    Let connections join the topics of documents.

    Args:
        replica: the documents.
        journal: what is replayed.
        hub: the topics.
        loop: of this process.
        ready: returns when the document is loaded and caught up.
        is_ready: it is so already.
        work: takes in what was done to the file by hand.
    """

    def __init__(
        self,
        replica: Replica,
        journal: Journal,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        ready: Callable[[Keeper], Awaitable[None]],
        is_ready: Callable[[Keeper], bool],
        work: Callable[[Keeper], Awaitable[None]],
    ) -> None:
        self._replica = replica
        self._journal = journal
        self._hub = hub
        self._loop = loop
        self._ready = ready
        self._is_ready = is_ready
        self._work = work
        self._forms = WireForms()
        #: Counts who follows, if somebody wants to know.
        self.audience: Audience | None = None
        self._joining: dict[tuple[Any, str], list[asyncio.Task[None]]] = {}
        self._copies = FreshCopies(replica, hub, loop, ready, is_ready, work)

    def follow(
        self,
        subscriber: Any,
        location: Location,
        form: ItemForm,
        *,
        after: str | None = None,
        greet: Greeting | None = None,
        filters: frozenset[Selector] = frozenset(),
    ) -> None:
        """
        Send ``subscriber`` the edits of a document.

        One that follows already is moved to the new form and filters, without a
        gap or a repeat.

        Args:
            subscriber: a WebSocket or an EventSource that has just opened.
            location: of the document, which need not exist.
            form: what it wants of its items.
            after: text of the version that it has seen; None for none.
            greet: called at the moment from which on it gets what comes, with what
                to resume from.
            filters: only edits that concern one of these; empty for all. A replay
                is not filtered.

        Raises:
            TooManyFilters: the document has as many different ones as it may.
        """
        keeper = self._replica.keeper(location)
        if filters and len(self._replica.filters(keeper) | filters) > FILTERS:
            raise TooManyFilters("The document has too many different filters")
        wire_form = self._forms.get(subscriber, form)
        topic = self._replica.topic(location)
        may_resync = form.may_resync
        wish = _Wish(subscriber, keeper, topic, wire_form, filters, greet, may_resync)
        place = subscriber, topic
        if after is not None:
            self._stop_joining(place)
        elif place not in self._joining and self._is_ready(keeper):
            # The usual case takes no turn of the loop.
            self._join(wish)
            return
        # They may be replaying what nobody would send again.
        former = self._joining.setdefault(place, [])
        task = self._loop.create_task(self._catch_up(wish, after, [*former]))
        former.append(task)
        task.add_done_callback(partial(self._joined, place))

    def unfollow(self, subscriber: Any, location: Location) -> None:
        """Stop sending; harmless when it did not follow."""
        topic = self._replica.topic(location)
        self._stop_joining((subscriber, topic))
        self._hub.unsubscribe(subscriber, topic)
        if self.audience is not None:
            self.audience.leave(topic, subscriber)

    def _stop_joining(self, place: tuple[Any, str]) -> None:
        for task in self._joining.pop(place, ()):
            task.cancel()

    def _joined(self, place: tuple[Any, str], task: asyncio.Task[None]) -> None:
        # Others may have taken its place.
        tasks = self._joining.get(place, [])
        if task in tasks:
            tasks.remove(task)
            if not tasks:
                del self._joining[place]

    def count(self, location: Location) -> int:
        """Return how many connections of this process follow a document."""
        return self._hub.subscribers(self._replica.topic(location))

    async def close(self) -> None:
        """Nobody joins any more."""
        joining = [task for tasks in self._joining.values() for task in tasks]
        for task in joining:
            task.cancel()
        if joining:
            await asyncio.wait(joining)
        await self._copies.close()

    async def _catch_up(
        self, wish: _Wish, after: str | None, former: list[asyncio.Task[None]]
    ) -> None:
        subscriber, keeper = wish.subscriber, wish.keeper
        keeper.joining += 1
        try:
            if former:
                await asyncio.wait(former)
            if after is not None:
                if not await self._replay(wish, Version.parse(after)):
                    # Unknown, foreign, too old, or only told by the whole document.
                    await self._reset(wish)
                return
            await self._ready(keeper)
            if not subscriber.is_closing:
                self._join(wish)
        except Exception as error:
            # Whatever it was, nobody waits for a stream that never begins.
            logger.warning("%s cannot be followed: %s", keeper.location.key, error)
            subscriber.abort()
        finally:
            keeper.joining -= 1

    def _join(self, wish: _Wish) -> None:
        # Version and subscription in one step of the loop: no edit in between.
        if wish.greet is not None:
            wish.greet(wish.keeper.version)
        self._subscribe(wish)

    def _subscribe(self, wish: _Wish) -> None:
        self._hub.subscribe(
            wish.subscriber,
            wish.topic,
            wish.wire_form,
            wish.filters,
            slow_consumer="resync" if wish.may_resync else "close",
            refresh=self._copies.send if wish.may_resync else None,
        )
        if self.audience is not None:
            self.audience.join(wish.topic, wish.subscriber)

    async def _replay(self, wish: _Wish, after: Version | None) -> bool:
        """Send what came after ``after`` and join; False when that cannot be."""
        if after is None:
            return False
        subscriber, keeper = wish.subscriber, wish.keeper
        greet = wish.greet
        for _ in range(ROUNDS):
            await self._ready(keeper)
            logged: Sequence[Logged] = ()
            if after != keeper.version:
                found = await self._journal.replay(keeper.location.key, after, SLICE)
                if isinstance(found, Reset):
                    return False
                logged = found
            # From here to the end of the round is one step of the loop.
            if subscriber.is_closing:
                return True
            if not self._is_ready(keeper):
                continue
            publications: list[Publication] = []
            for one in logged:
                # The journal may be ahead of what was published, which comes live.
                if one.version.revision > keeper.version.revision:
                    break
                entry = Entry.from_event(one.event)
                if not entry.is_element_edit:
                    return False
                previous = publications[-1].version if publications else after
                publications.append(
                    Publication.of_entry(previous, one.version, entry, None)
                )
            if greet is not None:
                greet(after)
                greet = None
            for publication in publications:
                subscriber.write(wish.wire_form(publication))
                after = publication.version
            if after == keeper.version:
                self._subscribe(wish)
                return True
            if (writable := subscriber.wait_writable()) is not None:
                # A client at its own pace: a replay does not fill its queue.
                await writable
        return False

    async def _reset(self, wish: _Wish) -> None:
        """Send the document as it is and join."""
        subscriber, keeper = wish.subscriber, wish.keeper
        for _ in range(ROUNDS):
            await self._ready(keeper)
            if subscriber.is_closing:
                return
            try:
                publication = self._replica.reset_of(keeper)
            except ChangedByHand:
                await self._work(keeper)
                continue
            subscriber.write(wish.wire_form(publication))
            self._subscribe(wish)
            return
        subscriber.abort()
