"""
Users by token: JSON Web Tokens that somebody else issues, and tickets of our own.

Standards: RFC 6750 (bearer tokens), RFC 7519 and RFC 8725 (JWT, and how to check
them). A browser cannot send fields with a WebSocket or an EventSource, so it gets a
ticket first, which works once and for half a minute. Needs ``beamfast[auth]``.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import logging
import re
import secrets
import time
import urllib.request
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.handshake import offered_subprotocols
from beamfast.protocol.target import query_parameter

logger: logging.Logger = logging.getLogger("beamfast.bearer_auth")

#: Signatures by key pairs; and those by a secret, which never go together: a public
#: key must not pass for a secret (RFC 8725, 2.1).
BY_PAIR: Final = frozenset({"RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"})
BY_SECRET: Final = frozenset({"HS256", "HS384", "HS512"})
#: Seconds for which published keys are used before they are asked for anew.
FRESH: Final = 600.0
#: Seconds between two looks for a key that is not known.
PAUSE: Final = 30.0
PATIENCE: Final = 10.0
MAX_KEYS: Final = 2**20

_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
_SUBPROTOCOL: Final = "bearer."


@dataclass(frozen=True)
class Options:
    """
    Options of the bearer-auth plugin.

    Attributes:
        jwks_url: where the keys of the issuer are published.
        keyfile: public key in PEM, or a secret, where there is no such URL.
        issuer: who has to have issued a token; empty for anybody with the key.
        audience: whom a token has to be for; empty for anybody.
        algorithms: signatures that count.
        user_claim: claim with the name of the user.
        roles_claim: claim with the roles: a list, or words.
        cookie: name of a cookie that holds a token; empty for none.
        ticket_path: where a user gets a ticket with POST; empty for nowhere.
        ticket_lifetime: seconds.
        realm: shown to clients.
        anonymous: ``allow`` lets requests without a token pass.
    """

    jwks_url: str = ""
    keyfile: Path | None = None
    issuer: str = ""
    audience: str = ""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    user_claim: str = "sub"
    roles_claim: str = "roles"
    cookie: str = ""
    ticket_path: str = "/-/ticket"
    ticket_lifetime: float = 30.0
    realm: str = "beamfast"
    anonymous: Literal["allow", "deny"] = "deny"

    def __post_init__(self) -> None:
        """Refuse signatures that prove nothing."""
        names = set(self.algorithms)
        if not names or not (names <= BY_PAIR or names <= BY_SECRET):
            raise ValueError(
                f"algorithms: some of {', '.join(sorted(BY_PAIR))}, "
                f"or some of {', '.join(sorted(BY_SECRET))}"
            )
        if self.jwks_url and not names <= BY_PAIR:
            raise ValueError("a secret is not published: give keyfile, not jwks_url")

    @property
    def takes_tokens(self) -> bool:
        """False when only tickets are used."""
        return bool(self.jwks_url or self.keyfile)


class InvalidToken(Exception):
    """A token does not count; says why, for the log."""


class BearerAuth(Plugin[Options]):
    """Name the user of a token or ticket, or ask for one."""

    name = "bearer-auth"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        if self.options.takes_tokens and importlib.util.find_spec("jwt") is None:
            raise ValueError("tokens need pip install 'beamfast[auth]'")
        self._keys: dict[str | None, Any] = {}
        self._fetched = -FRESH
        self._fetching: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask for no keys any more."""
        if self._fetching is not None:
            self._fetching.cancel()

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response | None] | None:
        """Set ``request.user``, hand out a ticket, or answer 401."""
        if request.probe or request.method == "OPTIONS":
            return None
        token = self._token(request)
        if token is not None:
            return self._check(request, context, token)
        if request.user is None and not self._redeem(request, context):
            is_wrong = "ticket=" in request.query or self._wants_ticket(request)
            if is_wrong or self.options.anonymous == "deny":
                return self._challenge()
            return None
        return self._ticket(request, context)

    async def _check(
        self, request: Request, context: Context, token: str
    ) -> Response | None:
        try:
            claims = await self._claims(token)
            user = claims.get(self.options.user_claim)
            if not isinstance(user, str) or not user:
                raise InvalidToken(f"no claim {self.options.user_claim}")
        except InvalidToken as error:
            logger.info("[bearer-auth] refused: %s", error)
            return self._challenge(', error="invalid_token"')
        roles = claims.get(self.options.roles_claim) or ()
        request.user = user
        request.roles = frozenset(
            roles.split() if isinstance(roles, str) else map(str, roles)
        )
        request.expires = float(claims["exp"])
        return self._ticket(request, context)

    def _token(self, request: Request) -> str | None:
        """Return the token of a request, wherever it may stand."""
        if not self.options.takes_tokens:
            return None
        value = request.headers.get("authorization") or ""
        if match := _BEARER.fullmatch(value):
            return match[1]
        if request.is_websocket:
            for offered in offered_subprotocols(request.headers):
                if offered.startswith(_SUBPROTOCOL):
                    return offered.removeprefix(_SUBPROTOCOL)
        return request.cookie(self.options.cookie) if self.options.cookie else None

    # Tickets.

    def _ticket(self, request: Request, context: Context) -> Response | None:
        """Hand out a ticket where one is asked for."""
        if not self._wants_ticket(request):
            return None
        ticket = secrets.token_urlsafe(24)
        seconds = self.options.ticket_lifetime
        known = [request.user, sorted(request.roles), request.expires]
        context.run_state.put("ticket", ticket, json.dumps(known), seconds)
        return Response(
            200,
            json.dumps({"ticket": ticket, "expires_in": seconds}),
            content_type="application/json",
            headers=[("Cache-Control", "no-store")],
        )

    def _wants_ticket(self, request: Request) -> bool:
        path = self.options.ticket_path
        return request.method == "POST" and bool(path) and request.path == path

    def _redeem(self, request: Request, context: Context) -> bool:
        """Name the user of a ticket, which is used up by that."""
        ticket = query_parameter(request.query, "ticket")
        opens_stream = request.is_websocket or request.accepts_event_stream
        if not ticket or not opens_stream:
            return False
        found = context.run_state.pop("ticket", ticket)
        if found is None:
            return False
        request.user, roles, request.expires = json.loads(found)
        request.roles = frozenset(roles)
        return True

    def _challenge(self, more: str = "") -> Response:
        realm = self.options.realm.replace("\\", "\\\\").replace('"', '\\"')
        return Response(
            401,
            "401 Unauthorized: Token required",
            headers=[
                ("WWW-Authenticate", f'Bearer realm="{realm}"{more}'),
                ("Cache-Control", "no-store, private"),
            ],
        )

    # Tokens.

    async def _claims(self, token: str) -> dict[str, Any]:
        """
        Return what a token says, if it counts.

        Raises:
            InvalidToken: it does not.
        """
        jwt = importlib.import_module("jwt")
        own = self.options
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(own.algorithms),
                audience=own.audience or None,
                issuer=own.issuer or None,
                options={"require": ["exp"], "verify_aud": bool(own.audience)},
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error) or type(error).__name__) from error
        return claims

    async def _key(self, kid: str | None) -> Any:
        """
        Return the key of that name.

        Raises:
            InvalidToken: there is none.
        """
        if self.options.keyfile is not None and not self.options.jwks_url:
            return await asyncio.to_thread(self.options.keyfile.read_bytes)
        age = time.monotonic() - self._fetched
        if kid not in self._keys and (age >= PAUSE or not self._keys):
            # One look for all that wait; a forged name asks at most twice a minute.
            await asyncio.shield(self._fetch())
        elif age >= FRESH:
            # In the background: the old ones will do until then.
            self._fetch()
        key = self._keys.get(kid)
        if key is None:
            raise InvalidToken(f"no key named {kid}")
        return key

    def _fetch(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch_keys())
        return self._fetching

    async def _fetch_keys(self) -> None:
        jwt = importlib.import_module("jwt")
        url = self.options.jwks_url
        self._fetched = time.monotonic()
        try:
            found = json.loads(await asyncio.to_thread(_read, url))
            keys = jwt.PyJWKSet.from_dict(found).keys
        except (OSError, ValueError, jwt.PyJWTError) as error:
            logger.warning("[bearer-auth] keys at %s: %s", url, error)
            return
        self._keys = {key.key_id: key.key for key in keys}


def _read(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - configured
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - configured
        return bytes(answer.read(MAX_KEYS))
