"""
Elements by ``Range: selector=...``: GET returns them, PUT, POST and DELETE edit.

PATCH does several such edits at once. An edit is handed to the committer, which
answers when it is durable and every viewer has been sent it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import ClassVar, Final

from beamfast.documents.change import Change, ElementEdit, Outcome, Patch
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.patch import MEDIA_TYPE, read_patch
from beamfast.documents.request import enters_templates, requested
from beamfast.documents.selection import Selection, read_selection
from beamfast.documents.selector import NO_MATCH, Selector, range_selector
from beamfast.documents.store import Location
from beamfast.documents.xml import read_xml
from beamfast.errors import (
    DocumentError,
    DocumentNotFound,
    NoElementMatched,
    PreconditionFailed,
    SelectorError,
    TooLarge,
)
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Needs, Plugin
from beamfast.protocol.conditional import Conditions

ALLOW: Final = "GET, HEAD, PUT, POST, DELETE, OPTIONS"
METHODS: Final = frozenset(ALLOW.split(", "))
_JSON: Final = "application/json"


@dataclass(frozen=True)
class Options:
    """
    Options of the selector-handler plugin.

    Attributes:
        body_limit: bytes of a fragment; above it 413.
        invalid_selector_status: for empty and invalid selectors, 404 or 400.
        require_match: an edit has to name the tag that it was made against, in
            ``If-Match``; without one it is answered with 428.
        root_dir: understood and without effect; the root of the host counts.
    """

    body_limit: int = 2**20
    invalid_selector_status: int = 404
    require_match: bool = False
    root_dir: str = "."


class SelectorHandler(Plugin[Options]):
    """Answer every request whose ``Range`` names a selector."""

    name = "selector-handler"
    needs_fields: ClassVar[Needs] = (
        (b"range", b""),
        (b"content-type", MEDIA_TYPE.encode()),
    )

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response] | None:
        """Answer from the snapshot in memory, or wait for the committer."""
        if not request.headers.has(b"range"):
            if request.method == "PATCH" and _is_patch(request):
                return self._patch(request, context)
            return None
        ranges = request.headers.get_all("range")
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
                200,
                headers=[
                    ("Allow", ALLOW),
                    ("Accept-Ranges", "selector"),
                    ("Accept-Patch", MEDIA_TYPE),
                ],
            )
        location = context.store.resolve(request.path)
        if not context.committer.may_exist(location):
            raise DocumentNotFound("File not found")
        if not location.has_elements:
            return _not_html(selector.content_range())
        if request.method in ("GET", "HEAD"):
            document = context.committer.peek(location)
            if document is not None:
                return _selected(request, document, selector, location, context)
            return _wait_selected(request, location, selector, context)
        return self._edit(request, location, selector, context)

    def _refuse_selector(
        self, error: SelectorError, request: Request, context: Context
    ) -> Response:
        """Answer a bad selector, unless the path itself is the greater problem."""
        location = context.store.resolve(request.path)
        if not context.committer.may_exist(location):
            raise DocumentNotFound("File not found")
        if not location.has_elements:
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
            template_scope=enters_templates(request.headers.get_all),
        )
        self._require_match(request)
        try:
            outcome = await _commit(
                request,
                location,
                ElementEdit(operation, operation.kind.told_as, is_xml=location.is_xml),
                context,
            )
        except PreconditionFailed as error:
            document = await context.committer.current(location)
            return _changed(error, request, document, selector, location, context)
        return _edited(request, outcome, operation, location)

    async def _patch(self, request: Request, context: Context) -> Response:
        """Do what a list says, all or nothing."""
        location = context.store.resolve(request.path)
        if not context.committer.may_exist(location):
            raise DocumentNotFound("File not found")
        if not location.has_elements:
            return _not_html("selector")
        patch = read_patch(
            await request.body(self.options.body_limit), is_xml=location.is_xml
        )
        if not all(item.tag for item in patch.items):
            self._require_match(request)
        outcome = await _commit(request, location, patch, context)
        return Response(
            200,
            json.dumps(_report(patch, outcome)),
            content_type=_JSON,
            headers=[("ETag", f'"{outcome.version}"')],
        )

    def _require_match(self, request: Request) -> None:
        if self.options.require_match and "if-match" not in request.headers:
            raise DocumentError(
                "This edit needs If-Match", code="precondition-required", status=428
            )


async def _commit(
    request: Request, location: Location, change: Change, context: Context
) -> Outcome:
    return await context.committer.commit(
        location,
        change,
        url=request.url,
        user=request.user or "",
        conditions=Conditions.from_headers(request.headers),
        idempotency_key=request.headers.get("idempotency-key"),
    )


def _edited(
    request: Request, outcome: Outcome, operation: Operation, location: Location
) -> Response:
    """Answer an edit with what it put into the file."""
    kind = operation.kind
    edits = [step.edit for step in outcome.steps if step.edit is not None]
    headers = [("ETag", f'"{outcome.version}"')]
    if edits:
        headers.append(("Beam-Edit", edits[-1].level))
    if request.method == "DELETE" or not outcome.is_logged:
        return Response(204, headers=headers)
    headers.append(("Content-Range", operation.selector.content_range()))
    content = operation.content
    if edits and not kind.only_adds:
        # Made from the end of the document to its beginning, shown the other way.
        content = b"\n".join(edit.result.rstrip() for edit in reversed(edits))
    elif not edits and (kind is Kind.REPLACE or kind.concerns_tag):
        # A change that was made before is known by what the log says of it.
        told = outcome.entry.content
        content = (html.unescape(told) if location.is_xml else told).encode().rstrip()
    return Response(206, content, content_type=_media_type(location), headers=headers)


def _report(patch: Patch, outcome: Outcome) -> dict[str, object]:
    """Return what each item did; of a patch that was made before, the version."""
    report: dict[str, object] = {"version": str(outcome.version)}
    steps = [step for step in outcome.steps if step.edit is not None]
    if steps or not outcome.is_logged:
        items: list[dict[str, object]] = [{"changed": 0} for _ in patch.items]
        for step in steps:
            assert step.edit is not None
            item = items[step.item]
            item["changed"] = int(str(item["changed"])) + 1
            item["edit"] = step.edit.level
            item["version"] = str(step.version)
        report["items"] = items
    return report


async def _wait_selected(
    request: Request, location: Location, selector: Selector, context: Context
) -> Response:
    document = await context.committer.current(location)
    return _selected(request, document, selector, location, context)


def _selected(
    request: Request,
    document: Document,
    selector: Selector,
    location: Location,
    context: Context,
) -> Response:
    """Return all matches in document order, as they stand in the file."""
    if document.size > context.store.edit_limit:
        raise TooLarge("The document is too large to be selected from")
    selection = _read(request, document, selector, location)
    if selection is None:
        raise NoElementMatched(NO_MATCH)
    headers = [*_tags(document, selection), ("Accept-Ranges", "selector")]
    conditions = Conditions.from_headers(request.headers)
    if conditions.is_unmodified(str(document.version), selection.tag):
        return Response(304, headers=headers)
    headers.append(("Content-Range", selector.content_range()))
    if _wants_json(request):
        headers.append(("Vary", "Accept"))
        elements = [one.decode(errors="replace") for one in selection.elements]
        return Response(206, json.dumps(elements), content_type=_JSON, headers=headers)
    return Response(
        206, selection.content, content_type=_media_type(location), headers=headers
    )


def _changed(
    error: PreconditionFailed,
    request: Request,
    document: Document,
    selector: Selector,
    location: Location,
    context: Context,
) -> Response:
    """Return the refusal with the tags that hold now (RFC 9110, 15.5.13)."""
    selection = None
    if document.size <= context.store.edit_limit:
        selection = _read(request, document, selector, location)
    headers = [*_tags(document, selection), ("X-Beamfast-Error", error.code)]
    return Response(error.status, str(error), headers=headers)


def _read(
    request: Request, document: Document, selector: Selector, location: Location
) -> Selection | None:
    if location.is_xml:
        return read_xml(document.source, selector)
    return read_selection(
        document, selector, template_scope=enters_templates(request.headers.get_all)
    )


def _media_type(location: Location) -> str:
    return location.media_type if location.is_xml else "text/html"


def _tags(document: Document, selection: Selection | None) -> list[tuple[str, str]]:
    tags = [("ETag", f'"{document.version}"')]
    if selection is not None:
        tags.append(("Beam-Fragment-ETag", f'"{selection.tag}"'))
    return tags


def _is_patch(request: Request) -> bool:
    media_type = (request.headers.get("content-type") or "").partition(";")[0]
    return media_type.strip().lower() == MEDIA_TYPE


def _wants_json(request: Request) -> bool:
    """Tell whether the client names JSON and not HTML (RFC 9110, 12.5.1)."""
    weights = request.headers.weights("accept")
    return weights.get(_JSON, 0) > 0 and "text/html" not in weights


def _not_html(content_range: str) -> Response:
    """Return the refusal for a file that has no elements (RFC 9110, 15.5.17)."""
    return Response(
        416,
        "Range Not Satisfiable: CSS selectors can only be used with HTML files",
        headers=[("Content-Range", content_range), ("X-Beamfast-Error", "not-html")],
    )
