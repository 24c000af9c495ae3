"""
User name and password by HTTP Basic authentication (RFC 7617).

Users stand in an HTML page with ``Credential`` items, which is read again when
it changes. Passwords are checked off the loop, four at once; there are no
default users, so a page that cannot be read lets nobody in.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from beamfast.documents.credentials import Credential, read_credentials
from beamfast.documents.page import Page
from beamfast.documents.schema import validate_page
from beamfast.documents.vocabulary import SCHEMAS
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

logger: logging.Logger = logging.getLogger("beamfast.basic_auth")

#: Seconds for which a checked password need not be checked again.
REMEMBERED: Final = 60.0
#: Users whose checked passwords are remembered.
MEMORY: Final = 1024
AT_ONCE: Final = 4

_BASIC: Final = re.compile(r"Basic ([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Options:
    """
    Options of the basic-auth plugin.

    Attributes:
        authfile: page with the users, also as ``file://`` URL.
        realm: shown by browsers.
        charset_hint: tell clients that names and passwords are UTF-8.
        scheme_case_insensitive: also take ``basic`` in other letters.
        anonymous: ``allow`` lets requests without credentials pass.
    """

    authfile: Path = Path()
    realm: str = "Restricted Area"
    charset_hint: bool = False
    scheme_case_insensitive: bool = False
    anonymous: Literal["allow", "deny"] = "deny"


class BasicAuth(Plugin[Options]):
    """Name the user of a request, or ask for one."""

    name = "basic-auth"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._page: Page[dict[str, Credential]] = Page(
            str(self.options.authfile), self._parse, {}
        )
        self._key = secrets.token_bytes(16)
        self._checked: dict[bytes, float] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def _parse(self, text: str) -> dict[str, Credential]:
        for problem in validate_page(text, SCHEMAS):
            logger.warning("%s, %s", self.options.authfile, problem)
        return read_credentials(text)

    def start(self, context: Context) -> None:
        """Read users that are served themselves as they were last edited."""
        self._page.follow(context.store, context.committer)

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response | None] | None:
        """Set ``request.user`` and its roles, or answer 401."""
        if request.probe and request.user is not None and request.expires is None:
            # Not of a session: it was our password, and right at that time.
            known = self._page.read().get(request.user)
            if known is None:
                return self._challenge()
            _identify(request, known)
            return None
        value = request.headers.get("authorization")
        # Browsers ask with OPTIONS before they have been asked for a password.
        may_pass = self.options.anonymous == "allow" or request.method == "OPTIONS"
        if value is None and may_pass:
            return None
        pair = self._pair(value or "")
        if pair is None:
            return self._challenge()
        waiting = self._page.wait()
        if waiting is not None:
            return self._wait(waiting, request, *pair)
        return self._identify(request, *pair)

    async def _wait(
        self, waiting: Awaitable[object], request: Request, name: str, password: str
    ) -> Response | None:
        await waiting
        answer = self._identify(request, name, password)
        return answer if answer is None else await answer

    def _identify(
        self, request: Request, name: str, password: str
    ) -> Awaitable[Response | None] | None:
        """Compare with the page; None when it was compared before."""
        users = self._page.read()
        user = users.get(name)
        if user is None:
            # As much work as for a known name, so that time does not tell.
            return self._check(request, next(iter(users.values()), None), password)
        if self._checked.get(self._digest(user, password), 0.0) > time.monotonic():
            _identify(request, user)
            return None
        return self._check(request, user, password, is_known=True)

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Keep browsers from guessing types of what is not public."""
        if request.user is not None:
            response.headers.set("X-Content-Type-Options", "nosniff")

    async def _check(
        self,
        request: Request,
        user: Credential | None,
        password: str,
        *,
        is_known: bool = False,
    ) -> Response | None:
        if user is None:
            return self._challenge()
        async with self._slots:
            is_right = await asyncio.to_thread(user.verify, password)
        if not (is_right and is_known):
            return self._challenge()
        if len(self._checked) >= MEMORY:
            self._checked.clear()
        digest = self._digest(user, password)
        self._checked[digest] = time.monotonic() + REMEMBERED
        _identify(request, user)
        return None

    def _pair(self, value: str) -> tuple[str, str] | None:
        """Return name and password, or None for what is not Basic."""
        if self.options.scheme_case_insensitive and value[:6].lower() == "basic ":
            value = f"Basic {value[6:]}"
        match = _BASIC.fullmatch(value)
        if match is None:
            return None
        try:
            text = base64.b64decode(match[1], validate=True).decode()
        except ValueError:
            return None
        name, colon, password = text.partition(":")
        return (name, password) if colon else None

    def _digest(self, user: Credential, password: str) -> bytes:
        """Name a checked pair without keeping the password."""
        text = f"{user.username}\0{user.password}\0{password}".encode()
        return hmac.digest(self._key, text, hashlib.sha256)

    def _challenge(self) -> Response:
        realm = self.options.realm.replace("\\", "\\\\").replace('"', '\\"')
        value = f'Basic realm="{realm}"'
        if self.options.charset_hint:
            value += ', charset="UTF-8"'
        return Response(
            401,
            "401 Unauthorized: Authentication required",
            headers=[
                ("WWW-Authenticate", value),
                ("Cache-Control", "no-store, private"),
            ],
        )


def _identify(request: Request, user: Credential) -> None:
    request.user = user.username
    request.roles = user.roles
