"""
Asking a provider who somebody is: the client side of OAuth 2.0 and OpenID Connect.

Standards: RFC 6749 and RFC 7636, OpenID Connect Core 1.0 and Discovery 1.0. Authlib
speaks the protocols, joserfc checks signatures, httpx2 connects; all come with
``beamfast[oidc]`` and are loaded when a site uses them.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

#: Seconds that one answer of the provider may take.
PATIENCE: Final = 10.0
#: Seconds for which the provider's addresses and keys are believed.
REMEMBERED: Final = 3600.0
#: Signatures of ID tokens that count: never ``none``, never a shared secret.
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is, and what to ask it for."""

    issuer: str = ""
    auth_url: str = ""
    token_url: str = ""
    user_info_url: str = ""
    jwks_url: str = ""
    scope: str = "openid email profile"

    @property
    def has_id_tokens(self) -> bool:
        """True for OpenID Connect (Core 1.0, 3.1.2.1)."""
        return "openid" in self.scope.split()


PROVIDERS: Final[Mapping[str, Endpoints]] = MappingProxyType(
    {
        "google": Endpoints(issuer="https://accounts.google.com"),
        "github": Endpoints(
            auth_url="https://github.com/login/oauth/authorize",
            token_url="https://github.com/login/oauth/access_token",  # noqa: S106 - a URL
            user_info_url="https://api.github.com/user",
            scope="user:email",
        ),
        "oidc": Endpoints(),
    }
)


class Registration(NamedTuple):
    """How the provider knows this site."""

    client_id: str
    client_secret: str
    redirect_uri: str


class LoginFailed(Exception):
    """The provider did not say, in a way that counts, who this is."""


class Provider:
    """
    Whom a site trusts to know people.

    Args:
        endpoints: what is configured.
        kind: name of the provider.

    Raises:
        ValueError: the libraries are not installed.
    """

    def __init__(self, endpoints: Endpoints, kind: str) -> None:
        if importlib.util.find_spec("authlib") is None:
            raise ValueError("it needs pip install 'beamfast[oidc]'")
        self._configured = self._endpoints = endpoints
        self._kind = kind
        self._discovered = -REMEMBERED
        self._keys: Any = None
        self._tls: ssl.SSLContext | None = None

    @staticmethod
    def load() -> None:
        """Load the libraries, which takes a moment."""
        importlib.import_module("authlib.integrations.httpx_client")

    def login_url(
        self, places: Endpoints, own: Registration, state: str, nonce: str, secret: str
    ) -> str:
        """
        Return where the provider asks people to log in (RFC 6749, 4.1.1).

        Args:
            places: of the provider.
            own: how it knows this site.
            state: comes back with the answer.
            nonce: comes back in the ID token.
            secret: the code verifier, which is shown when the code is redeemed.
        """
        parameters = importlib.import_module("authlib.oauth2.rfc6749.parameters")
        pkce = importlib.import_module("authlib.oauth2.rfc7636")
        url: str = parameters.prepare_grant_uri(
            places.auth_url,
            client_id=own.client_id,
            response_type="code",
            redirect_uri=own.redirect_uri,
            scope=places.scope,
            state=state,
            nonce=nonce if places.has_id_tokens else None,
            # Also for a client that has a secret (RFC 9700, 2.1.1).
            code_challenge=pkce.create_s256_code_challenge(secret),
            code_challenge_method="S256",
        )
        return url

    async def discover(self) -> Endpoints:
        """
        Return where everything is; ask an issuer (OpenID Connect Discovery, 4).

        Raises:
            LoginFailed: it does not answer, or it is another one.
        """
        known = self._configured
        is_complete = known.auth_url and known.token_url and known.jwks_url
        if not known.issuer or is_complete:
            return known
        if time.monotonic() - self._discovered < REMEMBERED:
            return self._endpoints
        url = f"{known.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            async with await self._client() as client:
                found = await _get(client, url, withhold_token=True)
        except Exception as error:
            raise LoginFailed(f"{url}: {error!r}") from error
        if found.get("issuer") != known.issuer:
            raise LoginFailed(f"{url} is about another issuer")
        self._endpoints = replace(
            known,
            auth_url=known.auth_url or found["authorization_endpoint"],
            token_url=known.token_url or found["token_endpoint"],
            jwks_url=known.jwks_url or found["jwks_uri"],
            user_info_url=known.user_info_url or found.get("userinfo_endpoint", ""),
        )
        self._discovered = time.monotonic()
        self._keys = None
        return self._endpoints

    async def identify(
        self, own: Registration, code: str, verifier: str, nonce: str
    ) -> dict[str, Any]:
        """Return what the provider says about who got ``code``; raises a lot."""
        places = await self.discover()
        async with await self._client(own) as client:
            token = await client.fetch_token(
                places.token_url,
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
                redirect_uri=own.redirect_uri,
            )
            claims: dict[str, Any] = {}
            if places.has_id_tokens:
                claims = await self._claims(client, token, nonce)
            if "email" not in claims and places.user_info_url:
                found = await _get(client, places.user_info_url)
                # OpenID Connect Core, 5.3.2: else it may be about somebody else.
                if claims and found.get("sub") != claims["sub"]:
                    raise LoginFailed("the user information is about somebody else")
                claims |= found
            if self._kind == "github" and not claims.get("email"):
                addresses = await _get(client, f"{places.user_info_url}/emails")
                claims["email"] = next(
                    (a["email"] for a in addresses if a["primary"] and a["verified"]),
                    None,
                )
        return claims

    async def _claims(self, client: Any, token: Any, nonce: str) -> dict[str, Any]:
        """Check the ID token (OpenID Connect Core, 3.1.3.7) and return its claims."""
        core = importlib.import_module("authlib.oidc.core")
        errors = importlib.import_module("joserfc.errors")
        if "id_token" not in token:
            raise LoginFailed("the provider gave no ID token")
        try:
            found = await self._decode(client, token["id_token"])
        except (errors.InvalidKeyIdError, errors.BadSignatureError):
            # Keys change; this one may be signed with one that we do not know yet.
            self._keys = None
            found = await self._decode(client, token["id_token"])
        claims = core.CodeIDToken(
            found.claims,
            found.header,
            {
                "iss": {"essential": True, "value": self._endpoints.issuer},
                "aud": {"essential": True, "value": client.client_id},
            },
            {
                "nonce": nonce,
                "client_id": client.client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(leeway=60)
        return dict(claims)

    async def _decode(self, client: Any, text: str) -> Any:
        jwt = importlib.import_module("joserfc.jwt")
        jws = importlib.import_module("joserfc.jws")
        jwk = importlib.import_module("joserfc.jwk")
        if self._keys is None:
            found = await _get(client, self._endpoints.jwks_url, withhold_token=True)
            self._keys = jwk.KeySet.import_key_set(found)
        registry = jws.JWSRegistry(
            algorithms=list(ALGORITHMS), strict_check_header=False
        )
        return jwt.decode(text, self._keys, registry=registry)

    async def _client(self, own: Registration | None = None) -> Any:
        """Return a client for one login; what it costs to make one is shared."""
        module = importlib.import_module("authlib.integrations.httpx_client")
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return module.AsyncOAuth2Client(
            own and own.client_id,
            own and own.client_secret,
            verify=self._tls,
            leeway=0,
            timeout=PATIENCE,
        )


async def _get(client: Any, url: str, **options: Any) -> Any:
    """Return the JSON that is at ``url``."""
    accept = {"Accept": "application/json"}
    answer = await client.request("GET", url, headers=accept, **options)
    return answer.raise_for_status().json()
