"""
What one client follows: its own document by connecting, or what it has asked for.

The first thing that a client asks for takes the place of the document that it
follows by connecting; a filter would filter nothing otherwise. Whatever it asks
for, a client is in one lane of each topic, and gets an edit once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from beamfast.commit.committer import Committer
from beamfast.commit.publication import ItemForm
from beamfast.documents.selector import Selector
from beamfast.documents.store import Location
from beamfast.entry import Version


@dataclass(slots=True)
class Followed:
    """
    A document that a client follows.

    Attributes:
        location: of the document.
        path: canonical path by which it was named.
        is_whole: all of it.
        filters: else what concerns one of these; by their normal form.
    """

    location: Location
    path: str
    is_whole: bool = False
    filters: dict[str, Selector] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """True when nothing of the document is wanted."""
        return not (self.is_whole or self.filters)


class Subscriptions:
    """
    The subscriptions of one client.

    Args:
        committer: of the host.
        subscriber: the connection, which follows ``own`` already.
        form: of its items from now on.
        own: the document that it follows by connecting.
        path: by which that was named.
    """

    def __init__(
        self,
        committer: Committer,
        subscriber: Any,
        form: ItemForm,
        own: Location,
        path: str,
    ) -> None:
        self._committer = committer
        self._subscriber = subscriber
        self.form: ItemForm = form
        self._is_implicit = True
        self._followed = {own.key: Followed(own, path, is_whole=True)}

    def __len__(self) -> int:
        if self._is_implicit:
            return 0
        return sum(one.is_whole + len(one.filters) for one in self._followed.values())

    @property
    def paths(self) -> list[str]:
        """The paths of all documents that are followed."""
        return [one.path for one in self._followed.values()]

    async def add(
        self,
        location: Location,
        path: str,
        selector: Selector | None,
        on_join: Callable[[Version], None],
    ) -> None:
        """
        Follow a document, or more of it.

        Args:
            location: of the document.
            path: by which the client named it.
            selector: of what is wanted; None for all.
            on_join: called at the moment from which on the client gets what comes.

        Raises:
            TooManyFilters: nothing has changed.
        """
        known = None if self._is_implicit else self._followed.get(location.key)
        wanted = Followed(location, path)
        if known is not None:
            wanted.is_whole, wanted.filters = known.is_whole, dict(known.filters)
        if selector is None:
            wanted.is_whole = True
        else:
            wanted.filters[selector.normalized] = selector
        await self._follow(wanted, on_join)
        if self._is_implicit:
            self._is_implicit = False
            for key, other in list(self._followed.items()):
                if key != location.key:
                    self._unfollow(other)
        self._followed[location.key] = wanted

    async def remove(self, location: Location, selector: Selector | None) -> None:
        """Do without one filter of a document, or without all of it."""
        known = self._followed.get(location.key)
        if known is None:
            return
        if selector is None:
            self._unfollow(known)
        elif known.filters.pop(selector.normalized, None) is not None:
            if known.is_empty:
                self._unfollow(known)
            else:
                await self._follow(known)

    def remove_all(self) -> None:
        """Follow nothing."""
        for one in list(self._followed.values()):
            self._unfollow(one)

    async def _follow(
        self, wanted: Followed, on_join: Callable[[Version], None] | None = None
    ) -> None:
        """Move to another lane of the topic; returns when that is done."""
        loop = asyncio.get_running_loop()
        joined: asyncio.Future[None] = loop.create_future()

        def join(version: Version) -> None:
            if on_join is not None:
                on_join(version)
            if not joined.done():
                joined.set_result(None)

        filters = () if wanted.is_whole else wanted.filters.values()
        self._committer.subscribe(
            *(self._subscriber, wanted.location, self.form),
            greet=join,
            filters=frozenset(filters),
        )
        # A document that cannot be loaded ends the connection, and whoever waits.
        await joined

    def _unfollow(self, one: Followed) -> None:
        self._is_implicit = False
        del self._followed[one.location.key]
        self._committer.unsubscribe(self._subscriber, one.location)
