"""Tokens that count and those that do not, keys that change, tickets that work once."""

import base64
import hmac
import importlib.util
import json
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import OctKey

from beamfast.errors import ConfigError
from beamfast.plugins import bearer_auth
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin

from .provider import Provider, new_key

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec_WebSocket_Version": "13",
}


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    provider = Provider()
    yield provider
    provider.stop()


def token(key, header=None, **claims) -> str:
    given = {"sub": "ann", "iss": "me", "aud": "site", "exp": int(time.time()) + 60}
    given |= {"roles": ["editor"]} | claims
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": key.kid} | (header or {}), given, key)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def guarded(make_site, provider):
    def make(**options):
        own = {
            "jwks_url": f"{provider.issuer}/keys",
            "issuer": "me",
            "audience": "site",
        }
        return make_site(
            PluginConfig("bearer-auth", own | options),
            *map(PluginConfig, ("websocket", "eventsource", "file-handler")),
        )

    return make


async def seen(site, **fields):
    """Return the request as the plugins behind saw it, and the answer."""
    request = site.request("GET", "/page.html", b"", **fields)
    return request, await site.hosts.handle(request)


async def test_a_token_names_user_roles_and_end(guarded, provider):
    end = int(time.time()) + 60
    value = token(provider.key, exp=end)
    request, response = await seen(guarded(), **bearer(value))
    assert response.status == 200
    assert request.user == "ann"
    assert request.roles == {"editor"}
    assert request.expires == end


async def test_roles_may_be_words_of_another_claim(guarded, provider):
    site = guarded(roles_claim="scope", user_claim="email")
    value = token(provider.key, scope="reader writer", email="a@b.example")
    request, _ = await seen(site, **bearer(value))
    assert (request.user, request.roles) == ("a@b.example", {"reader", "writer"})


async def test_without_a_token_there_is_a_challenge_or_nobody(guarded):
    refused = await guarded(realm='a "b"').ask("GET", "/page.html")
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="a \\"b\\""'
    assert (await guarded(anonymous="allow").ask("GET", "/page.html")).status == 200
    assert (await guarded().ask("OPTIONS", "/page.html")).status == 200


def changed(text: str) -> str:
    head, body, signature = text.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "root"
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


