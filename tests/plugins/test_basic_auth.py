"""Basic authentication: who gets in, what the others are told."""

import base64

import bcrypt
import pytest

from beamfast.server.config import PluginConfig

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
USERS = f"""
<p itemscope itemtype="https://rustybeam.net/schema/Credential">
<i itemprop=username>ann</i><i itemprop=password>pw:1</i><i itemprop=role>editor</i></p>
<p itemscope itemtype="http://rustybeam.net/Credential">
<i itemprop=username>bob</i><i itemprop=password>{HASH}</i>
<i itemprop=encryption>bcrypt</i></p>
"""


@pytest.fixture
def users(tmp_path):
    file = tmp_path / "users.html"
    file.write_text(USERS)
    return file


@pytest.fixture
def guarded(make_site, users):
    def make(**options):
        options.setdefault("authfile", str(users))
        return make_site(
            PluginConfig("basic-auth", options), PluginConfig("file-handler")
        )

    return make


def basic(name: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


async def test_no_credentials_are_401_with_the_challenge(guarded):
    answer = await guarded(realm='The "R"').ask("GET", "/page.html")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="The \\"R\\""'
    assert answer.headers["Cache-Control"] == "no-store, private"
    assert b"Authentication required" in answer.body


async def test_the_charset_hint(guarded):
    answer = await guarded(charset_hint=True).ask("GET", "/page.html")
    assert answer.headers["WWW-Authenticate"].endswith(', charset="UTF-8"')


@pytest.mark.parametrize(("name", "password"), [("ann", "pw:1"), ("bob", "secret")])
async def test_the_right_password_gets_in_and_stays_in(guarded, name, password):
    site = guarded()
    for _ in range(2):
        answer = await site.ask(
            "GET", "/page.html", Authorization=basic(name, password)
        )
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "value",
    [
        basic("ann", "wrong"),
        basic("ann", ""),
        basic("Ann", "pw:1"),
        basic("", "pw:1"),
        basic("eve", "pw:1"),
        basic("bob", HASH),
        basic("ann", "pw:1", "basic"),
        basic("ann", "pw:1", "Bearer"),
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_anything_else_is_401(guarded, value, method):
    answer = await guarded().ask(method, "/page.html", b"x", Authorization=value)
    assert answer.status == 401


async def test_the_scheme_may_be_in_any_case_on_request(guarded):
    site = guarded(scheme_case_insensitive=True)
    value = basic("ann", "pw:1", "bAsIc")
    assert (await site.ask("GET", "/page.html", Authorization=value)).status == 200


async def test_options_passes_without_credentials(guarded):
    assert (await guarded().ask("OPTIONS", "/page.html")).status == 200


async def test_anonymous_may_be_let_through_but_not_with_a_wrong_password(guarded):
    site = guarded(anonymous="allow")
    assert (await site.ask("GET", "/page.html")).status == 200
    value = basic("ann", "wrong")
    assert (await site.ask("GET", "/page.html", Authorization=value)).status == 401


async def test_without_a_page_nobody_gets_in(guarded, tmp_path):
    site = guarded(authfile=str(tmp_path / "missing.html"))
    for name, password in [
        ("admin", "admin123"),
        ("johndoe", "doe123"),
        ("ann", "pw:1"),
    ]:
        value = basic(name, password)
        assert (await site.ask("GET", "/page.html", Authorization=value)).status == 401


async def test_a_changed_page_counts_at_once(guarded, users):
    site = guarded()
    value = basic("ann", "pw:1")
    assert (await site.ask("GET", "/page.html", Authorization=value)).status == 200
    users.write_text(USERS.replace("pw:1", "changed"))
    assert (await site.ask("GET", "/page.html", Authorization=value)).status == 401
    value = basic("ann", "changed")
    assert (await site.ask("GET", "/page.html", Authorization=value)).status == 200


async def test_the_memory_of_checked_passwords_is_bounded(guarded, monkeypatch):
    from beamfast.plugins import basic_auth

    monkeypatch.setattr(basic_auth, "MEMORY", 1)
    site = guarded()
    for name, password in [("ann", "pw:1"), ("bob", "secret"), ("ann", "pw:1")]:
        value = basic(name, password)
        assert (await site.ask("GET", "/page.html", Authorization=value)).status == 200


async def test_head_needs_credentials_like_get(guarded):
    site = guarded()
    assert (await site.ask("HEAD", "/page.html")).status == 401
    value = basic("ann", "pw:1")
    assert (await site.ask("HEAD", "/page.html", Authorization=value)).status == 200


async def test_a_password_may_have_colons_in_it(guarded):
    site = guarded()
    for password, status in [("pw:1", 200), ("pw", 401), ("1", 401), ("pw:1:", 401)]:
        value = basic("ann", password)
        answer = await site.ask("GET", "/page.html", Authorization=value)
        assert answer.status == status
