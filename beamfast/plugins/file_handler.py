"""
Whole files: GET and HEAD with validators and byte ranges, PUT, POST, DELETE.

HTML documents are served from the committed snapshot and written through the
committer, so that versions, caches and open streams stay right. Other files
are replaced whole. Byte ranges (RFC 9110, 14) are honoured on other files
only: an HTML document has the range unit ``selector``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from beamfast.documents.change import Appending, Change, Removal, Replacement
from beamfast.documents.document import Document
from beamfast.documents.store import FileStamp, Location
from beamfast.errors import DocumentNotFound
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.conditional import Conditions, EntityTags

ALLOW: Final = "GET, PUT, DELETE, OPTIONS, POST, HEAD"

_BYTE_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE)
_FILE_NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True)
class Options:
    """
    Options of the file-handler plugin.

    Attributes:
        byte_ranges: answer ``Range: bytes=`` on files that are not HTML.
        max_body: bytes of an uploaded file; above it 413.
    """

    byte_ranges: bool = True
    max_body: int = 8 * 2**20


class FileHandler(Plugin[Options]):
    """Serve and store the files below the host's root."""

    name = "file-handler"

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response] | None:
        """Answer from memory or disk, or wait for the committer."""
        method = request.method
        if method == "OPTIONS":
            headers = [("Allow", ALLOW), ("Accept-Ranges", "selector")]
            return Response(200, headers=headers)
        if method in ("GET", "HEAD"):
            location = context.store.resolve(request.path)
            if not location.exists:
                raise DocumentNotFound("File not found")
            if not location.is_html:
                return self._file(request, location, context)
            document = context.committer.peek(location)
            if document is None:
                return _wait_document(request, location, context)
            return _document(request, location, document, context)
        if method in ("PUT", "POST", "DELETE"):
            return self._write(request, context)
        return None

    def _file(self, request: Request, location: Location, context: Context) -> Response:
        """Return a file that is not HTML, or a part of it."""
        data, stamp = context.store.read(location)
        conditions = Conditions.from_headers(request.headers)
        headers = _validators(stamp.etag, stamp)
        if self.options.byte_ranges:
            headers.append(("Accept-Ranges", "bytes"))
        if conditions.is_unmodified(stamp.etag, modified=stamp.modified):
            return Response(304, headers=headers)
        wanted = self._byte_range(request, stamp, len(data))
        if wanted is None:
            return Response(
                200, data, content_type=location.media_type, headers=headers
            )
        first, last = wanted
        if first >= len(data):
            headers.append(("Content-Range", f"bytes */{len(data)}"))
            return Response(416, "Range Not Satisfiable", headers=headers)
        headers.append(("Content-Range", f"bytes {first}-{last}/{len(data)}"))
        part = data[first : last + 1]
        return Response(206, part, content_type=location.media_type, headers=headers)

    def _byte_range(
        self, request: Request, stamp: FileStamp, size: int
    ) -> tuple[int, int] | None:
        """Return the one range that is asked for and may be sent."""
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
            if not tags.matches(stamp.etag, weak=False):
                return None
        if not match[1]:
            length = int(match[2])
            return (max(size - length, 0), size - 1) if length else (size, size)
        first = int(match[1])
        last = int(match[2]) if match[2] else size - 1
        return None if match[2] and last < first else (first, min(last, size - 1))

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
        )
        headers = [("ETag", f'"{stored.etag}"')]
        if method == "POST" and name is None:
            return Response(200, "Content appended successfully", headers=headers)
        status = 201 if stored.is_new else 200
        return Response(status, "File uploaded successfully", headers=headers)

    async def _remove(
        self, request: Request, location: Location, context: Context
    ) -> Response:
        if location.is_directory and not location.exists:
            context.store.remove_directory(location)
            return Response(204)
        if not location.exists:
            raise DocumentNotFound("File not found")
        await context.committer.store_file(
            location,
            Removal(),
            url=request.url,
            user=request.user or "",
            conditions=Conditions.from_headers(request.headers),
        )
        return Response(204)


async def _wait_document(
    request: Request, location: Location, context: Context
) -> Response:
    document = await context.committer.current(location)
    return _document(request, location, document, context)


def _document(
    request: Request, location: Location, document: Document, context: Context
) -> Response:
    """Return an HTML document as its file has it."""
    etag = str(document.version)
    headers = [("ETag", f'"{etag}"'), ("Accept-Ranges", "selector")]
    if Conditions.from_headers(request.headers).is_unmodified(etag):
        return Response(304, headers=headers)
    return Response(
        200, document.source, content_type=location.media_type, headers=headers
    )


def _validators(etag: str, stamp: FileStamp) -> list[tuple[str, str]]:
    return [
        ("ETag", f'"{etag}"'),
        ("Last-Modified", formatdate(stamp.modified, usegmt=True)),
    ]