def unsigned(text: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').decode().rstrip("=")
    return f"{head}.{text.split('.')[1]}."


def by_public_key(text: str) -> str:
    """Sign with the public key as if it were a secret."""
    pem = new_key("one").public_key.public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').decode().rstrip("=")
    signed = f"{head}.{text.split('.')[1]}"
    digest = hmac.digest(pem, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


@pytest.mark.parametrize(
    "make",
    [
        lambda key: token(key, exp=int(time.time()) - 1),
        lambda key: token(key, exp=None),
        lambda key: token(key, iss="other"),
        lambda key: token(key, aud="other"),
        lambda key: token(key, sub=None),
        lambda key: token(key, sub=""),
        lambda key: token(key, nbf=int(time.time()) + 60),
        lambda key: token(new_key("two"), header={"kid": "one"}),
        lambda key: token(key, header={"kid": "unknown"}),
        lambda key: changed(token(key)),
        lambda key: unsigned(token(key)),
        lambda key: by_public_key(token(key)),
        lambda key: "no.token.atall",
        lambda key: "x",
    ],
    ids=[
        *("expired", "endless", "issuer", "audience", "nobody", "empty", "early"),
        *("signature", "kid", "changed", "none", "confusion", "noise", "word"),
    ],
)
async def test_a_token_that_does_not_count_is_401(guarded, provider, make, recwarn):
    response = await guarded(anonymous="allow").ask(
        "GET", "/page.html", **bearer(make(provider.key))
    )
    assert response.status == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


async def test_keys_are_asked_for_once_and_again_when_one_is_new(
    guarded, provider, monkeypatch
):
    site = guarded()
    for _ in range(3):
        assert (await seen(site, **bearer(token(provider.key))))[1].status == 200
    assert provider.requests == ["/keys"]
    provider.key = new_key("two")
    # Not twice within a while, whatever names somebody makes up.
    assert (await seen(site, **bearer(token(provider.key))))[1].status == 401
    monkeypatch.setattr(bearer_auth, "PAUSE", 0.0)
    assert (await seen(site, **bearer(token(provider.key))))[1].status == 200
    assert provider.requests == ["/keys"] * 2


async def test_old_keys_are_used_while_new_ones_are_asked_for(
    guarded, provider, monkeypatch
):
    site = guarded()
    await seen(site, **bearer(token(provider.key)))
    monkeypatch.setattr(bearer_auth, "FRESH", 0.0)
    assert (await seen(site, **bearer(token(provider.key))))[1].status == 200
    plugin = site.host.pipeline.plugins[0]
    await plugin._fetching
    assert provider.requests == ["/keys"] * 2


async def test_keys_that_cannot_be_had_let_nobody_in(guarded, provider):
    site = guarded(jwks_url="http://127.0.0.1:1/keys")
    assert (await seen(site, **bearer(token(provider.key))))[1].status == 401


async def test_a_key_may_be_a_file(guarded, provider, tmp_path):
    pem = tmp_path / "key.pem"
    pem.write_bytes(
        provider.key.public_key.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
    )
    site = guarded(jwks_url="", keyfile=pem)
    assert (await seen(site, **bearer(token(provider.key))))[1].status == 200
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 32)
    site = guarded(jwks_url="", keyfile=secret, algorithms=("HS256",))
    key = OctKey.import_key(b"s" * 32)
    value = token(key, header={"alg": "HS256", "kid": "x"})
    assert (await seen(site, **bearer(value)))[1].status == 200


async def test_a_token_may_come_in_a_cookie_or_a_subprotocol(guarded, provider):
    site = guarded(cookie="token")
    value = token(provider.key)
    assert (await seen(site, Cookie=f"token={value}"))[1].status == 200
    offered = f"beam.v1, bearer.{value}"
    _, response = await seen(site, **UPGRADE, Sec_WebSocket_Protocol=offered)
    assert response.status == 101


async def test_a_ticket_opens_one_stream(guarded, provider):
    site = guarded()
    value = token(provider.key)
    given = await site.ask("POST", "/-/ticket", **bearer(value))
    assert given.status == 200
    assert given.headers["Cache-Control"] == "no-store"
    ticket = json.loads(given.body)["ticket"]
    # A page is no stream, so the ticket is still there.
    assert (await site.ask("GET", f"/page.html?ticket={ticket}")).status == 401
    request = site.request("GET", f"/page.html?ticket={ticket}", b"", **UPGRADE)
    response = site.hosts.handle(request)
    assert response.status == 101
    assert (request.user, request.roles) == ("ann", {"editor"})
    assert request.expires is not None
    again = await site.ask("GET", f"/page.html?ticket={ticket}", **UPGRADE)
    assert again.status == 401


async def test_a_wrong_ticket_is_401_also_where_nobody_has_to_log_in(guarded):
    site = guarded(anonymous="allow")
    stream = {"Accept": "text/event-stream"}
    assert (await site.ask("GET", "/page.html?ticket=x", **stream)).status == 401
    assert (await site.ask("GET", "/page.html", **stream)).status == 200
    assert (await site.ask("POST", "/-/ticket")).status == 401


async def test_a_user_of_another_plugin_gets_a_ticket(make_site, tmp_path):
    page = tmp_path / "users.html"
    page.write_text(
        "<p itemscope itemtype='https://rustybeam.net/schema/Credential'>"
        "<b itemprop=username>ann</b><b itemprop=password>pw</b>"
    )
    site = make_site(
        PluginConfig("basic-auth", {"authfile": page, "anonymous": "allow"}),
        PluginConfig("bearer-auth"),
        *map(PluginConfig, ("eventsource", "file-handler")),
    )
    value = base64.b64encode(b"ann:pw").decode()
    given = await site.ask("POST", "/-/ticket", Authorization=f"Basic {value}")
    ticket = json.loads(given.body)["ticket"]
    stream = await site.ask(
        "GET", f"/page.html?ticket={ticket}", Accept="text/event-stream"
    )
    assert stream.status == 200
    assert (await site.ask("GET", "/page.html")).status == 401


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"algorithms": ("none",)}, "algorithms"),
        ({"algorithms": ("RS256", "HS256")}, "algorithms"),
        ({"algorithms": ()}, "algorithms"),
        ({"algorithms": ("HS256",), "jwks_url": "https://a.example"}, "not published"),
    ],
)
def test_signatures_that_prove_nothing_are_refused(options, problem):
    with pytest.raises(ConfigError, match=problem):
        load_plugin(PluginConfig("bearer-auth", options))


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"beamfast\[auth\]"):
        load_plugin(PluginConfig("bearer-auth", {"jwks_url": "https://a.example"}))
