"""
A page that the server itself reads: users, rules, redirects; parsed when it changed.

The page may be edited through the server, by hand, or replaced; whoever asks
gets what stands in it now.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from beamfast.documents.disk import FileStamp, read_file
from beamfast.documents.document import Document
from beamfast.documents.store import DocumentStore, Location
from beamfast.errors import DocumentError

logger: logging.Logger = logging.getLogger("beamfast.documents")

T = TypeVar("T")


class Snapshots(Protocol):
    """Who knows served documents as they were last committed."""

    def peek(self, location: Location) -> Document | None:
        """Return one, or None when that needs waiting."""
        ...

    def current(self, location: Location) -> Awaitable[Document]:
        """Wait for one."""
        ...


class Page(Generic[T]):
    """
    One file and what was read from it.

    Args:
        path: of the file, also as ``file://`` URL.
        parse: makes the value from the text.
        missing: the value while the file cannot be read.
    """

    def __init__(self, path: str, parse: Callable[[str], T], missing: T) -> None:
        self.path: Path = Path(path.removeprefix("file://"))
        self._parse = parse
        self._missing = missing
        self._value = missing
        self._stamp: FileStamp | None = None
        self._is_readable = True
        self._document: Document | None = None
        self._location: Location | None = None
        self._snapshots: Snapshots | None = None

    def follow(self, store: DocumentStore, snapshots: Snapshots) -> None:
        """Read the page, if it is served itself, as committed: its file comes later."""
        try:
            place = self.path.resolve().relative_to(store.root)
            location = store.resolve(f"/{place.as_posix()}")
        except (ValueError, DocumentError):
            return
        if location.is_html:
            self._location, self._snapshots = location, snapshots

    def wait(self) -> Awaitable[object] | None:
        """Return what to wait for before :meth:`read` is sure to see every edit."""
        if self._snapshots is None or self._location is None:
            return None
        try:
            if self._snapshots.peek(self._location) is not None:
                return None
        except DocumentError:
            return None
        return self._snapshots.current(self._location)

    @property
    def is_readable(self) -> bool:
        """False when the last look found no page."""
        return self._is_readable

    def read(self) -> T:
        """Return what the page says now."""
        try:
            document = None
            if self._snapshots is not None and self._location is not None:
                document = self._snapshots.peek(self._location)
            if document is not None:
                if document is not self._document:
                    self._value = self._parse(
                        document.source.decode("utf-8", "replace")
                    )
                    self._document, self._stamp = document, None
                self._is_readable = True
                return self._value
            if (
                self._stamp is not None
                and not self._stamp.is_racy
                and FileStamp.of(self.path.stat()) == self._stamp
            ):
                return self._value
            source, stamp = read_file(str(self.path.resolve()))
            text = source.decode("utf-8", "replace")
        except (OSError, DocumentError) as error:
            if self._is_readable:
                logger.error("%s cannot be read: %s", self.path, error)
            self._is_readable = False
            self._stamp = self._document = None
            self._value = self._missing
            return self._missing
        self._is_readable = True
        self._value = self._parse(text)
        self._stamp, self._document = stamp, None
        return self._value
