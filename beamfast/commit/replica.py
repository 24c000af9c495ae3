"""
What the log says, as this process has it: documents at their newest version.

Entries reach a document in one way only, :meth:`Replica.catch_up`, in log order,
own ones and those of other processes alike: each continues the version that was
published before it, or the document is loaded anew and its viewers get one reset.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from beamfast.commit.keeper import Keeper
from beamfast.commit.provenance import ChangedByHand, examine
from beamfast.commit.publication import Publication
from beamfast.documents.change import redo
from beamfast.documents.document import Document
from beamfast.documents.edit import Edit
from beamfast.documents.filters import matching_filters
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore, Location
from beamfast.entry import Entry, Version
from beamfast.errors import (
    DocumentError,
    DocumentNotFound,
    EditRefused,
    StorageError,
)
from beamfast.journal.journal import Journal, Logged, Snapshot
from beamfast.pubsub.hub import Hub

logger: logging.Logger = logging.getLogger("beamfast.commit")

#: Documents that nobody follows or edits are forgotten above this number.
KEEPERS: Final = 4096


class Replica:
    """
    The keepers of one host.

    Args:
        store: the files.
        journal: the log.
        hub: where entries are published.
        on_moved: called when a document has a version that its file has not.
        on_stale: called when a document has to be loaded anew.
    """

    def __init__(
        self,
        store: DocumentStore,
        journal: Journal,
        hub: Hub,
        on_moved: Callable[[Keeper], None],
        on_stale: Callable[[Keeper], None],
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._on_moved = on_moved
        self._on_stale = on_stale
        self._topics = f"document:{store.root}:"
        self._keepers: OrderedDict[str, Keeper] = OrderedDict()
        #: Returns the keeper with a key, None for a document that is not known.
        self.get: Callable[[str], Keeper | None] = self._keepers.get
        # Of what was logged before, documents learn when they are loaded.
        self._seen = journal.head()
        #: Entries that did not fit what they should have continued.
        self.divergences: int = 0

    @property
    def keepers(self) -> list[Keeper]:
        """Every document that this process knows."""
        return list(self._keepers.values())

    @property
    def is_behind(self) -> bool:
        """True when the log has entries that were not taken yet."""
        return self._journal.head() > self._seen

    @property
    def is_unwritten(self) -> bool:
        """True while nobody has ever edited a document."""
        return self._seen == 0 and self._journal.head() == 0

    def find(self, key: str) -> list[Keeper]:
        """Return the keeper with that key, if there is one."""
        keeper = self._keepers.get(key)
        return [keeper] if keeper else []

    def keeper(self, location: Location) -> Keeper:
        """Return the keeper of a document; its state may have to be loaded."""
        keeper = self._keepers.get(location.key)
        if keeper is None:
            self._evict()
            keeper = Keeper(location, Version.of_file(b""))
            if self.is_unwritten:
                # Why a file cannot be read is told to whoever asks for it.
                with contextlib.suppress(DocumentError):
                    self.adopt_file(keeper)
            self._keepers[location.key] = keeper
        self._keepers.move_to_end(location.key)
        return keeper

    def topic(self, location: Location) -> str:
        """Return the name of the topic of a document."""
        return self._topics + location.key

    def filters(self, keeper: Keeper) -> frozenset[Selector]:
        """Return every filter that somebody in this process has on a document."""
        topic = self._hub.registry.topic(self.topic(keeper.location))
        return frozenset() if topic is None else topic.filters

    def of_topic(self, topic: str) -> Keeper | None:
        """Return the keeper whose topic this is, if it is known."""
        return self._keepers.get(topic.removeprefix(self._topics))

    # State.

    def committed(self, keeper: Keeper) -> Document | None:
        """
        Return the snapshot at the keeper's version, None when it is gone.

        Raises:
            ChangedByHand: the file has to be looked at first.
            AccessDenied: the file system refuses.
        """
        if keeper.is_ahead:
            return keeper.document
        location = keeper.location
        try:
            document = self._store.load(location)
        except DocumentNotFound:
            if keeper.exists:
                raise ChangedByHand from None
            return None
        if document.version == keeper.version and keeper.exists:
            return document
        if keeper.is_logged and keeper.exists:
            finding = examine(self._store, location, keeper.records)
            if finding.record and finding.record.version == keeper.version:
                # Fell out of the cache and was read again; nobody changed it.
                return self._store.restamp(location, keeper.version)
        raise ChangedByHand

    def adopt_file(self, keeper: Keeper) -> Document | None:
        """Take a document that nobody has edited as its file is: revision 0."""
        try:
            document = self._store.load(keeper.location)
        except DocumentNotFound:
            document = None
        keeper.version = document.version if document else Version.of_file(b"")
        keeper.exists = document is not None
        keeper.is_loaded = True
        return document

    async def load(self, keeper: Keeper) -> None:
        """
        Learn from the journal where a document stands.

        Raises:
            StorageError: the journal cannot be read.
        """
        try:
            before = await self._load(keeper)
        except BaseException:
            # What is known is as old as it was.
            keeper.is_stale = True
            raise
        if before is not None and before != keeper.version:
            self.publish_reset(keeper)
        if keeper.is_ahead:
            self._on_moved(keeper)

    async def _load(self, keeper: Keeper) -> Version | None:
        """Return the version that was known before, if there was one."""
        key = keeper.location.key
        while True:
            keeper.is_stale = keeper.is_blind = False
            snapshot = await self._journal.load(key)
            records = tuple(await self._journal.files(key))
            # What was logged meanwhile may or may not be in what was read.
            if not keeper.is_stale:
                break
        before = keeper.version if keeper.is_loaded else None
        if snapshot is None:
            keeper.is_ahead, keeper.document = False, None
            self.adopt_file(keeper)
        else:
            self._rebuild(keeper, snapshot)
            keeper.records = tuple(
                record
                for record in records
                if record.version.revision <= keeper.version.revision
            )
            self._compare_file(keeper)
        return before

    def _rebuild(self, keeper: Keeper, snapshot: Snapshot) -> None:
        source = snapshot.body
        try:
            for logged in snapshot.tail:
                source = redo(Entry.from_event(logged.event), source)
        except ValueError as error:
            raise StorageError(
                f"the journal of {keeper.location.key} is damaged: {error}",
                code="journal-damaged",
            ) from error
        keeper.version = snapshot.version
        keeper.document = None if source is None else Document(source, snapshot.version)
        keeper.exists = source is not None
        keeper.is_ahead = keeper.is_loaded = True

    def _compare_file(self, keeper: Keeper) -> None:
        """Forget the snapshot when the file has it."""
        try:
            finding = examine(self._store, keeper.location, keeper.records)
            if finding.record is None or finding.record.version != keeper.version:
                return
            if keeper.exists:
                self._store.restamp(keeper.location, keeper.version)
        except DocumentError:
            return
        keeper.is_ahead, keeper.document = False, None

    # The log.

    async def catch_up(self) -> None:
        """
        Apply and publish every entry after the own position, in log order.

        Raises:
            StorageError: the journal cannot be read.
        """
        for logged in await self._journal.since(self._seen):
            # Two may have asked at once; the log is published once.
            if logged.sequence > self._seen:
                self._seen = logged.sequence
                self._apply(logged)

    def _apply(self, logged: Logged) -> None:
        keeper = self._keepers.get(logged.document)
        if keeper is None:
            return
        previous = keeper.version
        if not keeper.is_loaded or (keeper.is_stale and not keeper.is_blind):
            keeper.is_stale = True
            return
        if logged.version.revision < previous.revision or logged.version == previous:
            return
        if previous.next(logged.event) != logged.version:
            self._diverge(keeper, logged)
            return
        outcome = keeper.candidates.pop(logged.version, None)
        edit: Edit | None = None
        before: Document | None = None
        if outcome is not None:
            entry, document, edit = outcome.entry, outcome.document, outcome.edit
            if not self.filters(keeper) <= keeper.watched:
                # Somebody has come since it was evaluated.
                edit = None
                with contextlib.suppress(ChangedByHand, DocumentError):
                    before = self._before(keeper)
        else:
            try:
                entry = Entry.from_event(logged.event)
                before = None if keeper.is_blind else self._before(keeper)
            except ValueError:
                self._diverge(keeper, logged)
                return
            except (ChangedByHand, DocumentError):
                # Another process wrote the file before this one came to the entry.
                keeper.is_blind = True
                before = None
            if keeper.is_blind:
                self._apply_blindly(keeper, logged, entry)
                return
            try:
                source = redo(entry, before.source if before else None)
            except ValueError:
                self._diverge(keeper, logged)
                return
            document = None if source is None else Document(source, logged.version)
        keeper.version = logged.version
        keeper.exists = document is not None
        keeper.is_ahead, keeper.document = True, document
        matched = self._matched(keeper, entry, edit, before, document)
        self._publish(keeper, previous, entry, document, matched)
        self._on_moved(keeper)

    def _before(self, keeper: Keeper) -> Document | None:
        """Return what the next entry was made on."""
        if not keeper.is_ahead:
            # Not the file, which another process may have written meanwhile.
            document = self._store.remembered(keeper.location)
            if document is not None and document.version == keeper.version:
                return document if keeper.exists else None
        return self.committed(keeper)

    def _apply_blindly(self, keeper: Keeper, logged: Logged, entry: Entry) -> None:
        """Publish an edit of a document whose bytes before it are gone."""
        if not entry.is_element_edit:
            self._diverge(keeper, logged)
            return
        previous, keeper.version, keeper.is_stale = keeper.version, logged.version, True
        matched = self._matched(keeper, entry, None, None, None)
        self._publish(keeper, previous, entry, None, matched)
        self._on_stale(keeper)

    def _diverge(self, keeper: Keeper, logged: Logged) -> None:
        self.divergences += 1
        keeper.is_stale, keeper.is_blind = True, False
        logger.info("%s is loaded anew at %s", logged.document, logged.version)
        self._on_stale(keeper)

    def _matched(
        self,
        keeper: Keeper,
        entry: Entry,
        edit: Edit | None,
        before: Document | None,
        after: Document | None,
    ) -> frozenset[Selector]:
        """Return which filters an entry concerns; all, when nobody can tell."""
        filters = self.filters(keeper)
        if not filters or not entry.is_element_edit:
            return filters
        if edit is not None:
            return edit.matched
        try:
            return matching_filters(filters, entry, before, after)
        except EditRefused:
            return filters

    def _publish(
        self,
        keeper: Keeper,
        previous: Version,
        entry: Entry,
        document: Document | None,
        matched: frozenset[Selector],
    ) -> None:
        source = document.source if document else None
        publication = Publication.of_entry(previous, keeper.version, entry, source)
        topic = self.topic(keeper.location)
        viewers = self._hub.publish(topic, publication, matched=matched)
        logger.info(
            "%s %s %s → rev %d → %d viewers",
            entry.method,
            entry.url,
            entry.selector,
            keeper.version.revision,
            viewers,
        )

    def reset_of(self, keeper: Keeper) -> Publication:
        """
        Return the whole document at the keeper's version.

        Raises:
            ChangedByHand: the file has to be looked at first.
        """
        document = self.committed(keeper)
        source = document.source if document else None
        return Publication(keeper.version, keeper.location.key, source=source)

    def publish_reset(self, keeper: Keeper) -> None:
        """Send the viewers of a document all of it."""
        with contextlib.suppress(ChangedByHand, DocumentError):
            topic, publication = self.topic(keeper.location), self.reset_of(keeper)
            # What changes all of the document concerns every filter.
            self._hub.publish(topic, publication, matched=self.filters(keeper))

    def _evict(self) -> None:
        """Forget who has not been asked for longest, if nobody needs it."""
        surplus = len(self._keepers) - KEEPERS
        if surplus < 0:
            return
        for key, keeper in list(self._keepers.items())[: 2 * surplus + 16]:
            if keeper.is_idle and not self._hub.subscribers(
                self.topic(keeper.location)
            ):
                del self._keepers[key]
