"""
Who may do what, by rules in an HTML page.

One page holds the rules and the users' roles; it is read again when it changes,
so a rule added through the server counts for the next request. A page that
cannot be read allows nothing. OPTIONS answers with what the caller may do.
"""

from __future__ import annotations

import contextlib
import html
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from beamfast.documents.credentials import Credential, read_credentials
from beamfast.documents.document import Document
from beamfast.documents.page import Page
from beamfast.documents.request import enters_templates
from beamfast.documents.rules import Caller, Question, Rules
from beamfast.documents.schema import validate_page
from beamfast.documents.selector import Selector, range_selector
from beamfast.documents.store import Location
from beamfast.documents.vocabulary import SCHEMAS
from beamfast.errors import DocumentError
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

logger: logging.Logger = logging.getLogger("beamfast.authorization")


@dataclass(frozen=True)
class Options:
    """
    Options of the authorization plugin.

    Attributes:
        authfile: page with rules and roles, also as ``file://`` URL.
        require_subject: a rule without user or role counts for nobody, instead of
            for everybody.
    """

    authfile: Path = Path()
    require_subject: bool = False


class Authorization(Plugin[Options]):
    """Let a request pass that a rule allows; answer 403 to any other."""

    name = "authorization"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._page: Page[tuple[Rules, dict[str, Credential]]] = Page(
            str(self.options.authfile),
            self._parse,
            (Rules(), {}),
        )
        self._seen: object = None

    def _parse(self, text: str) -> tuple[Rules, dict[str, Credential]]:
        for problem in validate_page(text, SCHEMAS):
            logger.warning("%s, %s", self.options.authfile, problem)
        rules = Rules.parse(text, require_subject=self.options.require_subject)
        return rules, read_credentials(text)

    def start(self, context: Context) -> None:
        """Read rules as they were last edited, and have streams asked again then."""
        self._page.follow(context.store, context.committer)
        self._has_changed()
        context.rights.watch(self._has_changed)

    def _has_changed(self) -> bool:
        rules, users = self._page.read()
        seen, self._seen = self._seen, (rules.rules, users)
        return seen != self._seen

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response | None] | None:
        """Answer 403, or OPTIONS with the allowed methods; else let it pass."""
        selector, location = _asked(request, context)
        document = None
        if location is not None:
            # As it was last committed; the file may come later.
            try:
                document = context.committer.peek(location)
            except DocumentError:
                location = None
        waiting = self._page.wait()
        if waiting is not None or (location is not None and document is None):
            return self._wait(request, context, waiting, selector, location)
        return self._decide(request, selector, document)

    async def _wait(
        self,
        request: Request,
        context: Context,
        waiting: Awaitable[object] | None,
        selector: Selector | None,
        location: Location | None,
    ) -> Response | None:
        if waiting is not None:
            await waiting
        document = None
        if location is not None:
            with contextlib.suppress(DocumentError):
                document = await context.committer.current(location)
        return self._decide(request, selector, document)

    def _decide(
        self, request: Request, selector: Selector | None, document: Document | None
    ) -> Response | None:
        rules, users = self._page.read()
        roles = request.roles
        if request.user in users:
            roles = users[request.user].roles
        caller = Caller(request.user, roles)
        question = Question(
            *(request.method, request.path, selector, document),
            template_scope=enters_templates(request.headers.get_all),
        )
        if request.method == "OPTIONS":
            if "access-control-request-method" in request.headers:
                # A preflight carries no credentials; cors answers it.
                return None
            allowed = ", ".join([*rules.methods(caller, question), "OPTIONS"])
            return Response(
                200,
                content_type="text/plain",
                headers=[
                    ("Allow", _sorted(allowed)),
                    ("Accept-Ranges", "selector"),
                    ("Vary", "Range, Authorization, Cookie"),
                ],
            )
        allows = rules.allow(caller, question)
        logger.info(
            "[authorization] %s %s for %s: %s",
            *(request.method, request.path, request.user or "*"),
            "allowed" if allows else "denied",
        )
        return None if allows else _refusal(request)


def _asked(
    request: Request, context: Context
) -> tuple[Selector | None, Location | None]:
    """Return the selector of a request, and the document that it is about."""
    selector: Selector | None = None
    try:
        selector = range_selector(request.headers.get_all("range"))
        if selector is not None:
            location = context.store.resolve(request.path)
            if location.is_html and context.committer.may_exist(location):
                return selector, location
    except DocumentError:
        # Whoever comes next says what is wrong with it; what counts here is that a
        # selector which cannot be read is no permission for the file.
        if selector is None and "range" in request.headers:
            selector = Selector("*")
    return selector, None


def _sorted(methods: str) -> str:
    return ", ".join(sorted(methods.split(", ")))


def _refusal(request: Request) -> Response:
    user = html.escape(request.user or "*")
    path = html.escape(request.path)
    method = html.escape(request.method)
    return Response(
        403,
        "<!DOCTYPE html>\n<title>403 Forbidden</title>\n<h1>Forbidden</h1>\n<p>"
        f"User '{user}' does not have permission to {method} '{path}'</p>\n",
        content_type="text/html; charset=utf-8",
    )
