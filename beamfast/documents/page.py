"""
A page that the server itself reads: users, rules, redirects; parsed when it changed.

The page may be edited through the server, by hand, or replaced; whoever asks
gets what stands in it now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from beamfast.documents.disk import FileStamp, read_file
from beamfast.errors import DocumentError

logger: logging.Logger = logging.getLogger("beamfast.documents")

T = TypeVar("T")


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

    @property
    def is_readable(self) -> bool:
        """False when the last look found no page."""
        return self._is_readable

    def read(self) -> T:
        """Return what the page says now."""
        try:
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
            self._stamp = None
            self._value = self._missing
            return self._missing
        self._is_readable = True
        self._value = self._parse(text)
        self._stamp = stamp
        return self._value
