"""
What document topics carry, and how each kind of subscriber has it framed.

A publication is a journal entry with the version it led to. A wire form turns
it into the bytes that all subscribers of one kind and one item type share, so
each is built once however many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from beamfast.documents.streamitem import render, render_reset
from beamfast.entry import Entry, Version
from beamfast.pubsub.hub import WireForm

#: Bytes of a document that a RESET still carries; above it the client GETs.
RESET_LIMIT: Final = 256 * 2**10


class Publication(NamedTuple):
    """
    One committed change, as the subscribers of its document get it.

    Attributes:
        version: that the entry led to.
        entry: the change.
        source: the document's bytes after a change of the whole document;
            None when it is gone.
    """

    version: Version
    entry: Entry
    source: bytes | None = None


class DocumentSubscriber(Protocol):
    """A connection that can follow documents, as plugins and committer see it."""

    #: Called once when the connection is gone; first argument is the connection.
    on_close: Callable[..., None] | None

    @property
    def takes_resets(self) -> bool:
        """True when items about the whole document are understood."""
        ...

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        """Return ``text`` as wire bytes; ``event`` names a kind other than an item."""
        ...


class WireForms:
    """The wire forms in use: one callable per kind of connection and item type."""

    def __init__(self) -> None:
        self._forms: dict[tuple[Any, bool, str], WireForm] = {}

    def get(self, subscriber: DocumentSubscriber, itemtype: str) -> WireForm:
        """Return the form, the same object for all subscribers that share it."""
        key = (subscriber.frame_item, subscriber.takes_resets, itemtype)
        form = self._forms.get(key)
        if form is None:
            form = _form(subscriber.frame_item, subscriber.takes_resets, itemtype)
            self._forms[key] = form
        return form


def _form(
    frame: Callable[[str, str, str | None], bytes], takes_resets: bool, itemtype: str
) -> WireForm:
    def encode(message: Any) -> bytes:
        version, entry, source = message
        if entry.is_element_edit:
            return frame(render(entry, itemtype), str(version), None)
        if not takes_resets:
            # Clients of the original would apply a whole document to an element.
            return b""
        if source is not None and len(source) > RESET_LIMIT:
            content = None
        else:
            content = (source or b"").decode("utf-8", "replace")
        return frame(render_reset(entry.url, content, itemtype), str(version), "reset")

    return encode
