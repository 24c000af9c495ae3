"""
Logging in with an account that people have elsewhere: OAuth 2.0, OpenID Connect.

Standards: RFC 6749 (the authorization code), RFC 7636 (PKCE), RFC 9700 (what else
is best practice). :mod:`beamfast.openid` speaks to the provider. Sessions are in the
run state, so they hold in every worker and over a reload, and end with the server.
"""

from __future__ import annotations

import hashlib
import html
import json
import logging
import os
import secrets
import time
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal
from urllib.parse import parse_qs, quote, urlsplit

from beamfast.http import Request, Response
from beamfast.openid import PROVIDERS, Endpoints, LoginFailed, Provider, Registration
from beamfast.pipeline import Context, Plugin

logger: logging.Logger = logging.getLogger("beamfast.oauth2")

LOGOUT: Final = "/auth/logout"
USER: Final = "/auth/user"
STATE_COOKIE: Final = "oauth2_state"
RETURN_COOKIE: Final = "oauth2_return_to"
SESSION_COOKIE: Final = "session_id"

#: Seconds that a login may take.
LOGIN_TIME: Final = 600


@dataclass(frozen=True)
class Options:
    """
    Options of the oauth2 plugin.

    Attributes:
        client_id_env: name of the environment variable that holds the client id.
        client_secret_env: the same for the secret.
        redirect_uri_env: the same for the full URL that the provider sends
            browsers back to; its path is the callback.
        name: of this login, where a site has several.
        login_path: where a login begins; empty for ``/auth/{name}/login``.
        provider: ``google``, ``github`` or ``oidc``; empty for github when the
            name contains it, for oidc with an issuer, else for google.
        issuer: URL of an OpenID provider, which says the rest itself.
        auth_url: authorization endpoint, where no issuer says it.
        token_url: token endpoint, the same.
        user_info_url: where to ask who somebody is, the same.
        jwks_url: keys of the provider, the same.
        scope: what to ask for; empty for what the provider needs.
        roles: of everybody who logs in.
        roles_claim: claim with further roles; empty for none.
        session_lifetime: seconds after which a user logs in again.
    """

    client_id_env: str = ""
    client_secret_env: str = ""
    redirect_uri_env: str = ""
    name: str = "oauth2"
    login_path: str = ""
    provider: Literal["", "google", "github", "oidc"] = ""
    issuer: str = ""
    auth_url: str = ""
    token_url: str = ""
    user_info_url: str = ""
    jwks_url: str = ""
    scope: str = ""
    roles: tuple[str, ...] = ("user",)
    roles_claim: str = ""
    session_lifetime: float = 28_800.0

    def __post_init__(self) -> None:
        """Refuse settings with which nobody could log in."""
        for name in ("client_id_env", "client_secret_env", "redirect_uri_env"):
            if not getattr(self, name):
                raise ValueError(f"{name} is missing")
        known = self.endpoints
        if not (known.issuer or (known.auth_url and known.token_url)):
            raise ValueError("provider oidc needs issuer, or auth_url and token_url")

    @property
    def chosen(self) -> str:
        """Name of the provider."""
        if self.provider:
            return self.provider
        if "github" in self.name.lower():
            return "github"
        return "oidc" if self.issuer else "google"

    @property
    def endpoints(self) -> Endpoints:
        """What is known of the provider without asking it."""
        names = {field.name for field in fields(Endpoints)}
        own = {name: value for name in names if (value := getattr(self, name))}
        return replace(PROVIDERS[self.chosen], **own)


