"""
Error pages: HTML for people instead of a line of text.

A page of the site's own for a status, or a built-in one. Status and header fields
stay; answers for programs, which do not accept HTML, stay whole.
"""

from __future__ import annotations

import html
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from beamfast.documents.page import Page
from beamfast.http import Request, Response, reason_phrase
from beamfast.pipeline import Context, Plugin, replace_content

logger: logging.Logger = logging.getLogger("beamfast.error_handler")

#: Used where they exist, unless other pages are configured.
DEFAULT_PAGES: Final = (403, 404, 500)

_VARIABLE: Final = re.compile(r"\{(status_code|reason|path|host|timestamp|server)\}")

_BUILT_IN: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{status_code} {reason}</title></head>
<body>
<h1>{status_code} {reason}</h1>
<hr>
<address>{server}</address>
</body>
</html>
"""


@dataclass(frozen=True)
class Options:
    """
    Options of the error-handler plugin.

    Attributes:
        error_page: ``error_page_404`` and so on: the page of a status.
        error_template_dir: folder of the pages; the document root when None.
        log_errors: write a line for each answer of 400 and above.
    """

    error_page: Mapping[str, str] = field(default_factory=dict)
    error_template_dir: Path | None = None
    log_errors: bool = True

    def __post_init__(self) -> None:
        """Refuse pages for what is no error."""
        for status in self.error_page:
            if not re.fullmatch("[45][0-9][0-9]", status):
                raise ValueError(f"error_page_{status}: {status} is no error status")


class ErrorHandler(Plugin[Options]):
    """Replace the content of answers of 400 and above."""

    name = "error-handler"
    aliases: ClassVar[Mapping[str, str]] = {"error": "error_page"}

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._pages: dict[int, Page[str | None]] = {}

    def start(self, context: Context) -> None:
        """Find the pages; one that is configured and missing is worth a warning."""
        folder = self.options.error_template_dir or Path(context.store.root)
        names = self.options.error_page
        for status, name in names.items():
            file = folder / name.removeprefix("file://")
            self._pages[int(status)] = Page(str(file), str, None)
            if not file.is_file():
                logger.warning("there is no page %s for status %s", file, status)
        for code in () if names else DEFAULT_PAGES:
            file = folder / f"{code}.html"
            if file.is_file():
                self._pages[code] = Page(str(file), str, None)

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Say in HTML what went wrong, to those who read it."""
        if response.status < 400:
            return
        if self.options.log_errors:
            level = logging.ERROR if response.status >= 500 else logging.INFO
            logger.log(
                level, "%d %s %r", response.status, request.method, request.target
            )
        if not wants_page(request, response):
            return
        page = self._pages.get(response.status)
        template = (page.read() if page is not None else None) or _BUILT_IN
        values = {
            "status_code": str(response.status),
            "reason": reason_phrase(response.status),
            "path": request.path,
            "host": request.headers.get("host") or "",
            "timestamp": str(int(time.time())),
            "server": context.server_name,
        }
        # One pass, so that a value which looks like a variable stays as it is.
        text = _VARIABLE.sub(lambda name: html.escape(values[name[1]]), template)
        replace_content(response, response.status, text, "text/html; charset=utf-8")
        response.headers.set("Cache-Control", "no-cache, no-store, must-revalidate")


def wants_page(request: Request, response: Response) -> bool:
    """
    Tell whether a page is of more use than what the answer says already.

    JSON is replaced only for a client that names HTML, as browsers do.
    """
    weights = request.headers.weights("accept")
    if weights.get("text/html", 0.0) > 0:
        return True
    media_type = (response.headers.get("content-type") or "").partition(";")[0].strip()
    if media_type.endswith(("/json", "+json")) or weights.get("text/html") == 0:
        return False
    return not weights or weights.get("text/*", weights.get("*/*", 0.0)) > 0
