"""
What document topics carry, and how each kind of subscriber has it framed.

A publication is a journal entry with the versions before and after it. A wire form
turns it into the bytes that all subscribers of one kind and one item form share, so
each is built once however many there are, and a replay has the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, Protocol

from msgspec import structs

from beamfast.documents.document import Document
from beamfast.documents.streamitem import (
    SCHEMA_TYPE,
    render,
    render_reset,
    render_version,
)
from beamfast.entry import Entry, Version
from beamfast.errors import EditRefused
from beamfast.pubsub.hub import WireForm

#: Bytes of a document that a RESET still carries; above it the client GETs.
RESET_LIMIT: Final = 256 * 2**10


class Publication(NamedTuple):
    """
    One committed change, as the subscribers of its document get it.

    Attributes:
        version: that the change led to.
        url: of the document, as the writer spelled it.
        previous: the version before it.
        entry: an edit of one element; None for a change of the whole document.
        source: the document's bytes after a change of the whole document;
            None when it is gone.
    """

    version: Version
    url: str
    previous: Version | None = None
    entry: Entry | None = None
    source: bytes | None = None

    @classmethod
    def of_entry(
        cls, previous: Version, version: Version, entry: Entry, source: bytes | None
    ) -> Publication:
        """Return what is published of one entry of the log."""
        if entry.is_element_edit:
            return cls(version, entry.url, previous, entry)
        return cls(version, entry.url, previous, source=source)


class DocumentSubscriber(Protocol):
    """A connection that can follow documents, as plugins and committer see it."""

    #: Called once when the connection is gone; first argument is the connection.
    on_close: Callable[..., None] | None
    #: Items that may wait for it.
    queue_items_limit: int

    @property
    def is_closing(self) -> bool:
        """True when nothing more can be sent."""
        ...

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        """Return ``text`` as wire bytes; ``event`` names a kind other than an item."""
        ...

    def write(self, data: bytes) -> None:
        """Send wire bytes to this subscriber alone."""
        ...


class ItemForm(NamedTuple):
    """
    What one subscriber wants of its items.

    Attributes:
        itemtype: the vocabulary.
        takes_resets: changes of the whole document are understood.
        is_versioned: with the properties of ``beam.v1``.
        reset_selector: selector of a RESET, for clients that expect one.
        url: of its items; None for the one that the writer used.
        slow_consumer: what happens when it is too slow: ``resync``, all that waits
            is replaced by one RESET; or ``close``.
    """

    itemtype: str = SCHEMA_TYPE
    takes_resets: bool = True
    is_versioned: bool = False
    reset_selector: str | None = None
    url: str | None = None
    slow_consumer: Literal["resync", "close"] = "resync"

    @property
    def may_resync(self) -> bool:
        """True when a RESET may stand for what was left out."""
        return self.takes_resets and self.slow_consumer == "resync"


class WireForms:
    """The wire forms in use: one callable per kind of connection and item form."""

    def __init__(self) -> None:
        self._forms: dict[tuple[Any, ItemForm], WireForm] = {}

    def get(self, subscriber: DocumentSubscriber, form: ItemForm) -> WireForm:
        """Return the wire form, the same object for all that share it."""
        key = (subscriber.frame_item, form)
        wire_form = self._forms.get(key)
        if wire_form is None:
            wire_form = self._forms[key] = _wire_form(subscriber.frame_item, form)
        return wire_form


def version_frame(
    subscriber: DocumentSubscriber, form: ItemForm, url: str, version: Version
) -> bytes:
    """Return the item ``VERSION``, which moves nothing but the version."""
    text = render_version(url, version, form.itemtype)
    return subscriber.frame_item(text, str(version), None)


def _text_of(source: bytes) -> str | None:
    """Return a document as text; None when the client has to GET its bytes."""
    if len(source) > RESET_LIMIT:
        return None
    try:
        return Document(source).text.text
    except EditRefused:
        # UTF-16, or bytes that their own label does not fit.
        return None


def _wire_form(
    frame: Callable[[str, str, str | None], bytes], form: ItemForm
) -> WireForm:
    def encode(message: Any) -> bytes:
        version, url, previous, entry, source = message
        if form.url is not None:
            url = form.url
            entry = None if entry is None else structs.replace(entry, url=url)
        if entry is not None:
            versions = (previous, version) if form.is_versioned else None
            text = render(entry, form.itemtype, versions=versions)
            return frame(text, str(version), None)
        if not form.takes_resets:
            # Clients of the original would apply a whole document to an element.
            return b""
        content = _text_of(source or b"")
        text = render_reset(
            url,
            content,
            form.itemtype,
            selector=form.reset_selector,
            version=version if form.is_versioned else None,
        )
        return frame(text, str(version), "reset")

    return encode
