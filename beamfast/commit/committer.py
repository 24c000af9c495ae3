"""
The only writer of documents: one queue per document, one order for everybody.

A change waits in the queue of its document. The keeper takes what is waiting
as one batch, carries it out in memory, makes it durable, and publishes it in
log order through :meth:`Committer.catch_up` before anyone is answered. Nothing
else moves the version of a document or publishes its edits; that is why
viewers, journal and file agree on one order.

The file is the commit point here: it is written and synced before the journal
has the entries, so an answered edit is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from beamfast.commit.keeper import (
    BATCH_BYTES,
    BATCH_CHANGES,
    BATCH_SECONDS,
    SLICE_SECONDS,
    Keeper,
    Waiting,
)
from beamfast.commit.plain import PlainWriter, Stored
from beamfast.commit.publication import Publication, WireForms
from beamfast.documents.change import Change, Origin, Outcome, Replacement, carry_out
from beamfast.documents.document import Document
from beamfast.documents.store import DocumentStore, FileStamp, Location
from beamfast.entry import Entry, Version
from beamfast.errors import Busy, DocumentNotFound, InvalidState
from beamfast.journal.journal import Journal, Logged
from beamfast.protocol.conditional import Conditions
from beamfast.pubsub.hub import Hub

logger: logging.Logger = logging.getLogger("beamfast.commit")


class Committer:
    """
    Serialise, store and publish the changes of one host's documents.

    Args:
        store: the documents.
        journal: their log.
        hub: where entries are published.
        loop: of this process.
    """

    def __init__(
        self,
        store: DocumentStore,
        journal: Journal,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._loop = loop
        self._keepers: dict[str, Keeper] = {}
        self._known: dict[str, Version] = {}
        self._sources: dict[Version, bytes | None] = {}
        self._forms = WireForms()
        self._plain = PlainWriter(store)
        self._seen = 0
        self._closing = False

    async def close(self) -> None:
        """Finish what is queued; later changes are refused with 503."""
        self._closing = True
        tasks = [keeper.task for keeper in self._keepers.values() if keeper.task]
        if tasks:
            await asyncio.wait(tasks)

    # Reading.

    def peek(self, location: Location) -> Document | None:
        """
        Return the committed snapshot if that needs no waiting.

        None means: ask :meth:`current`, because the file was changed by hand
        or is just being created.

        Raises:
            DocumentNotFound: there is no such file.
        """
        keeper = self._keepers.get(location.key)
        if keeper is not None and keeper.is_writing:
            return keeper.writing
        document = self._store.load(location)
        known = self._known.get(location.key)
        return document if known is None or known == document.version else None

    async def current(self, location: Location) -> Document:
        """
        Return the committed snapshot, taking in a change made by hand first.

        Raises:
            DocumentNotFound: there is no such file.
        """
        while (document := self.peek(location)) is None:
            keeper = self._keeper(location)
            if keeper.task is None:
                keeper.task = self._loop.create_task(self._work(keeper))
            await asyncio.shield(keeper.task)
        return document

    def version(self, location: Location) -> Version:
        """Return the version that a new subscriber may resume from."""
        known = self._known.get(location.key)
        if known is not None:
            return known
        try:
            return self._store.load(location).version
        except DocumentNotFound:
            return Version.of_file(b"")

    # Writing.

    async def commit(
        self,
        location: Location,
        change: Change,
        *,
        url: str,
        user: str = "",
        conditions: Conditions | None = None,
    ) -> Outcome:
        """
        Carry out ``change`` in its turn; returns when it is durable and published.

        Args:
            location: of the document.
            change: what to do.
            url: path as the writer spelled it.
            user: who, or empty.
            conditions: checked against the version that the change is made on.

        Raises:
            DocumentError: the change was refused; nothing was stored.
        """
        if self._closing:
            raise Busy("The server is stopping")
        keeper = self._keeper(location)
        if keeper.is_full(change):
            raise Busy("Too many edits are waiting for this document")
        origin = Origin(url, user, time=time.time_ns() // 1_000_000)
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        waiting = Waiting(change, origin, conditions or Conditions(), answer)
        keeper.add(waiting)
        if keeper.task is None:
            keeper.task = self._loop.create_task(self._work(keeper))
        return await answer

    async def store_file(
        self,
        location: Location,
        change: Change,
        *,
        url: str,
        user: str = "",
        conditions: Conditions | None = None,
    ) -> Stored:
        """
        Replace, append to or remove a whole file, HTML or not.

        Arguments and errors as :meth:`commit`.
        """
        if not location.is_html:
            return await self._plain.write(location, change, conditions or Conditions())
        outcome = await self.commit(
            location, change, url=url, user=user, conditions=conditions
        )
        etag = "" if outcome.document is None else str(outcome.version)
        return Stored(etag, outcome.is_new)

    def _keeper(self, location: Location) -> Keeper:
        keeper = self._keepers.get(location.key)
        if keeper is None:
            keeper = self._keepers[location.key] = Keeper(location)
        return keeper

    async def _work(self, keeper: Keeper) -> None:
        """Take batch after batch until nobody waits."""
        try:
            while True:
                batch: list[Waiting] = []
                try:
                    async with self._journal.turn(keeper.location.key):
                        await self._run(keeper, batch)
                except Exception as error:
                    # What fails before a change is taken fails for all of them.
                    refused = batch or keeper.take_all()
                    if not refused:
                        raise  # to whoever waits in current()
                    for waiting in refused:
                        waiting.fail(error)
                if not keeper.queue:
                    break
        finally:
            keeper.task = None
            self._keepers.pop(keeper.location.key, None)

    async def _run(self, keeper: Keeper, batch: list[Waiting]) -> None:
        """Carry out one batch: evaluate, write, log, publish, answer."""
        location = keeper.location
        document, base = await self._present(location)
        outcomes = await self._evaluate(keeper, batch, document, base)
        if not outcomes:
            return
        latest = outcomes[-1][1]
        # A change made by hand is nobody's snapshot before it has its revision.
        is_committed = document is not None and document.version == base
        keeper.writing = document if is_committed else None
        keeper.is_writing = True
        try:
            stamp = None
            if any(waiting is not None for waiting, _ in outcomes):
                had_file = document is not None
                stamp = await self._store_file(location, latest.document, had_file)
            body = None if latest.document is None else latest.document.source
            events = [outcome.event for _, outcome in outcomes]
            # Before the log has them: another keeper may publish them first.
            self._remember(outcomes)
            version = await self._journal.commit(location.key, base, events, body)
            if version != latest.version:
                raise InvalidState(f"another process wrote {location.key}")
            if latest.document is None:
                self._store.forget(location)
            elif stamp is None:
                # Only a change made by hand: the file has these bytes already.
                self._store.restamp(location, version)
            else:
                self._store.put(location, latest.document, stamp)
            await self.catch_up()
        finally:
            keeper.writing, keeper.is_writing = None, False
            for _, outcome in outcomes:
                self._sources.pop(outcome.version, None)
        for waiting, outcome in outcomes:
            if waiting is not None:
                waiting.succeed(outcome)

    async def _present(self, location: Location) -> tuple[Document | None, Version]:
        """Return the snapshot and version that the next change is made on."""
        snapshot = await self._journal.load(location.key)
        try:
            document = self._store.load(location)
        except DocumentNotFound:
            document = None
        if snapshot is None:
            return document, document.version if document else Version.of_file(b"")
        if (
            document is not None
            and document.version != snapshot.version
            and document.source == snapshot.body
        ):
            # Fell out of the cache and was read again; nobody changed it.
            document = self._store.restamp(location, snapshot.version)
        return document, snapshot.version

    async def _evaluate(
        self,
        keeper: Keeper,
        batch: list[Waiting],
        document: Document | None,
        base: Version,
    ) -> list[tuple[Waiting | None, Outcome]]:
        """Carry out what is waiting, in memory; refusals are answered at once."""
        outcomes: list[tuple[Waiting | None, Outcome]] = []
        limit = self._store.edit_limit
        if document is not None and document.version != base:
            # Changed by hand: a revision of its own, before anything is built on it.
            change = Replacement(document.source, "import")
            origin = Origin(keeper.location.key, time=time.time_ns() // 1_000_000)
            outcome = carry_out(change, None, base, origin, edit_limit=limit)
            outcomes.append((None, outcome))
            document, base = outcome.document, outcome.version
        started = slice_started = time.monotonic()
        size = 0
        while keeper.queue and len(batch) < BATCH_CHANGES and size < BATCH_BYTES:
            waiting = keeper.take()
            size += waiting.change.size
            batch.append(waiting)
            try:
                waiting.conditions.require(str(base) if document else None)
                outcome = carry_out(
                    waiting.change, document, base, waiting.origin, edit_limit=limit
                )
            except Exception as error:
                waiting.fail(error)
                continue
            outcomes.append((waiting, outcome))
            document, base = outcome.document, outcome.version
            now = time.monotonic()
            if now - started > BATCH_SECONDS:
                break
            if now - slice_started > SLICE_SECONDS:
                await asyncio.sleep(0)
                slice_started = time.monotonic()
        return outcomes

    async def _store_file(
        self, location: Location, document: Document | None, had_file: bool
    ) -> FileStamp | None:
        if document is None:
            # Made and removed in one batch, it never came to be.
            if had_file:
                await asyncio.to_thread(self._store.remove, location)
            return None
        return await asyncio.to_thread(self._store.write, location, document.source)

    def _remember(self, outcomes: list[tuple[Waiting | None, Outcome]]) -> None:
        """Keep what viewers get of a change to the whole document."""
        for _, outcome in outcomes:
            if not outcome.entry.is_element_edit:
                document = outcome.document
                self._sources[outcome.version] = document.source if document else None

    # Publishing.

    async def catch_up(self) -> None:
        """Publish every entry after the own position, in log order."""
        for logged in await self._journal.since(self._seen):
            # Two keepers may have asked at once; the log is published once.
            if logged.sequence > self._seen:
                self._seen = logged.sequence
                self._publish(logged)

    def _publish(self, logged: Logged) -> None:
        entry = Entry.from_event(logged.event)
        self._known[logged.document] = logged.version
        source = self._sources.pop(logged.version, None)
        publication = Publication(logged.version, entry, source)
        viewers = self._hub.publish(self._topic(logged.document), publication)
        logger.info(
            "%s %s %s → rev %d → %d viewers",
            entry.method,
            entry.url,
            entry.selector,
            logged.version.revision,
            viewers,
        )

    def subscribe(self, subscriber: Any, location: Location, itemtype: str) -> None:
        """
        Send ``subscriber`` every edit of the document from now on.

        Args:
            subscriber: a WebSocket or an EventSource.
            location: of the document, which need not exist.
            itemtype: of the StreamItems.
        """
        form = self._forms.get(subscriber, itemtype)
        self._hub.subscribe(subscriber, self._topic(location.key), form)

    def unsubscribe(self, subscriber: Any, location: Location) -> None:
        """Stop sending; harmless when it was not subscribed."""
        self._hub.unsubscribe(subscriber, self._topic(location.key))

    def subscribers(self, location: Location) -> int:
        """Return how many connections of this process follow the document."""
        return self._hub.subscribers(self._topic(location.key))

    def _topic(self, key: str) -> str:
        return f"document:{self._store.root}:{key}"
