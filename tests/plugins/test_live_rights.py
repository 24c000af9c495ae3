"""Open sockets and event streams when rules change; and that all ways in agree."""

import asyncio
import base64

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from websockets.exceptions import InvalidStatus

from beamfast import rights
from beamfast.server.config import PluginConfig

from .conftest import PAGE, Site
from .live import listening

RULE = "https://rustybeam.net/schema/AuthorizationRule"
CREDENTIAL = "https://rustybeam.net/schema/Credential"
EVERYBODY = ("*", "GET,PUT,POST", "/*", "", "allow")


def rule(subject, method, path, selector, action):
    parts = {"username": subject, "method": method, "path": path, "action": action}
    if selector:
        parts["selector"] = selector
    spans = "".join(f"<i itemprop={name}>{text}</i>" for name, text in parts.items())
    return f'<p itemscope itemtype="{RULE}">{spans}</p>'


def user(name, *roles):
    spans = "".join(f"<i itemprop=role>{role}</i>" for role in roles)
    return (
        f'<p itemscope itemtype="{CREDENTIAL}"><i itemprop=username>{name}</i>'
        f"<i itemprop=password>pw</i>{spans}</p>"
    )


def write(file, rules, users=(("ann", "editor"), ("eve", "reader"))):
    people = "".join(user(*one) for one in users)
    file.write_text(f"<body>{people}{''.join(rule(*one) for one in rules)}</body>")


def as_user(name):
    value = base64.b64encode(f"{name}:pw".encode()).decode()
    return {"Authorization": f"Basic {value}"}


def guards(file):
    return (
        PluginConfig("basic-auth", {"authfile": str(file), "anonymous": "allow"}),
        PluginConfig("authorization", {"authfile": str(file)}),
        PluginConfig("websocket"),
        PluginConfig("eventsource"),
        PluginConfig("selector-handler"),
        PluginConfig("file-handler"),
    )


@pytest.fixture
def policy(tmp_path):
    file = tmp_path / "policy.html"
    write(file, [EVERYBODY])
    return file


@pytest.fixture
async def live(make_site, root, policy, monkeypatch):
    monkeypatch.setattr(rights, "LOOK", 0.01)
    (root / "other.html").write_bytes(b"<p>other</p>")
    async with listening(make_site(*guards(policy))) as live:
        yield live


async def test_a_rule_that_removes_get_closes_sockets_with_4403_and_ends_streams(
    live, policy
):
    ann = await live.open(additional_headers=as_user("ann"))
    nobody = await live.open()
    status, stream = await live.stream()
    assert status == 200
    write(policy, [("editor", "GET,PUT,POST", "/*", "", "allow")])
    assert await nobody.closed() == 4403
    async with asyncio.timeout(20):
        await stream.read()
    # Who may still read goes on.
    await live.site.ask("PUT", "/page.html", b"<p>whole</p>")
    assert (await ann.subscribe("*"))["type"] == "subscribed"
    with pytest.raises(InvalidStatus, match="HTTP 403"):
        await live.open()
    assert (await live.stream())[0] == 403


async def test_a_user_who_is_removed_is_told_to_log_in(live, policy):
    ann = await live.open(additional_headers=as_user("ann"))
    eve = await live.open(additional_headers=as_user("eve"))
    write(policy, [EVERYBODY], [("ann", "editor")])
    assert await eve.closed() == 4401
    assert (await ann.subscribe("*"))["type"] == "subscribed"


async def test_a_rule_added_through_the_server_closes_sockets(
    make_site, root, monkeypatch
):
    monkeypatch.setattr(rights, "LOOK", 0.01)
    file = root / "policy.html"
    write(file, [EVERYBODY, ("*", "POST", "/policy.html", "*", "allow")])
    site = make_site(*guards(file))
    async with listening(site) as live:
        socket = await live.open()
        deny = rule("*", "GET", "/page.html", "", "deny").encode()
        answer = await site.ask("POST", "/policy.html", deny, "body")
        assert answer.status == 206
        assert await socket.closed() == 4403


