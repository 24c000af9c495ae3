"""Logging in with a real OpenID provider on loopback, sessions, and the way out."""

import asyncio
import inspect
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from beamfast.documents.microdata import items_of
from beamfast.errors import ConfigError
from beamfast.plugins.oauth2 import Options, safe_path
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin

from .provider import CLIENT, SECRET, Provider

CALLBACK = "https://localhost/auth/callback"
NAMES = {
    "client_id_env": "TEST_CLIENT_ID",
    "client_secret_env": "TEST_CLIENT_SECRET",
    "redirect_uri_env": "TEST_REDIRECT_URI",
}


@pytest.fixture
def provider():
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("TEST_CLIENT_ID", CLIENT)
    monkeypatch.setenv("TEST_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("TEST_REDIRECT_URI", CALLBACK)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Visitor:
    """A browser: keeps cookies, follows the provider's redirect."""

    def __init__(self, site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    async def ask(self, method, target, **fields):
        if self.cookies:
            fields["Cookie"] = "; ".join(map("=".join, self.cookies.items()))
        response = await self.site.ask(method, target, **fields)
        for cookie in response.headers.get_all("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in cookie:
                del self.cookies[name]
        return response

    async def log_in(self, target="/auth/oauth2/login"):
        """Go to the provider and come back; return the answer to the callback."""
        begun = await self.ask("GET", target)
        assert begun.status == 302, begun.body
        sent_back = await asyncio.to_thread(
            requests.get, begun.headers["Location"], allow_redirects=False, timeout=10
        )
        place = urlsplit(sent_back.headers["Location"])
        return await self.ask("GET", f"{place.path}?{place.query}")


@pytest.fixture
def visit(make_site, environment, provider):
    def make(**options) -> Visitor:
        own = NAMES | {"issuer": provider.issuer} | options
        plugins = PluginConfig("oauth2", own), PluginConfig("file-handler")
        return Visitor(make_site(*plugins))

    return make


async def test_a_login_sends_to_the_provider_with_all_that_it_needs(visit, provider):
    visitor = visit()
    response = await visitor.ask("GET", "/auth/oauth2/login?return_to=/page.html%3Fa=1")
    assert response.status == 302
    place = urlsplit(response.headers["Location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == (
        f"{provider.issuer}/authorize"
    )
    given = {name: value for name, [value] in parse_qs(place.query).items()}
    state, nonce = given.pop("state"), given.pop("nonce")
    challenge = given.pop("code_challenge")
    assert min(map(len, (state, nonce, challenge))) >= 43
    assert given == {
        "client_id": CLIENT,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid email profile",
        "code_challenge_method": "S256",
    }
    cookies = response.headers.get_all("set-cookie")
    assert [cookie.split("=")[0] for cookie in cookies] == [
        "oauth2_state",
        "oauth2_return_to",
    ]
    for cookie in cookies:
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
    assert visitor.cookies == {
        "oauth2_state": state,
        "oauth2_return_to": "/page.html?a=1",
    }


async def test_without_a_place_to_return_to_its_cookie_is_removed(visit):
    response = await visit().ask("GET", "/auth/oauth2/login")
    assert response.headers.get_all("set-cookie")[1] == (
        "oauth2_return_to=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    )


async def test_cookies_are_secure_behind_tls(visit):
    response = await visit().ask("GET", "/auth/oauth2/login", X_Forwarded_Proto="https")
    assert all(
        cookie.endswith("; Secure") for cookie in response.headers.get_all("set-cookie")
    )


async def test_who_logged_in_is_known_until_logging_out(visit):
    visitor = visit()
    assert (await visitor.ask("GET", "/auth/user")).status == 404
    welcome = await visitor.log_in("/auth/oauth2/login?return_to=/page.html")
    assert (welcome.status, welcome.headers["Location"]) == (302, "/page.html")
    assert list(visitor.cookies) == ["session_id"]

    page = await visitor.ask("GET", "/auth/user")
    assert page.status == 200
    [person] = items_of(page.body.decode())
    assert person.types == ("https://schema.org/Person",)
    assert person.get("email") == "ann@example.org"
    assert person.get("name") == "Ann <A>"
    assert (await visitor.ask("GET", "/auth/logout")).status == 404

    session = dict(visitor.cookies)
    goodbye = await visitor.ask("POST", "/auth/logout?return_to=/page.html")
    assert (goodbye.status, goodbye.headers["Location"]) == (302, "/page.html")
    assert goodbye.headers.get_all("set-cookie") == [
        "session_id=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    ]
    visitor.cookies = session
    assert (await visitor.ask("GET", "/auth/user")).status == 404


async def test_the_user_has_roles_and_a_time(visit):
    visitor = visit(roles_claim="groups", session_lifetime=500.0)
    await visitor.log_in()
    site = visitor.site
    cookie = f"session_id={visitor.cookies['session_id']}"
    request = site.request("GET", "/page.html", b"", Cookie=cookie)
    response = site.hosts.handle(request)
    if inspect.isawaitable(response):
        response = await response
    assert request.user == "ann@example.org"
    assert request.roles == {"user", "editor"}
    assert 400 < request.expires - time.time() <= 500
    assert "cookie" in response.headers.tokens("vary")


async def test_the_picture_is_shown_when_there_is_one(visit, provider):
    provider.claims["picture"] = 'https://a.example/"><script>'
    visitor = visit()
    await visitor.log_in()
    page = (await visitor.ask("GET", "/auth/user")).body
    assert b"<script>" not in page
    [person] = items_of(page.decode())
    assert person.get("image") == 'https://a.example/"><script>'


async def test_logging_in_again_makes_a_new_session(visit):
    visitor = visit()
    await visitor.log_in()
    old = visitor.cookies["session_id"]
    await visitor.log_in()
    assert visitor.cookies["session_id"] != old
    visitor.cookies["session_id"] = old
    assert (await visitor.ask("GET", "/auth/user")).status == 404


async def test_a_callback_needs_code_state_and_cookie(visit):
    visitor = visit()
    await visitor.ask("GET", "/auth/oauth2/login")
    state = visitor.cookies["oauth2_state"]
    for query, status, text in [
        (f"state={state}", 400, b"Missing authorization code"),
        ("error=access_denied", 400, b"Missing authorization code"),
        ("code=x", 400, b"Missing state parameter"),
        ("code=x&state=other", 403, b"Invalid state parameter"),
    ]:
        response = await visitor.ask("GET", f"/auth/callback?{query}")
        assert (response.status, response.body) == (status, text)
    visitor.cookies.clear()
    response = await visitor.ask("GET", f"/auth/callback?code=x&state={state}")
    assert (response.status, response.body) == (403, b"Missing state cookie")


async def test_a_state_that_did_not_begin_here_is_refused_and_one_counts_once(visit):
    visitor = visit()
    visitor.cookies["oauth2_state"] = "forged"
    response = await visitor.ask("GET", "/auth/callback?code=x&state=forged")
    assert (response.status, response.body) == (403, b"Invalid state parameter")
    visitor = visit()
    await visitor.ask("GET", "/auth/oauth2/login")
    state = visitor.cookies["oauth2_state"]
    statuses = []
    for _ in range(2):
        visitor.cookies["oauth2_state"] = state
        answer = await visitor.ask("GET", f"/auth/callback?code=x&state={state}")
        statuses.append(answer.status)
    assert statuses == [500, 403]


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["another", CLIENT], "azp": "another"},
        {"exp": 1},
        {"email_verified": False},
        {"email": None},
    ],
    ids=str,
)
async def test_an_id_token_that_does_not_count_logs_nobody_in(visit, provider, changes):
    provider.changes = changes
    visitor = visit()
    response = await visitor.log_in()
    assert (response.status, response.body) == (500, b"Login failed")
    assert "session_id" not in visitor.cookies


async def test_a_token_without_signature_logs_nobody_in(visit, provider):
    provider.header = {"alg": "none"}
    assert (await visit().log_in()).status == 500


async def test_a_provider_with_github_for_a_name_is_asked_for_a_verified_address(
    visit, provider
):
    provider.user_info = {"login": "ann", "name": None, "email": None}
    provider.emails = [
        {"email": "old@example.org", "primary": False, "verified": True},
        {"email": "ann@example.org", "primary": True, "verified": True},
    ]
    visitor = visit(
        name="github",
        issuer="",
        auth_url=f"{provider.issuer}/authorize",
        token_url=f"{provider.issuer}/token",
        user_info_url=f"{provider.issuer}/user",
    )
    assert (await visitor.log_in("/auth/github/login")).status == 302
    page = (await visitor.ask("GET", "/auth/user")).body.decode()
    assert items_of(page)[0].get("email") == "ann@example.org"
    assert "/.well-known/openid-configuration" not in provider.requests


async def test_a_primary_address_that_is_not_verified_logs_nobody_in(visit, provider):
    provider.emails = [{"email": "a@b.example", "primary": True, "verified": False}]
    visitor = visit(
        provider="github",
        issuer="",
        auth_url=f"{provider.issuer}/authorize",
        token_url=f"{provider.issuer}/token",
        user_info_url=f"{provider.issuer}/user",
    )
    assert (await visitor.log_in()).status == 500


async def test_a_setting_that_the_environment_lacks_is_500(visit, monkeypatch):
    monkeypatch.delenv("TEST_CLIENT_SECRET")
    response = await visit().ask("GET", "/auth/oauth2/login")
    assert response.status == 500
    assert response.body == (
        b"OAuth2 configuration error: "
        b"environment variable TEST_CLIENT_SECRET is not set"
    )


async def test_a_provider_that_does_not_answer_is_500(visit, provider):
    response = await visit(issuer=f"{provider.issuer}/nobody").ask(
        "GET", "/auth/oauth2/login"
    )
    assert response.status == 500
    assert response.body.startswith(b"OAuth2 configuration error: http://127.0.0.1")


async def test_the_login_path_can_be_chosen(visit):
    visitor = visit(login_path="/auth/enter")
    assert (await visitor.ask("GET", "/auth/enter")).status == 302
    assert (await visitor.ask("GET", "/auth/oauth2/login")).status == 404


@pytest.mark.parametrize(
    ("place", "safe"),
    [
        ("/page.html?a=1#b", "/page.html?a=1#b"),
        ("/a;b c", "/a%3Bb%20c"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\tevil", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_only_a_path_of_this_site_is_returned_to(place, safe):
    assert safe_path(place) == safe


async def test_a_foreign_place_to_return_to_is_ignored(visit):
    visitor = visit()
    welcome = await visitor.log_in("/auth/oauth2/login?return_to=https://evil.example/")
    assert welcome.headers["Location"] == "/"
    goodbye = await visitor.ask("POST", "/auth/logout?return_to=//evil.example/")
    assert goodbye.headers["Location"] == "/"


async def test_a_probe_changes_nothing_and_names_the_user(visit):
    visitor = visit()
    await visitor.log_in()
    site = visitor.site
    cookie = f"session_id={visitor.cookies['session_id']}"
    request = site.request("GET", "/auth/user", b"", Cookie=cookie)
    request.probe = True
    response = site.hosts.handle(request)
    if inspect.isawaitable(response):
        response = await response
    assert response.status == 404
    assert request.user == "ann@example.org"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "client_id_env is missing"),
        (NAMES | {"provider": "oidc"}, "provider oidc needs issuer"),
    ],
)
def test_a_site_that_could_let_nobody_in_does_not_start(options, problem):
    with pytest.raises(ConfigError, match=problem):
        load_plugin(PluginConfig("oauth2", options))


def test_the_provider_follows_from_what_is_given():
    assert Options(**NAMES).endpoints.issuer == "https://accounts.google.com"
    assert Options(**NAMES, name="my-github").endpoints.scope == "user:email"
    own = Options(**NAMES, issuer="https://id.example")
    assert (own.chosen, own.endpoints.issuer) == ("oidc", "https://id.example")
