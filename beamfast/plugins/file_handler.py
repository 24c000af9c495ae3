"""
Whole files: GET and HEAD with validators and byte ranges, PUT, POST, DELETE.

HTML documents are served from the committed snapshot and written through the
committer, so that versions, caches and open streams stay right. Other files
are replaced whole. Byte ranges (RFC 9110, 14) are honoured on other files
only: an HTML document has the range unit ``selector``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass
from email.utils import formatdate
from typing import BinaryIO, Final, Literal
from urllib.parse import quote

from beamfast._known import KnownAnswers
from beamfast.documents.change import Appending, Change, Removal, Replacement
from beamfast.documents.document import Document
from beamfast.documents.store import DocumentStore, FileStamp, Location
from beamfast.entry import Version
from beamfast.errors import DocumentNotFound, StorageError
from beamfast.http import FileBody, Headers, Request, Response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.conditional import Conditions, EntityTags

ALLOW: Final = "GET, PUT, DELETE, OPTIONS, POST, HEAD"

#: Files above this size are read piece by piece, off the loop.
STREAM_ABOVE: Final = 2**20
PIECE: Final = 2**18
#: Documents whose answer is not built again for each request.
KEPT_ANSWERS: Final = 1024

_BYTE_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE)
_FILE_NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True)
class Options:
    """
    Options of the file-handler plugin.

    Attributes:
        byte_ranges: answer ``Range: bytes=`` on files that are not HTML.
        charset: of text types, ``utf-8``, or ``none`` for bare types.
        max_body: bytes of an uploaded file; above it 413.
        index_file: what stands for a folder, for every plugin of the host.
        hide_dotfiles: names that begin with a dot do not exist, for every plugin.
        redirect_dirs: answer a folder without its slash with 301 to the one with it.
        root_dir: understood and without effect; the root of the host counts.
    """

    byte_ranges: bool = True
    charset: Literal["utf-8", "none"] = "utf-8"
    max_body: int = 8 * 2**20
    index_file: str = "index.html"
    hide_dotfiles: bool = True
    redirect_dirs: bool = False
    root_dir: str = "."

    def __post_init__(self) -> None:
        """Refuse what cannot be a file in a folder."""
        if not self.index_file or "/" in self.index_file:
            raise ValueError(f"index_file: {self.index_file!r} is no name of a file")


class FileHandler(Plugin[Options]):
    """Serve and store the files below the host's root."""

    name = "file-handler"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        # Answers without their body by the key of the document.
        self._answers: dict[str, tuple[Version, Response]] = {}
        self._known = KnownAnswers(Request, Response)

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response] | None:
        """Answer from memory or disk, or wait for the committer."""
        again = self._known.find(request, context.committer)
        if again is not None:
            return again
        method = request.method
        if method in ("GET", "HEAD"):
            location = context.store.find(request.path)
            if self.options.redirect_dirs and self._lacks_slash(request, location):
                query = f"?{request.query}" if request.query else ""
                place = f"{quote(request.path)}/{query}"
                return Response(301, headers=[("Location", place)])
            committer = context.committer
            document = committer.glance(location)
            if document is None:
                if not committer.may_exist(location):
                    raise DocumentNotFound("File not found")
                if not location.has_elements:
                    return self._file(request, location, context)
                document = committer.peek(location)
                if document is None:
                    return self._wait_document(request, location, context)
            return self._document(request, location, document, committer.turn)
        if method in ("PUT", "POST", "DELETE"):
            return self._write(request, context)
        if method == "OPTIONS":
            headers = [("Allow", ALLOW), ("Accept-Ranges", "selector")]
            return Response(200, headers=headers)
        return None

    def _file(self, request: Request, location: Location, context: Context) -> Response:
        """Return a file that is not HTML, or a part of it."""
        stamp = context.store.stamp(location)
        data = b""
        if stamp.size <= STREAM_ABOVE:
            data, stamp = context.store.read(location)
        conditions = Conditions.from_headers(request.headers)
        headers = [
            ("ETag", f'"{stamp.etag}"'),
            ("Last-Modified", formatdate(stamp.modified, usegmt=True)),
        ]
        if self.options.byte_ranges:
            headers.append(("Accept-Ranges", "bytes"))
        if conditions.is_unmodified(stamp.etag, modified=stamp.modified):
            return Response(304, headers=headers)
        status, first, last = 200, 0, stamp.size - 1
        wanted = self._byte_range(request, stamp.size, stamp.etag)
        if wanted is not None:
            status, (first, last) = 206, wanted
            if first > last:
                headers.append(("Content-Range", f"bytes */{stamp.size}"))
                return Response(416, "Range Not Satisfiable", headers=headers)
            headers.append(("Content-Range", f"bytes {first}-{last}/{stamp.size}"))
        body: bytes | FileBody = data[first : last + 1]
        if stamp.size > STREAM_ABOVE:
            headers.append(("Content-Length", str(last + 1 - first)))
            body = _FilePart(context.store, location, stamp, first, last)
        return Response(
            status, body, content_type=self._media_type(location), headers=headers
        )

    def _lacks_slash(self, request: Request, location: Location) -> bool:
        index = f"{request.path}/{self.options.index_file}"
        return location.exists and location.key == index

    def _media_type(self, location: Location) -> str:
        media_type = location.media_type
        return (
            media_type
            if self.options.charset != "none"
            else media_type.partition(";")[0]
        )

    def _byte_range(
        self, request: Request, size: int, etag: str
    ) -> tuple[int, int] | None:
        """Return the one range that is asked for; an empty one cannot be met."""
        value = request.headers.get("range")
        if value is None or not self.options.byte_ranges or request.method != "GET":
            return None
        match = _BYTE_RANGE.fullmatch(value)
        if match is None or not (match[1] or match[2]):
            # Several ranges, or another unit: the whole file (RFC 9110, 14.2).
            return None
        condition = request.headers.get("if-range")
        if condition is not None:
            tags = EntityTags.parse(condition)
            if not tags.matches(etag, weak=False):
                return None
        if not match[1]:
            length = int(match[2])
            return (max(size - length, 0) if length else size), size - 1
        first = int(match[1])
        last = int(match[2]) if match[2] else size - 1
        return None if match[2] and last < first else (first, min(last, size - 1))

    async def _wait_document(
        self, request: Request, location: Location, context: Context
    ) -> Response:
        document = await context.committer.current(location)
        turn = context.committer.turn
        return self._document(request, location, document, turn)

    def _document(
        self, request: Request, location: Location, document: Document, turn: int
    ) -> Response:
        """Return an HTML document as its file has it."""
        version = document.version
        known = self._answers.get(location.key)
        if known is not None and known[0] is version:
            model = known[1]
        else:
            model = self._answer(location, document)
        answer = model.copy()
        headers = request.headers
        # Every conditional field begins so (RFC 9110, 13.1), and few requests have one.
        if headers.has_prefix(b"if-") and (
            Conditions.from_headers(headers).is_unmodified(str(version))
        ):
            answer.status = 304
            answer.headers.remove("Content-Type")
            return answer
        if location.is_xml:
            wanted = self._byte_range(request, document.size, str(version))
            if wanted is not None:
                return _part(document.source, wanted, answer.headers)
        else:
            self._known.keep(request.path, turn, location, document, model)
        answer.body = document.source
        return answer

    def _answer(self, location: Location, document: Document) -> Response:
        """Build what answers for a document have in common, and keep it."""
        answer = Response(
            200,
            headers=[
                ("ETag", f'"{document.version}"'),
                ("Accept-Ranges", "selector"),
                ("Content-Type", self._media_type(location)),
            ],
        )
        if len(self._answers) >= KEPT_ANSWERS:
            self._answers.clear()
        self._answers[location.key] = document.version, answer
        return answer

    async def _write(self, request: Request, context: Context) -> Response:
        """Store, append or remove a whole file."""
        method = request.method
        path = request.path
        name = request.headers.get("x-filename")
        if method == "POST" and name is not None and path.endswith("/"):
            if not _FILE_NAME.fullmatch(name):
                return Response(400, "Invalid file name")
            path += name
        location = context.store.resolve(path)
        if method == "DELETE":
            return await self._remove(request, location, context)
        body = await request.body(self.options.max_body)
        change: Change = Replacement(body) if method == "PUT" else Appending(body)
        stored = await context.committer.store_file(
            location,
            change,
            url=request.url,
            user=request.user or "",
            conditions=Conditions.from_headers(request.headers),
            idempotency_key=request.headers.get("idempotency-key"),
        )
        headers = [("ETag", f'"{stored.etag}"')]
        if method == "POST" and name is None:
            return Response(200, "Content appended successfully", headers=headers)
        status = 201 if stored.is_new else 200
        return Response(status, "File uploaded successfully", headers=headers)

    async def _remove(
        self, request: Request, location: Location, context: Context
    ) -> Response:
        may_exist = context.committer.may_exist(location)
        if location.is_directory and not may_exist:
            context.store.remove_directory(location)
            return Response(204)
        if not may_exist:
            raise DocumentNotFound("File not found")
        await context.committer.store_file(
            location,
            Removal(),
            url=request.url,
            user=request.user or "",
            conditions=Conditions.from_headers(request.headers),
            idempotency_key=request.headers.get("idempotency-key"),
        )
        return Response(204)