class OAuth2(Plugin[Options]):
    """Send people to a provider to log in, and know them when they come back."""

    name = "oauth2"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        own = self.options
        self._login_path = own.login_path or f"/auth/{own.name}/login"
        self._provider = Provider(own.endpoints, own.chosen)

    def start(self, context: Context) -> None:
        """Load what speaks to the provider, so that no login waits for it."""
        self._provider.load()

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response] | None:
        """Name the user of a session; answer what belongs to logging in and out."""
        person = _identify(request, context)
        path, method = request.path, request.method
        if request.probe:
            return None
        if method == "POST" and path == LOGOUT:
            return _logout(request, context)
        if method != "GET":
            return None
        if path == USER and person is not None:
            return _person_page(person)
        if path == self._login_path:
            return self._login(request, context)
        own = os.environ.get(self.options.redirect_uri_env, "")
        if own and path == urlsplit(own).path:
            return self._callback(request, context)
        return None

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Keep what somebody's session shows out of caches that others use."""
        if request.cookie(SESSION_COOKIE) is not None:
            response.headers.add_token("Vary", "Cookie")

    async def _login(self, request: Request, context: Context) -> Response:
        """Send the browser to the provider (RFC 6749, 4.1.1)."""
        try:
            own = self._registration()
            endpoints = await self._provider.discover()
        except LoginFailed as error:
            logger.error("[oauth2] %s", error)
            return _failure(f"OAuth2 configuration error: {error}")
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        context.run_state.put("login", state, json.dumps([nonce, verifier]), LOGIN_TIME)
        url = self._provider.login_url(endpoints, own, state, nonce, verifier)
        place = _return_to(request)
        response = _redirect(url)
        _set_cookie(request, response, STATE_COOKIE, state, LOGIN_TIME)
        _set_cookie(
            request,
            response,
            RETURN_COOKIE,
            None if place == "/" else place,
            LOGIN_TIME,
        )
        return response

    async def _callback(self, request: Request, context: Context) -> Response:
        """Take what the provider sent the browser back with (RFC 6749, 4.1.2)."""
        given = parse_qs(request.query)
        code, state = (given.get(name, [""])[0] for name in ("code", "state"))
        expected = request.cookie(STATE_COOKIE)
        if not code:
            return Response(400, "Missing authorization code")
        if not state:
            return Response(400, "Missing state parameter")
        if not expected:
            return Response(403, "Missing state cookie")
        # A login counts once, and only one that began here.
        begun = context.run_state.pop("login", state) if state == expected else None
        if begun is None:
            return Response(403, "Invalid state parameter")
        nonce, verifier = json.loads(begun)
        try:
            own = self._registration()
            claims = await self._provider.identify(own, code, verifier, nonce)
            person = self._person(claims)
        except Exception as error:
            logger.warning("[oauth2] login failed: %r", error)
            return _failure("Login failed")
        return self._welcome(request, context, person)

    def _welcome(
        self, request: Request, context: Context, person: dict[str, Any]
    ) -> Response:
        """Begin a session and send the browser to where it wanted to be."""
        if old := request.cookie(SESSION_COOKIE):
            context.run_state.pop("session", _digest(old))
        session = str(uuid.uuid4())
        lifetime = self.options.session_lifetime
        person["expires"] = time.time() + lifetime
        context.run_state.put("session", _digest(session), json.dumps(person), lifetime)
        logger.info("[oauth2] %s logged in", person["email"])
        response = _redirect(safe_path(request.cookie(RETURN_COOKIE)))
        _set_cookie(request, response, SESSION_COOKIE, session, int(lifetime))
        for name in (STATE_COOKIE, RETURN_COOKIE):
            _set_cookie(request, response, name, None)
        return response

    def _registration(self) -> Registration:
        """
        Return what the environment says.

        Raises:
            LoginFailed: it does not say everything.
        """
        own = self.options
        names = (own.client_id_env, own.client_secret_env, own.redirect_uri_env)
        for name in names:
            if not os.environ.get(name):
                raise LoginFailed(f"environment variable {name} is not set")
        return Registration(*(os.environ[name] for name in names))

    def _person(self, claims: dict[str, Any]) -> dict[str, Any]:
        """
        Return what a session keeps of somebody.

        Raises:
            LoginFailed: the provider does not vouch for an address.
        """
        email = claims.get("email")
        if not isinstance(email, str) or not email:
            raise LoginFailed("the provider tells no e-mail address")
        # An address that nobody checked names nobody (OpenID Connect Core, 5.7).
        if claims.get("email_verified", True) not in (True, "true"):
            raise LoginFailed(f"the e-mail address {email} is not verified")
        more = claims.get(self.options.roles_claim) or []
        return {
            "email": email,
            "name": str(claims.get("name") or email),
            "image": str(claims.get("picture") or claims.get("avatar_url") or ""),
            "roles": [
                *self.options.roles,
                *([more] if isinstance(more, str) else more),
            ],
        }


def _identify(request: Request, context: Context) -> dict[str, Any] | None:
    """Say whose session this is; return what is known of the person."""
    session = request.cookie(SESSION_COOKIE)
    found = context.run_state.get("session", _digest(session)) if session else None
    if found is None:
        return None
    person: dict[str, Any] = json.loads(found)
    request.user = person["email"]
    request.roles = frozenset(person["roles"])
    request.expires = person["expires"]
    return person


def _logout(request: Request, context: Context) -> Response:
    """End the session, here and in the browser."""
    if session := request.cookie(SESSION_COOKIE):
        context.run_state.pop("session", _digest(session))
    response = _redirect(_return_to(request))
    _set_cookie(request, response, SESSION_COOKIE, None)
    return response


def _digest(session: str) -> str:
    """Return what a session is stored under, which lets nobody use it."""
    return hashlib.sha256(session.encode()).hexdigest()


def safe_path(place: str | None) -> str:
    """Return ``place`` when it is a path on this site, else the front page."""
    # Browsers read "//" and "/\\" as the beginning of another host.
    if not place or place[0] != "/" or place[1:2] in ("/", "\\"):
        return "/"
    if not (place.isascii() and place.isprintable()):
        return "/"
    # It also stands in a cookie, which ends at a semicolon.
    return quote(place, safe="/?#&=%:@+,~!$'()*-._")


def _return_to(request: Request) -> str:
    return safe_path(parse_qs(request.query).get("return_to", [""])[0])


def _redirect(place: str) -> Response:
    return Response(302, headers=[("Location", place), ("Cache-Control", "no-store")])


def _failure(text: str) -> Response:
    return Response(500, text, headers=[("Cache-Control", "no-store")])


def _set_cookie(
    request: Request,
    response: Response,
    name: str,
    value: str | None,
    seconds: int = 0,
) -> None:
    """Set a cookie that scripts and foreign pages do not get; None removes it."""
    parts = [f"{name}={value or ''}", "Path=/", "HttpOnly", "SameSite=Lax"]
    parts.append(f"Max-Age={0 if value is None else seconds}")
    if request.is_https:
        parts.append("Secure")
    response.headers.add("Set-Cookie", "; ".join(parts))


def _person_page(person: dict[str, Any]) -> Response:
    """Return who is logged in, for people and for scripts."""
    email, name, image = (
        html.escape(person[key]) for key in ("email", "name", "image")
    )
    link = f'<link itemprop="image" href="{image}">\n' if image else ""
    return Response(
        200,
        f"<!DOCTYPE html>\n<title>{name}</title>\n"
        '<div itemscope itemtype="https://schema.org/Person">\n'
        f'<p><span itemprop="name">{name}</span> '
        f'<span itemprop="email">{email}</span></p>\n{link}</div>\n',
        content_type="text/html; charset=utf-8",
        headers=[("Cache-Control", "no-store")],
    )
