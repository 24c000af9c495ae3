"""
Elements by ``Range: selector=...``: GET returns them, PUT, POST and DELETE edit.

An edit is handed to the committer, which answers when it is durable and every
viewer has been sent it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from beamfast.documents.change import ElementEdit
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind
from beamfast.documents.request import requested
from beamfast.documents.selection import Selection, read_selection
from beamfast.documents.selector import NO_MATCH, Selector, range_selector
from beamfast.documents.store import Location
from beamfast.errors import (
    DocumentError,
    DocumentNotFound,
    NoElementMatched,
    PreconditionFailed,
    SelectorError,
    TooLarge,
)
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.conditional import Conditions

ALLOW: Final = "GET, HEAD, PUT, POST, DELETE, OPTIONS"
METHODS: Final = frozenset(ALLOW.split(", "))


@dataclass(frozen=True)
class Options:
    """
    Options of the selector-handler plugin.

    Attributes:
        body_limit: bytes of a fragment; above it 413.
        invalid_selector_status: for empty and invalid selectors, 404 or 400.
    """

    body_limit: int = 2**20
    invalid_selector_status: int = 404


class SelectorHandler(Plugin[Options]):
    """Answer every request whose ``Range`` names a selector."""

    name = "selector-handler"

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response] | None:
        """Answer from the snapshot in memory, or wait for the committer."""
        ranges = request.headers.get_all("range")
        if not ranges:
            return None
        try:
            selector = range_selector(ranges)
        except SelectorError as error:
            return self._refuse_selector(error, request, context)
        if selector is None:
            return None
        if request.method not in METHODS:
            return Response(
                405,
                "Method not allowed for selector operations",
                headers=[("Allow", ALLOW)],
            )
        if request.method == "OPTIONS":
            return Response(
                200, headers=[("Allow", ALLOW), ("Accept-Ranges", "selector")]
            )
        location = context.store.resolve(request.path)
        if not context.committer.may_exist(location):
            raise DocumentNotFound("File not found")
        if not location.is_html:
            return _not_html(selector.content_range())
        if request.method in ("GET", "HEAD"):
            document = context.committer.peek(location)
            if document is not None:
                return _selected(request, document, selector, context)
            return _wait_selected(request, location, selector, context)
        return self._edit(request, location, selector, context)

    def _refuse_selector(
        self, error: SelectorError, request: Request, context: Context
    ) -> Response:
        """Answer a bad selector, unless the path itself is the greater problem."""
        location = context.store.resolve(request.path)
        if not context.committer.may_exist(location):
            raise DocumentNotFound("File not found")
        if not location.is_html:
            return _not_html("selector")
        if error.status == 404:
            error.status = self.options.invalid_selector_status
        raise error

    async def _edit(
        self, request: Request, location: Location, selector: Selector, context: Context
    ) -> Response:
        """Read the fragment, have it committed, answer with what is there now."""
        body = b""
        if request.method != "DELETE":
            body = await request.body(self.options.body_limit)
            try:
                body.decode()
            except UnicodeDecodeError:
                raise DocumentError(
                    "Invalid request body", code="invalid-body"
                ) from None
        operation = requested(
            *(request.method, selector, body, request.headers.get_all),
            template_scope=_enters_templates(request),
        )
        kind = operation.kind
        try:
            outcome = await context.committer.commit(
                location,
                ElementEdit(operation, kind.told_as),
                url=request.url,
                user=request.user or "",
                conditions=Conditions.from_headers(request.headers),
                idempotency_key=request.headers.get("idempotency-key"),
            )
        except PreconditionFailed as error:
            document = await context.committer.current(location)
            return _changed(error, request, document, selector, context)
        edit = outcome.edit
        headers = [("ETag", f'"{outcome.version}"')]
        if edit is not None:
            headers.append(("Beam-Edit", edit.level))
        if request.method == "DELETE":
            return Response(204, headers=headers)
        headers.append(("Content-Range", selector.content_range()))
        content = body
        if edit is not None:
            content = body if kind.only_adds else edit.result.rstrip()
        elif kind is Kind.REPLACE or kind.concerns_tag:
            # A change that was made before is known by what the log says of it.
            content = outcome.entry.content.encode().rstrip()
        return Response(206, content, content_type="text/html", headers=headers)


async def _wait_selected(
    request: Request, location: Location, selector: Selector, context: Context
) -> Response:
    document = await context.committer.current(location)
    return _selected(request, document, selector, context)


def _selected(
    request: Request, document: Document, selector: Selector, context: Context
) -> Response:
    """Return all matches in document order, as they stand in the file."""
    if document.size > context.store.edit_limit:
        raise TooLarge("The document is too large to be selected from")
    selection = _read(request, document, selector)
    if selection is None:
        raise NoElementMatched(NO_MATCH)
    headers = [*_tags(document, selection), ("Accept-Ranges", "selector")]
    conditions = Conditions.from_headers(request.headers)
    if conditions.is_unmodified(str(document.version), selection.tag):
        return Response(304, headers=headers)
    headers.append(("Content-Range", selector.content_range()))
    return Response(206, selection.content, content_type="text/html", headers=headers)


def _changed(
    error: PreconditionFailed,
    request: Request,
    document: Document,
    selector: Selector,
    context: Context,
) -> Response:
    """Return the refusal with the tags that hold now (RFC 9110, 15.5.13)."""
    selection = None
    if document.size <= context.store.edit_limit:
        selection = _read(request, document, selector)
    headers = [*_tags(document, selection), ("X-Beamfast-Error", error.code)]
    return Response(error.status, str(error), headers=headers)


def _read(request: Request, document: Document, selector: Selector) -> Selection | None:
    return read_selection(document, selector, template_scope=_enters_templates(request))


def _tags(document: Document, selection: Selection | None) -> list[tuple[str, str]]:
    tags = [("ETag", f'"{document.version}"')]
    if selection is not None:
        tags.append(("Beam-Fragment-ETag", f'"{selection.tag}"'))
    return tags


def _enters_templates(request: Request) -> bool:
    """Tell whether the selector also means the content of ``template`` elements."""
    return (request.headers.get("beam-scope") or "").lower() == "template"


def _not_html(content_range: str) -> Response:
    """Return the refusal for a file that has no elements (RFC 9110, 15.5.17)."""
    return Response(
        416,
        "Range Not Satisfiable: CSS selectors can only be used with HTML files",
        headers=[("Content-Range", content_range), ("X-Beamfast-Error", "not-html")],
    )
