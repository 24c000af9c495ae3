"""What is asked of a provider, how often, and what is believed."""

import importlib.util
import time

import pytest
from joserfc.jwk import RSAKey

from beamfast import openid
from beamfast.openid import Endpoints, LoginFailed, Provider as Client, Registration

from .plugins.provider import CLIENT, SECRET, Provider, new_key

OWN = Registration(CLIENT, SECRET, "https://a.example/auth/callback")


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    provider = Provider()
    yield provider
    provider.stop()


async def log_in(client: Client, provider: Provider) -> dict[str, object]:
    """Play both: the browser at the provider, and the site."""
    places = await client.discover()
    verifier = "v" * 43
    url = client.login_url(places, OWN, "state", "nonce", verifier)
    back = provider.authorize(url.partition("?")[2])
    code = back.partition("code=")[2].partition("&")[0]
    return await client.identify(OWN, code, verifier, "nonce")


async def test_addresses_and_keys_are_asked_for_once(provider):
    client = Client(Endpoints(issuer=provider.issuer), "oidc")
    for _ in range(2):
        claims = await log_in(client, provider)
        assert claims["email"] == "ann@example.org"
    assert sorted(provider.requests) == ["/.well-known/openid-configuration", "/keys"]


async def test_a_key_that_is_new_is_fetched(provider):
    client = Client(Endpoints(issuer=provider.issuer), "oidc")
    await log_in(client, provider)
    provider.key = new_key("two")
    assert (await log_in(client, provider))["email"] == "ann@example.org"
    assert provider.requests.count("/keys") == 2


async def test_a_key_of_somebody_else_is_not_believed(provider):
    client = Client(Endpoints(issuer=provider.issuer), "oidc")
    await log_in(client, provider)
    published = provider.json_at("/keys")
    provider.json_at = lambda path: published
    provider.key = RSAKey.generate_key(2048, {"kid": "one"})
    with pytest.raises(Exception, match="bad_signature"):
        await log_in(client, provider)


async def test_addresses_are_asked_for_again_after_a_time(provider, monkeypatch):
    monkeypatch.setattr(openid, "REMEMBERED", -1.0)
    client = Client(Endpoints(issuer=provider.issuer), "oidc")
    await client.discover()
    await client.discover()
    assert provider.requests == ["/.well-known/openid-configuration"] * 2


async def test_what_is_configured_needs_no_discovery(provider):
    client = Client(
        Endpoints(
            issuer=provider.issuer,
            auth_url=f"{provider.issuer}/authorize",
            token_url=f"{provider.issuer}/token",
            jwks_url=f"{provider.issuer}/keys",
        ),
        "oidc",
    )
    assert (await log_in(client, provider))["sub"] == "1"
    assert provider.requests == ["/keys"]


async def test_another_issuer_is_not_believed(provider):
    client = Client(Endpoints(issuer=f"{provider.issuer}/"), "oidc")
    with pytest.raises(LoginFailed, match="another issuer"):
        await client.discover()


async def test_an_address_may_come_from_the_user_information(provider):
    del provider.claims["email"]
    provider.user_info = {"sub": "1", "email": "ann@example.org"}
    client = Client(Endpoints(issuer=provider.issuer), "oidc")
    assert (await log_in(client, provider))["email"] == "ann@example.org"


async def test_user_information_about_somebody_else_is_refused(provider):
    del provider.claims["email"]
    provider.user_info = {"sub": "2", "email": "eve@example.org"}
    client = Client(Endpoints(issuer=provider.issuer), "oidc")
    with pytest.raises(LoginFailed, match="somebody else"):
        await log_in(client, provider)


async def test_the_issuer_of_a_token_counts_without_discovery(provider):
    provider.changes = {"iss": "https://evil.example", "exp": int(time.time()) + 60}
    client = Client(
        Endpoints(
            issuer=provider.issuer,
            auth_url=f"{provider.issuer}/authorize",
            token_url=f"{provider.issuer}/token",
            jwks_url=f"{provider.issuer}/keys",
        ),
        "oidc",
    )
    with pytest.raises(Exception, match="iss"):
        await log_in(client, provider)


def test_missing_libraries_are_named_with_their_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'beamfast\[oidc\]'"):
        Client(Endpoints(), "oidc")


def test_only_openid_has_id_tokens():
    assert Endpoints().has_id_tokens
    assert not Endpoints(scope="user:email").has_id_tokens
