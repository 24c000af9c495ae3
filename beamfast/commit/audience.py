"""
Who follows the documents of a host, and whoever wants to know.

A host counts its audience when a plugin asks for that, because each connection
costs a few bytes more then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from beamfast.commit.publication import DocumentSubscriber, ItemForm
from beamfast.documents.store import Location
from beamfast.documents.streamitem import render_presence
from beamfast.pubsub.hub import Hub, WireForm
from beamfast.pubsub.presence import Change, Presence, Roster


class Attendance(NamedTuple):
    """Who has come to a document and who has gone, as it is published."""

    url: str
    change: Change


class Audience:
    """
    The followers of all documents, in all workers.

    Args:
        hub: topics of this process.
        loop: of this process.
        topic: names the topic of a document.
    """

    def __init__(
        self,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        topic: Callable[[Location], str],
    ) -> None:
        self._hub = hub
        self._topic = topic
        #: Say also who they are, not only how many.
        self.is_named: bool = True
        self._presence = Presence(hub, loop, self._publish)
        self._urls: dict[str, str] = {}
        self._forms: dict[tuple[Any, ItemForm], WireForm] = {}
        self._presence.start()

    def join(self, topic: str, subscriber: Any) -> None:
        """A connection follows a document."""
        self._presence.join(topic, subscriber)

    def leave(self, topic: str, subscriber: Any) -> None:
        """It does not any more."""
        self._presence.leave(topic, subscriber)

    def forget(self, subscriber: Any) -> None:
        """The connection is gone."""
        self._presence.gone(subscriber)

    def roster(self, location: Location) -> Roster:
        """Return who follows a document now."""
        return self._presence.roster(self._topic(location))

    def attend(self, subscriber: Any, location: Location, form: ItemForm) -> None:
        """
        Tell ``subscriber`` who follows a document, now and when that changes.

        Args:
            subscriber: a WebSocket or an EventSource.
            location: of the document.
            form: of its items.
        """
        topic = self._topic(location)
        self._urls[topic] = location.key
        wire_form = self._form(subscriber, form)
        # What is told to all others next continues what they were told before.
        told = self._presence.told(topic)
        change = Change(told.count, told.members or ())
        subscriber.write(wire_form(self._attendance(topic, change)))
        self._hub.subscribe(subscriber, _topic_of_changes(topic), wire_form)

    def close(self) -> None:
        """Count nobody any more."""
        self._presence.close()

    def _publish(self, topic: str, change: Change) -> None:
        name = _topic_of_changes(topic)
        if self._hub.subscribers(name):
            self._hub.publish(name, self._attendance(topic, change))
        else:
            self._urls.pop(topic, None)

    def _attendance(self, topic: str, change: Change) -> Attendance:
        told = change if self.is_named else Change(change.count)
        return Attendance(self._urls[topic], told)

    def _form(self, subscriber: DocumentSubscriber, form: ItemForm) -> WireForm:
        key = (subscriber.frame_item, form)
        if key not in self._forms:
            self._forms[key] = _wire_form(subscriber.frame_item, form)
        return self._forms[key]


def _topic_of_changes(topic: str) -> str:
    return f"presence:{topic}"


def _wire_form(
    frame: Callable[[str, str, str | None], bytes], form: ItemForm
) -> WireForm:
    def encode(message: Any) -> bytes:
        url, change = message
        text = render_presence(
            *(form.url or url, change.count, change.joined, change.left),
            form.itemtype,
        )
        # It has no version, and moves none.
        return frame(text, "", "presence")

    return encode
