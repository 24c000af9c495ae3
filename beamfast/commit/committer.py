"""
The only writer of documents: one queue per document, one order for everybody.

A change waits in the queue of its document. The keeper takes what is waiting
as one batch, carries it out in memory, commits it to the journal, and publishes
it in log order through :meth:`Committer.catch_up` before anyone is answered.
Nothing else moves the version of a document or publishes its edits; that is why
viewers, journal and file agree on one order.

The journal is the commit point: an answered edit is in it. The HTML file follows
(:mod:`beamfast.commit.rewriter`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

from beamfast.commit.audience import Audience
from beamfast.commit.batch import now
from beamfast.commit.following import Followers, Greeting
from beamfast.commit.keeper import Keeper, Waiting
from beamfast.commit.lock import FileLock
from beamfast.commit.plain import PlainWriter, Stored
from beamfast.commit.provenance import ChangedByHand
from beamfast.commit.publication import ItemForm
from beamfast.commit.replica import Replica
from beamfast.commit.rewriter import Rewriter
from beamfast.commit.sequencer import Sequencer
from beamfast.commit.watcher import Watcher
from beamfast.documents.change import Change, Origin, Outcome
from beamfast.documents.document import Document
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore, Location
from beamfast.errors import Busy, DocumentError, DocumentNotFound
from beamfast.journal.journal import Health, Journal
from beamfast.protocol.conditional import Conditions
from beamfast.pubsub.hub import Hub

logger: logging.Logger = logging.getLogger("beamfast.commit")


class Committer:
    """
    Serialise, store and publish the changes of one host's documents.

    Args:
        store: the documents.
        journal: their log, which the committer closes.
        hub: where entries are published.
        loop: of this process.
        files_lock: held by the process that writes the HTML files, when others
            share the journal; None when this is the only one.
        durable: sync the HTML files.
    """

    def __init__(
        self,
        store: DocumentStore,
        journal: Journal,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        *,
        files_lock: FileLock | None = None,
        durable: bool = True,
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._loop = loop
        shared = self._is_shared = files_lock is not None
        self._rewriter = Rewriter(
            store, journal, loop, self._start, lock=files_lock, durable=durable
        )
        self._replica = Replica(
            store, journal, hub, self._rewriter.schedule, self._start
        )
        self._sequencer = Sequencer(
            *(store, journal, hub, loop, self._replica, self._rewriter), shared=shared
        )
        self._followers = Followers(
            *(self._replica, journal, hub, loop),
            *(self._ready, self._is_ready, self._work_once),
        )
        self._watcher = Watcher(store.root, loop, self._look, shared=shared)
        self._plain = PlainWriter(store)
        self._chores: set[asyncio.Task[None]] = set()
        # What was looked at in this turn of the loop. Whoever asks in the same turn
        # had asked before that look, so it is not stale for him.
        self._glances: dict[str, Document] = {}
        #: Counts the turns in which something was looked at.
        self.turn: int = 0
        self._closing = False

    def start(self) -> None:
        """Begin to notice what others do to the files and to the log."""
        self._watcher.start()
        if self._is_shared:
            self._hub.on_ring(self._catch_up_soon)

    def share(self, files_lock: FileLock) -> None:
        """
        From now on other processes write the same documents.

        Args:
            files_lock: as for a committer that shares from the start.
        """
        self._is_shared = True
        self._rewriter.share(files_lock)
        self._sequencer.share()
        self._watcher.share()
        self._hub.on_ring(self._catch_up_soon)

    async def close(self) -> None:
        """Finish what is queued, write the files; later changes get 503."""
        self._closing = True
        await self._watcher.close()
        await self._followers.close()
        if self.audience is not None:
            self.audience.close()
        await self.flush()
        await self._rewriter.close()
        await self._journal.close()

    async def flush(self) -> None:
        """Return when nothing waits and every file has been written."""
        while tasks := [one.task for one in self._replica.keepers if one.task]:
            await asyncio.wait(tasks)
        await self._rewriter.flush()
        while tasks := [one.task for one in self._replica.keepers if one.task]:
            await asyncio.wait(tasks)

    @property
    def conflicts(self) -> int:
        """Changes by hand that overtook an edit whose file was not written yet."""
        return self._sequencer.conflicts

    def health(self) -> Health:
        """Return whether edits can be stored, and files be written."""
        health = self._journal.health()
        return self._rewriter.health() if health.state == "ok" else health

    # Reading.

    def glance(self, location: Location) -> Document | None:
        """Return what :meth:`peek` returned in this turn of the loop, if it holds."""
        document = self._glances.get(location.key)
        if document is None:
            return None
        keeper = self._replica.get(location.key)
        if keeper is not None:
            still = keeper.version is document.version and self._is_ready(keeper)
        else:
            still = not self._is_shared or self._replica.is_unwritten
        return document if still else None

    def peek(self, location: Location) -> Document | None:
        """
        Return the committed snapshot if that needs no waiting.

        None means: ask :meth:`current`, because the document has to be loaded,
        or its file was changed by hand.

        Raises:
            DocumentNotFound: there is no such document.
        """
        document = self.glance(location)
        if document is not None:
            return document
        keeper = self._replica.get(location.key)
        if keeper is None:
            # Nobody ever edited anything, so the file is all there is.
            if not self._replica.is_unwritten:
                return None
            document = self._store.load(location)
        elif not self._is_ready(keeper):
            return None
        else:
            try:
                document = self._replica.committed(keeper)
            except ChangedByHand:
                return None
            if document is None:
                raise DocumentNotFound("File not found")
        if not self._glances:
            self._loop.call_soon(self._end_turn)
        self._glances[location.key] = document
        return document

    def _end_turn(self) -> None:
        self._glances.clear()
        self.turn += 1

    async def current(self, location: Location) -> Document:
        """
        Return the committed snapshot, taking in a change made by hand first.

        Raises:
            DocumentNotFound: there is no such document.
            StorageError: the journal cannot be read.
        """
        await self._ready(self._replica.keeper(location))
        while (document := self.peek(location)) is None:
            await self._work_once(self._replica.keeper(location))
        return document

    def may_exist(self, location: Location) -> bool:
        """Return False when a document is not there, whatever its file is like."""
        keeper = self._replica.get(location.key)
        if keeper is not None and keeper.is_ahead:
            return keeper.exists
        if location.exists or not location.has_elements:
            return location.exists
        # Another process may have made it, and not written its file yet.
        return self._is_shared and not self._replica.is_unwritten

    # Writing.

    async def commit(
        self,
        location: Location,
        change: Change,
        *,
        url: str,
        user: str = "",
        conditions: Conditions | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """
        Carry out ``change`` in its turn; returns when it is durable and published.

        Args:
            location: of the document.
            change: what to do.
            url: path as the writer spelled it.
            user: who, or empty.
            conditions: checked against the version that the change is made on.
            idempotency_key: name of the change, by which the same one is known
                when it comes again; its first outcome is returned then.

        Raises:
            DocumentError: the change was refused; nothing was stored.
        """
        if self._closing:
            raise Busy("The server is stopping")
        keeper = self._replica.keeper(location)
        if keeper.is_full(change):
            raise Busy("Too many edits are waiting for this document")
        name = idempotency_key or secrets.token_urlsafe(9)
        origin = Origin(url, user, operation_id=name, time=now())
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        waiting = Waiting(
            *(change, origin, conditions or Conditions(), answer),
            may_repeat=idempotency_key is not None,
        )
        keeper.add(waiting)
        self._start(keeper)
        return await answer

    async def store_file(
        self,
        location: Location,
        change: Change,
        *,
        url: str,
        user: str = "",
        conditions: Conditions | None = None,
        idempotency_key: str | None = None,
    ) -> Stored:
        """
        Replace, append to or remove a whole file, a document or not.

        Arguments and errors as :meth:`commit`.
        """
        if not location.has_elements:
            return await self._plain.write(location, change, conditions or Conditions())
        outcome = await self.commit(
            *(location, change),
            url=url,
            user=user,
            conditions=conditions,
            idempotency_key=idempotency_key,
        )
        if outcome.is_new or outcome.document is None:
            # So that paths lead to a new file, and no longer to one that is gone.
            await self._rewriter.write(self._replica.keeper(location))
        etag = "" if outcome.entry.method == "gone" else str(outcome.version)
        return Stored(etag, outcome.is_new)

    def _start(self, keeper: Keeper) -> None:
        self._sequencer.start(keeper)

    async def _work_once(self, keeper: Keeper) -> None:
        """Wait for the work that is due; what failed is raised."""
        await asyncio.shield(self._sequencer.start(keeper))

    # Following.

    async def catch_up(self) -> None:
        """Publish every entry after the own position, in log order."""
        await self._replica.catch_up()

    def subscribe(
        self,
        subscriber: Any,
        location: Location,
        form: ItemForm,
        *,
        after: str | None = None,
        greet: Greeting | None = None,
        filters: frozenset[Selector] = frozenset(),
    ) -> None:
        """Send ``subscriber`` the edits; see :meth:`Followers.follow`."""
        self._followers.follow(
            subscriber, location, form, after=after, greet=greet, filters=filters
        )

    def unsubscribe(self, subscriber: Any, location: Location) -> None:
        """Stop sending; harmless when it was not subscribed."""
        self._followers.unfollow(subscriber, location)

    def forget(self, subscriber: Any) -> None:
        """A connection is gone; it has left its topics by itself."""
        if (audience := self._followers.audience) is not None:
            audience.forget(subscriber)

    def count_audience(self) -> Audience:
        """Count who follows which document, from the first call on."""
        if self._followers.audience is None:
            self._followers.audience = Audience(
                self._hub, self._loop, self._replica.topic
            )
        return self._followers.audience

    @property
    def audience(self) -> Audience | None:
        """Who follows which document; None when nobody has asked."""
        return self._followers.audience

    def subscribers(self, location: Location) -> int:
        """Return how many connections of this process follow the document."""
        return self._followers.count(location)

    def _is_ready(self, keeper: Keeper) -> bool:
        """Return True when a keeper may be asked for its version."""
        if self._is_shared and self._replica.is_behind:
            return False
        return keeper.is_loaded and not keeper.is_stale

    async def _ready(self, keeper: Keeper) -> None:
        """Bring a keeper up to the log."""
        if self._is_shared:
            await self._replica.catch_up()
        while not self._is_ready(keeper):
            await self._work_once(keeper)

    def _look(self, key: str | None) -> None:
        """Look at one file, or at all that are followed: was one changed by hand?"""
        for keeper in self._replica.keepers if key is None else self._replica.find(key):
            location = keeper.location
            if keeper.task or not keeper.is_loaded or not self.subscribers(location):
                continue
            if keeper.is_stale:
                # It could not be loaded when it should have been.
                self._start(keeper)
                continue
            try:
                self._replica.committed(keeper)
            except ChangedByHand:
                self._start(keeper)
            except DocumentError as error:
                logger.debug("%s: %s", location.key, error)
        self._catch_up_soon()

    def _catch_up_soon(self) -> None:
        if self._replica.is_behind:
            task = self._loop.create_task(self._replica.catch_up())
            self._chores.add(task)
            task.add_done_callback(self._chores.discard)