def _part(source: bytes, wanted: tuple[int, int], headers: Headers) -> Response:
    """Return a part of a document (RFC 9110, 14.4 and 15.5.17)."""
    first, last = wanted
    headers = headers.copy()
    if first > last:
        headers.remove("Content-Type")
        headers.add("Content-Range", f"bytes */{len(source)}")
        return Response(416, "Range Not Satisfiable", headers=headers)
    headers.add("Content-Range", f"bytes {first}-{last}/{len(source)}")
    return Response(206, source[first : last + 1], headers=headers)


class _FilePart(FileBody):
    """A large file, from byte ``first`` to byte ``last``, read off the loop."""

    def __init__(
        self,
        store: DocumentStore,
        location: Location,
        stamp: FileStamp,
        first: int,
        last: int,
    ) -> None:
        self.first, self.size = first, last + 1 - first
        self._store = store
        self._location = location
        self._stamp = stamp

    def open(self) -> BinaryIO:
        """Open the file if it is the one that the head was made for."""
        stream, opened = self._store.open(self._location)
        if opened != self._stamp:
            stream.close()
            raise StorageError("the file changed before it could be sent")
        return stream

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        with await asyncio.to_thread(self.open) as stream:
            stream.seek(self.first)
            left = self.size
            while left:
                piece = await asyncio.to_thread(stream.read, min(PIECE, left))
                if not piece:
                    raise StorageError("the file was cut while it was sent")
                left -= len(piece)
                yield piece
