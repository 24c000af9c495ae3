"""
The files of one document root: cached snapshots, atomic writes, hand edits noticed.

Every call is one synchronous step; who calls it, and on which thread, is decided
in :mod:`beamfast.commit`. Writing and removing touch nothing but the disk, so they
may run in a worker thread; everything else belongs to the loop.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from beamfast.documents import disk
from beamfast.documents.disk import FileStamp, StagedFile
from beamfast.documents.document import Document
from beamfast.documents.location import STATE_DIRECTORY, Location, Resolver
from beamfast.entry import Version
from beamfast.errors import AccessDenied, DocumentNotFound, TooLarge

__all__ = ["DocumentStore", "FileStamp", "Location", "StagedFile"]

#: Files that are not HTML are kept in memory up to this size.
SMALL_FILE: Final = 64 * 2**10
#: For how long, in seconds, and for how many paths :meth:`DocumentStore.find`
#: remembers where they lead.
FOUND_SECONDS: Final = 1.0
FOUND_PATHS: Final = 4096


@dataclass(slots=True)
class _Cached:
    document: Document
    stamp: FileStamp
    is_racy: bool
    cost: int = 0


class DocumentStore:
    """
    The documents below one directory.

    Args:
        root: the directory; symbolic links in it are resolved once, here.
        edit_limit: bytes; larger documents are served, not edited.
        hide_dotfiles: names that begin with a dot do not exist for clients.
        index_file: what stands for a directory.
        cache_budget: bytes that snapshots and their trees may hold.
        charset: parameter of text types, or ``none``.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        edit_limit: int = 2 * 2**20,
        hide_dotfiles: bool = True,
        index_file: str = "index.html",
        cache_budget: int = 256 * 2**20,
        charset: str = "utf-8",
    ) -> None:
        self.root: str = os.path.realpath(root)
        self.edit_limit = edit_limit
        self._resolver = Resolver(self.root, hide_dotfiles, index_file, charset)
        self._budget = cache_budget
        self._held = 0
        # Least recently used first; the second names those that had a tree.
        self._cache: OrderedDict[str, _Cached] = OrderedDict()
        self._trees: OrderedDict[str, None] = OrderedDict()
        self._found: dict[str, tuple[float, Location]] = {}

    # Looking.

    def find(self, path: str) -> Location:
        """
        Return where a path of a GET leads, as it was within the last second.

        Following the links of a path costs more than all else that is done for
        a small file. The file itself is looked at anew by whoever loads it.

        Raises:
            DocumentError: as :meth:`resolve`.
        """
        now = time.monotonic()
        found = self._found.get(path)
        if found is not None and now < found[0]:
            return found[1]
        location = self._resolver.resolve(path)
        if location.exists:
            if len(self._found) >= FOUND_PATHS:
                self._found.clear()
            self._found[path] = now + FOUND_SECONDS, location
        return location

    def resolve(self, path: str) -> Location:
        """
        Return where a request path leads; see :meth:`Resolver.resolve`.

        Raises:
            DocumentError: no file can have this path (400), it is hidden (404),
                or it leaves the root (403).
        """
        return self._resolver.resolve(path)

    def load(self, location: Location) -> Document:
        """
        Return the snapshot of the file as it is now.

        A file changed by somebody else is read again, as revision 0.

        Raises:
            DocumentNotFound: there is no such file.
            AccessDenied: the file system refuses.
        """
        cached = self._current(location)
        if cached is None:
            source, stamp = disk.read_file(location.file)
            cached = self._keep(location.key, Document(source), stamp)
        return cached.document

    def remembered(self, location: Location) -> Document | None:
        """Return the snapshot as last known, whatever its file is like now."""
        cached = self._cache.get(location.key)
        return None if cached is None else cached.document

    def read(self, location: Location) -> tuple[bytes, FileStamp]:
        """
        Return the bytes of a file and their stamp.

        Raises:
            DocumentNotFound: there is no such file.
            AccessDenied: the file system refuses.
        """
        cached = self._current(location)
        if cached is not None:
            return cached.document.source, cached.stamp
        source, stamp = disk.read_file(location.file)
        if location.has_elements or len(source) <= SMALL_FILE:
            self._keep(location.key, Document(source), stamp)
        return source, stamp

    def stamp(self, location: Location) -> FileStamp:
        """
        Return the stamp of a file without reading it.

        Raises:
            DocumentNotFound: there is no such file.
        """
        try:
            return FileStamp.of(Path(location.file).stat())
        except OSError:
            raise DocumentNotFound("File not found") from None

    def open(self, location: Location) -> tuple[BinaryIO, FileStamp]:
        """
        Open a file for reading piece by piece; safe in a worker thread.

        Raises:
            DocumentNotFound: there is no such file.
            AccessDenied: the file system refuses.
        """
        return disk.open_file(location.file)

    def require_editable(self, location: Location, document: Document) -> None:
        """
        Check the size that still leaves the loop responsive.

        Raises:
            TooLarge: ``document`` is over the limit.
        """
        if document.size > self.edit_limit:
            raise TooLarge(
                f"{location.key} has {document.size} bytes, more than the "
                f"{self.edit_limit} that can be edited"
            )

    # Remembering.

    def put(self, location: Location, document: Document, stamp: FileStamp) -> None:
        """Make ``document`` the snapshot of the file that has ``stamp``."""
        self._keep(location.key, document, stamp)

    def restamp(self, location: Location, version: Version) -> Document:
        """
        Give the bytes that are on disk the version that the journal has for them.

        Raises:
            DocumentNotFound: there is no such file.
        """
        document = self.load(location).with_version(version)
        cached = self._cache[location.key]
        self._keep(location.key, document, cached.stamp)
        return document

    def forget(self, location: Location) -> None:
        """Drop what is known about a file."""
        self._drop(location.key)

    # Writing; safe in a worker thread.

    def write(
        self, location: Location, data: bytes, *, durable: bool = True
    ) -> FileStamp:
        """
        Replace the file in one step, so that a reader sees the old or the new one.

        Args:
            location: directories that are missing are made.
            data: the whole file.
            durable: return only when the disk has it.

        Raises:
            StorageError: the old file is intact; 507 when there is no room.
            AccessDenied: the file system refuses.
            EditConflict: a part of the path is a file, or the file a directory.
        """
        return disk.replace_file(location.file, data, durable=durable)

    def stage(
        self, location: Location, data: bytes, *, durable: bool = True
    ) -> StagedFile:
        """
        Write the new file beside the old one, to be put in its place later.

        Arguments and errors as :meth:`write`.
        """
        return disk.stage_file(location.file, data, durable=durable)

    def keep_copy(self, location: Location, revision: int, data: bytes) -> str:
        """
        Keep what a change by hand has overtaken; return where.

        Raises:
            StorageError: it could not be kept; 507 when there is no room.
            AccessDenied: the file system refuses.
        """
        name = f"{location.key}.{revision}.html"
        file = f"{self.root}/{STATE_DIRECTORY}/conflicts{name}"
        disk.replace_file(file, data, durable=True)
        return file

    def remove(self, location: Location) -> None:
        """
        Remove the file.

        Raises:
            DocumentNotFound: there is none.
            AccessDenied: the file system refuses.
            StorageError: the disk fails.
        """
        disk.remove_file(location.file)

    def remove_directory(self, location: Location) -> None:
        """
        Remove the empty directory that ``location`` names.

        Raises:
            EditConflict: it is not empty.
            AccessDenied: the file system refuses.
            StorageError: the disk fails.
        """
        directory = location.file.rpartition("/")[0]
        if directory == self.root:
            raise AccessDenied("Access denied")
        disk.remove_directory(directory)

    def remove_stale_files(self, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """
        Remove what killed writers left behind; return how many files.

        Safe in a worker thread, beside writers.

        Args:
            is_stopped: asked before each directory, whether to give up.
        """
        return disk.remove_stale_files(self.root, is_stopped)

    # The cache.

    def _current(self, location: Location) -> _Cached | None:
        """Return what is cached if the file is still the same."""
        cached = self._cache.get(location.key)
        if cached is None:
            return None
        try:
            status = os.stat(location.file)  # noqa: PTH116 - a Path costs twice as much
        except OSError:
            self._drop(location.key)
            self._found.clear()
            return None
        same = cached.stamp.is_of(status)
        if same and cached.is_racy:
            cached.is_racy = cached.stamp.is_racy
            same = disk.read_file(location.file) == (
                cached.document.source,
                cached.stamp,
            )
        if not same:
            self._drop(location.key)
            return None
        is_newest = next(reversed(self._cache)) == location.key
        if not is_newest or cached.cost != cached.document.cost:
            self._recount_newest()
            self._cache.move_to_end(location.key)
            self._count(location.key, cached)
            self._evict(location.key)
        return cached

    def _keep(self, key: str, document: Document, stamp: FileStamp) -> _Cached:
        self._drop(key)
        self._recount_newest()
        cached = _Cached(document, stamp, stamp.is_racy)
        self._cache[key] = cached
        self._count(key, cached)
        self._evict(key)
        return cached

    def _drop(self, key: str) -> None:
        cached = self._cache.pop(key, None)
        self._trees.pop(key, None)
        if cached is not None:
            self._held -= cached.cost

    def _recount_newest(self) -> None:
        """Count the entry used last once more; its tree came and went unseen."""
        if self._cache:
            key = next(reversed(self._cache))
            self._count(key, self._cache[key])

    def _count(self, key: str, cached: _Cached) -> None:
        cost = cached.document.cost
        self._held += cost - cached.cost
        cached.cost = cost
        if cached.document.has_tree:
            self._trees[key] = None
            self._trees.move_to_end(key)
        else:
            self._trees.pop(key, None)

    def _evict(self, newest: str) -> None:
        """Bring the cache inside its budget; the newest entry always stays."""
        while self._held > self._budget and self._trees:
            key, _ = self._trees.popitem(last=False)
            if key != newest:
                self._cache[key].document.drop_tree()
                self._count(key, self._cache[key])
        while self._held > self._budget and len(self._cache) > 1:
            self._drop(next(iter(self._cache)))
