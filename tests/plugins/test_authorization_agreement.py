"""Whoever may read a document may follow it, and nobody else, by any way."""

import random

import pytest

from beamfast.server.config import PluginConfig

from .test_authorization import USERS, as_user, rule

SUBJECTS = ("*", "ann", "eve", "editor", "reader", ":username")
PATHS = ("/*", "*", "/page.html", "/notes.txt", "/:username/*", "/ann/*", "/folder/*")
METHODS = ("GET", "*", "PUT, GET", "POST", "HEAD")
ASKED = ("/page.html", "/notes.txt", "/ann/own.html", "/folder/", "/eve/x.html")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec_WebSocket_Version": "13",
}


def random_rules(numbers: random.Random) -> list[str]:
    return [
        rule(
            numbers.choice(SUBJECTS),
            numbers.choice(METHODS),
            numbers.choice(PATHS),
            action=numbers.choice(("allow", "deny")),
        )
        for _ in range(numbers.randrange(1, 6))
    ]


@pytest.fixture
async def judged(make_site, root):
    """A site whose rules a test replaces."""
    file = root.parent / "policy.html"

    def judge(rules: list[str]):
        file.write_text(f"<!DOCTYPE html><body>{USERS}{''.join(rules)}")

    judge([])
    site = make_site(
        PluginConfig("basic-auth", {"authfile": file, "anonymous": "allow"}),
        PluginConfig("authorization", {"authfile": file}),
        PluginConfig("websocket"),
        PluginConfig("eventsource"),
        PluginConfig("file-handler"),
    )
    return site, judge


@pytest.mark.parametrize("seed", range(12))
async def test_a_get_a_socket_and_a_stream_are_allowed_alike(judged, seed):
    site, judge = judged
    numbers = random.Random(seed)
    judge(random_rules(numbers))
    for path in ASKED:
        for user in (None, "ann", "eve"):
            fields = {} if user is None else as_user(user)
            got = await site.ask("GET", path, **fields)
            may_read = got.status != 403
            head = await site.ask("HEAD", path, **fields)
            socket = await site.ask("GET", path, **fields, **UPGRADE)
            stream = await site.ask("GET", path, Accept="text/event-stream", **fields)
            assert (socket.status == 101) == may_read
            assert (stream.status == 200) == may_read
            told = await site.ask("OPTIONS", path, **fields)
            assert ("GET" in told.headers["Allow"].split(", ")) == may_read
            # Only a rule of its own makes HEAD another thing than GET.
            if "HEAD" not in (site.root.parent / "policy.html").read_text():
                assert (head.status != 403) == may_read


async def test_what_options_says_differs_by_user_and_selector(judged):
    site, judge = judged
    judge(
        [
            rule("*", "GET", "/*", "p"),
            rule("*", "GET", "/*"),
            rule("editor", "*", "/*", "*"),
        ]
    )
    for selector, anonymous, editor in [
        ("p", "GET, OPTIONS", "DELETE, GET, OPTIONS, POST, PUT"),
        ("h1", "OPTIONS", "DELETE, GET, OPTIONS, POST, PUT"),
        (None, "GET, OPTIONS", "GET, OPTIONS"),
    ]:
        told = await site.ask("OPTIONS", "/page.html", selector=selector)
        assert told.headers["Allow"] == anonymous
        told = await site.ask(
            "OPTIONS", "/page.html", selector=selector, **as_user("ann")
        )
        assert told.headers["Allow"] == editor
