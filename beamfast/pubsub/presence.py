"""
Who follows a topic: the members of all workers, merged.

A worker announces what it knows of a topic when that changes, at most once a second,
and again every ten seconds; what has not been announced for thirty seconds is gone,
and with it the members of a worker that was killed. So the cost grows with workers
and topics, not with members. Above a thousand members only their number is told.

Joins and leaves are computed from the merged rosters: whoever asks is told once of
each, and a worker whose last member leaves empties nobody else's roster.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from beamfast.pubsub.hub import Hub

#: Topic of the announcements.
TOPIC: Final = "beamfast:presence"
#: Members of a topic that are told by name.
NAMED: Final = 1000
#: Seconds between two announcements of a topic that changes.
COALESCE: Final = 1.0
#: Seconds between two rounds: every second one announces everything again.
ROUND: Final = 5.0
#: Seconds after which what was announced counts no more.
EXPIRY: Final = 30.0


class Member(NamedTuple):
    """
    One connection that follows a topic.

    Attributes:
        id: unique among all workers.
        user: name of the authenticated user, or None.
        since: seconds since the epoch.
    """

    id: str
    user: str | None
    since: int


@dataclass(frozen=True, slots=True)
class Roster:
    """
    Who follows a topic.

    Attributes:
        count: how many.
        members: in the order in which they came; None when there are too many.
    """

    count: int = 0
    members: tuple[Member, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Change:
    """
    What has changed since the last time.

    Attributes:
        count: members now.
        joined: who came; empty when there are too many to tell.
        left: who went.
    """

    count: int
    joined: tuple[Member, ...] = ()
    left: tuple[Member, ...] = ()


class _Announcement(msgspec.Struct, array_like=True):
    """What a worker says; without a topic it asks the others to speak."""

    node: str
    topic: str = ""
    count: int = 0
    members: list[Member] | None = None


@dataclass(slots=True)
class _Heard:
    """What another worker has said of a topic, and until when it counts."""

    count: int
    members: tuple[Member, ...] | None
    until: float


@dataclass(slots=True)
class _Topic:
    """
    One topic.

    Attributes:
        own: members in this process, by their connection.
        heard: what others have announced, by worker.
        told: the merged roster that watchers know.
        at: when it was last announced.
        timer: of the next announcement.
    """

    own: dict[Any, Member] = field(default_factory=dict)
    heard: dict[str, _Heard] = field(default_factory=dict)
    told: Roster = field(default_factory=Roster)
    at: float = float("-inf")
    timer: asyncio.TimerHandle | asyncio.Handle | None = None


class Presence:
    """
    The rosters of all topics.

    Args:
        hub: whose bus carries the announcements.
        loop: of this process.
        on_change: called with a topic and what changed there.
    """

    def __init__(
        self,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        on_change: Callable[[str, Change], None],
    ) -> None:
        self._hub = hub
        self._loop = loop
        self._on_change = on_change
        self._node = secrets.token_hex(6)
        self._numbers = itertools.count(1)
        self._topics: dict[str, _Topic] = {}
        self._joined: dict[Any, set[str]] = {}
        self._rounds = itertools.cycle((False, True))
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to listen, and ask the others who is there."""
        self._hub.on_message(TOPIC, self._hear)
        self._say(_Announcement(self._node))
        self._timer = self._loop.call_later(ROUND, self._round)

    def close(self) -> None:
        """Announce nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for topic in self._topics.values():
            if topic.timer is not None:
                topic.timer.cancel()
        self._topics.clear()
        self._joined.clear()

    def join(self, name: str, connection: Any) -> None:
        """A connection follows a topic; again means the same."""
        topic = self._topics.setdefault(name, _Topic())
        if connection in topic.own:
            return
        number = next(self._numbers)
        topic.own[connection] = Member(
            f"{self._node}-{number}", connection.user, connection.opened
        )
        self._joined.setdefault(connection, set()).add(name)
        self._changed(name, topic)

    def leave(self, name: str, connection: Any) -> None:
        """It follows no more; harmless when it did not."""
        topic = self._topics.get(name)
        if topic is None or topic.own.pop(connection, None) is None:
            return
        names = self._joined[connection]
        names.discard(name)
        if not names:
            del self._joined[connection]
        self._changed(name, topic)

    def gone(self, connection: Any) -> None:
        """The connection is gone, and leaves whatever it followed."""
        for name in tuple(self._joined.get(connection, ())):
            self.leave(name, connection)

    def roster(self, name: str) -> Roster:
        """Return who follows a topic now, in all workers."""
        topic = self._topics.get(name)
        return Roster() if topic is None else self._merged(topic)

    def told(self, name: str) -> Roster:
        """Return what was said last of who follows a topic."""
        topic = self._topics.get(name)
        return Roster() if topic is None else topic.told

    # Telling.

    def _changed(self, name: str, topic: _Topic) -> None:
        """Announce and tell, with what else changes within a second."""
        if topic.timer is not None:
            return
        due = topic.at + COALESCE - self._loop.time()
        if due > 0:
            topic.timer = self._loop.call_later(due, self._flush, name, topic)
        else:
            topic.timer = self._loop.call_soon(self._flush, name, topic)

    def _flush(self, name: str, topic: _Topic) -> None:
        topic.timer = None
        topic.at = self._loop.time()
        self._announce(name, topic)
        self._tell(name, topic)

    def _tell(self, name: str, topic: _Topic) -> None:
        """Say what differs from what was said before."""
        before, now = topic.told, self._merged(topic)
        topic.told = now
        if not (topic.own or topic.heard or topic.timer):
            del self._topics[name]
        if before == now:
            return
        if before.members is None or now.members is None:
            self._on_change(name, Change(now.count))
            return
        known = {member.id for member in before.members}
        present = {member.id for member in now.members}
        self._on_change(
            name,
            Change(
                now.count,
                tuple(member for member in now.members if member.id not in known),
                tuple(member for member in before.members if member.id not in present),
            ),
        )

    def _merged(self, topic: _Topic) -> Roster:
        count = len(topic.own) + sum(one.count for one in topic.heard.values())
        named = list(topic.own.values())
        for one in topic.heard.values():
            if one.members is None:
                return Roster(count, None)
            named += one.members
        if count > NAMED:
            return Roster(count, None)
        named.sort(key=lambda member: (member.since, member.id))
        return Roster(count, tuple(named))

    # Between workers.

    def _announce(self, name: str, topic: _Topic) -> None:
        count = len(topic.own)
        members = None if count > NAMED else list(topic.own.values())
        self._say(_Announcement(self._node, name, count, members))

    def _say(self, announcement: _Announcement) -> None:
        self._hub.bus.forward(TOPIC, msgspec.json.encode(announcement))

    def _hear(self, message: str | bytes) -> None:
        said = msgspec.json.decode(message, type=_Announcement)
        if not said.topic:
            for name, topic in self._topics.items():
                if topic.own:
                    self._announce(name, topic)
            return
        topic = self._topics.setdefault(said.topic, _Topic())
        if said.count:
            named = said.members
            topic.heard[said.node] = _Heard(
                said.count,
                None if named is None else tuple(named),
                self._loop.time() + EXPIRY,
            )
        else:
            topic.heard.pop(said.node, None)
        self._tell(said.topic, topic)

    def _round(self) -> None:
        self._timer = self._loop.call_later(ROUND, self._round)
        announces, now = next(self._rounds), self._loop.time()
        for name, topic in list(self._topics.items()):
            silent = [node for node, one in topic.heard.items() if one.until <= now]
            for node in silent:
                del topic.heard[node]
            if silent:
                self._tell(name, topic)
            if announces and topic.own:
                self._announce(name, topic)