async def test_a_subscription_needs_the_right_to_read_that_document(live, policy):
    write(policy, [EVERYBODY, ("*", "GET", "/other.html", "", "deny")])
    socket = await live.open()
    reply = await socket.subscribe("*", "/other.html")
    assert (reply["error"], reply["url"]) == ("forbidden", "/other.html")
    # Nothing has changed: its own document is still followed.
    assert (await socket.subscribe("*"))["type"] == "subscribed"


async def test_a_socket_that_follows_another_document_needs_the_right_for_that(
    live, policy
):
    socket = await live.open()
    await socket.subscribe("*", "/other.html")
    write(policy, [EVERYBODY, ("*", "GET", "/other.html", "", "deny")])
    assert await socket.closed() == 4403


async def test_rules_inside_a_directory_count_for_its_streams(
    make_site, root, policy, monkeypatch
):
    monkeypatch.setattr(rights, "LOOK", 0.01)
    (root / "in").mkdir()
    for path in ("in/a.html", "b.html"):
        (root / path).write_bytes(PAGE)
    inside = (
        PluginConfig("authorization", {"authfile": str(policy)}),
        PluginConfig("websocket"),
    )
    site = make_site(
        PluginConfig("directory", {"directory": "/in"}, inside),
        PluginConfig("websocket"),
    )
    async with listening(site) as live:
        within, outside = await live.open("/in/a.html"), await live.open("/b.html")
        write(policy, [])
        assert await within.closed() == 4403
        assert (await outside.subscribe("*"))["type"] == "subscribed"
        assert (await outside.subscribe("*", "/in/a.html"))["error"] == "forbidden"


PATHS = ("/page.html", "/other.html", "/in/page.html", "/")
SUBJECTS = ("*", "ann", "editor", "reader", ":username")
RULES = st.lists(
    st.tuples(
        st.sampled_from(SUBJECTS),
        st.sampled_from(("GET", "*", "PUT", "GET,HEAD", "HEAD")),
        st.sampled_from((*PATHS, "/*", "/in/*", "*", "/:username/x")),
        st.sampled_from(("", "", "*", "h1")),
        st.sampled_from(("allow", "allow", "deny")),
    ),
    max_size=6,
)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(RULES, st.sampled_from([None, "ann", "eve"]), st.sampled_from(PATHS))
def test_http_sockets_streams_and_subscriptions_agree_on_who_may_read(
    tmp_path, rules, name, path
):
    asyncio.run(agree(tmp_path, rules, name, path))


async def agree(tmp_path, rules, name, path):
    """Ask for a document in every way, and again when it is open already."""
    root = tmp_path / "site"
    root.mkdir(exist_ok=True)
    (root / "in").mkdir(exist_ok=True)
    for page in ("page.html", "other.html", "index.html", "in/page.html"):
        (root / page).write_bytes(PAGE)
    file = tmp_path / "policy.html"
    write(file, rules)
    fields = as_user(name) if name else {}
    site = Site(root, *guards(file))
    try:
        async with listening(site) as live:
            may_read = (await site.ask("GET", path, **fields)).status == 200
            status, _ = await live.stream(path, **fields)
            assert (status == 200) == may_read
            try:
                await live.open(path, additional_headers=fields)
            except InvalidStatus as refused:
                assert not may_read
                assert refused.response.status_code == 403
            else:
                assert may_read
            # Somebody who was let in before; the rules are those of now.
            write(file, [EVERYBODY])
            start = "/in/other.html"
            socket = await live.open(start, additional_headers=fields)
            write(file, [*rules, (name or "*", "GET", start, "", "allow")])
            reply = await socket.subscribe("*", path)
            assert (reply["type"] == "subscribed") == may_read
            site.host.pipeline.context.rights.changed()
            reply = await socket.subscribe("*", path)
            assert (reply["type"] == "subscribed") == may_read
    finally:
        await site.host.stop()
