"""
HTML laid out for people, in the answers to edits and, if wanted, in files.

What an edit answers is for whoever made it; a page that is only read stays as its
file is.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from beamfast.documents.indent import indent
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

_METHODS: Final = frozenset({"PUT", "POST", "DELETE"})
_STATUSES: Final = frozenset({200, 201, 206})


@dataclass(frozen=True)
class Options:
    """
    Options of the html-prettifier plugin.

    Attributes:
        on_write: also store whole files that way, when they are uploaded.
        max_size: bytes; longer ones are left as they are.
    """

    on_write: bool = False
    max_size: int = 2**20


class HtmlPrettifier(Plugin[Options]):
    """Indent HTML without changing what it shows."""

    name = "html-prettifier"

    def handle_request(
        self, request: Request, context: Context
    ) -> Awaitable[None] | None:
        """Lay out a page that is uploaded."""
        if (
            not self.options.on_write
            or request.method != "PUT"
            or "range" in request.headers
            or not context.store.find(request.path).is_html
        ):
            return None
        return self._lay_out_upload(request)

    async def _lay_out_upload(self, request: Request) -> None:
        announced = request.headers.get("content-length")
        if announced is None or int(announced) > self.options.max_size:
            # Whoever stores it reads it as it comes.
            return
        if pretty := self._pretty(await request.body()):
            request.replace_body(pretty)

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Lay out what an edit answers."""
        if request.method not in _METHODS or response.status not in _STATUSES:
            return
        media_type = response.headers.get("content-type") or ""
        if media_type.partition(";")[0].strip().lower() != "text/html":
            return
        body = response.body
        if (
            isinstance(body, bytes)
            and len(body) <= self.options.max_size
            and (pretty := self._pretty(body))
        ):
            response.body = pretty
            response.headers.remove("Content-Length")

    def _pretty(self, body: bytes) -> bytes | None:
        """Return another form of ``body``, or None to leave it."""
        try:
            text = indent(body.decode())
        except UnicodeDecodeError:
            # In another charset, which a fragment does not tell.
            return None
        return text.encode() if text else None
