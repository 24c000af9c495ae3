"""The sites of the examples, as their visitors use them."""

import contextlib
import shutil
from pathlib import Path

import pytest
import requests
import websockets.sync.client

from beamfast.documents.microdata import items_of

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SITES = ("playground", "guestbook", "admin")
SCHEMA = "https://rustybeam.net/schema/"
ANN = ("ann", "wonderland")
ROOT = ("root", "wonderland")


@pytest.fixture
def start(serve, tmp_path):
    def begin(name):
        place = tmp_path / name
        shutil.copytree(EXAMPLES / name, place)
        return serve(root=place / "config.html")

    return begin


def edit(server, method, selector, content=None, *, path="/", auth=None):
    return requests.request(
        method,
        server.url + path,
        data=content,
        headers={"Range": f"selector={selector}"},
        auth=auth,
        timeout=20,
    )


@pytest.fixture
def viewers():
    with contextlib.ExitStack() as stack:

        def connect(server):
            address = server.url.replace("http", "ws") + "/"
            open_one = websockets.sync.client.connect
            return [
                stack.enter_context(open_one(address, proxy=None, ping_interval=None))
                for _ in range(2)
            ]

        yield connect


def items(sockets):
    """Return method and selector of the next item, which all get."""
    [text] = {socket.recv(timeout=20) for socket in sockets}
    [item] = items_of(text)
    return item.get("method"), item.get("selector")


@pytest.mark.parametrize("name", SITES)
def test_an_example_is_short(name):
    for path in (EXAMPLES / name).rglob("*.*"):
        assert len(path.read_text("utf-8").splitlines()) < 150


def test_everybody_changes_the_playground_and_sees_it_at_once(start, viewers):
    server = start("playground")
    sockets = viewers(server)
    allowed = edit(server, "OPTIONS", "#note").headers
    assert allowed["Allow"] == "DELETE, GET, OPTIONS, POST, PUT"
    assert "selector" in allowed["Accept-Ranges"]
    assert edit(server, "POST", "#board", "<p>new</p>").status_code == 206
    assert edit(server, "PUT", "#note", "<p id=note>x</p>").status_code == 206
    assert edit(server, "DELETE", "#note").status_code == 204
    assert [items(sockets) for _ in range(3)] == [
        ("POST", "#board"),
        ("PUT", "#note"),
        ("DELETE", "#note"),
    ]
    # Elements are everybody's, whole files nobody's.
    assert requests.put(f"{server.url}/", data="x", timeout=20).status_code == 403


def test_guests_write_and_only_editors_remove(start, viewers):
    server = start("guestbook")
    sockets = viewers(server)
    entry = '<li class="entry"><b>Bob</b>: <span>Hi</span></li>'
    assert edit(server, "POST", "#entries", entry).text == entry
    assert items(sockets) == ("POST", "#entries")
    last = "#entries .entry:nth-child(2)"
    assert edit(server, "OPTIONS", last).headers["Allow"] == "OPTIONS"
    assert edit(server, "DELETE", last).status_code == 403
    assert edit(server, "OPTIONS", last, auth=ANN).headers["Allow"] == "DELETE, OPTIONS"
    assert edit(server, "DELETE", last, auth=ANN).status_code == 204
    assert items(sockets) == ("DELETE", last)
    assert edit(server, "DELETE", "h1", auth=ANN).status_code == 403
    assert requests.get(f"{server.url}/login.html", timeout=20).status_code == 401
    logged_in = requests.get(f"{server.url}/login.html", auth=ANN, timeout=20)
    assert logged_in.status_code == 200
    policy = logged_in.headers["Content-Security-Policy"]
    assert policy == "default-src 'self'"


def test_a_rule_that_is_added_counts_at_once(start):
    server = start("admin")
    bob = ("bob", "builder")
    user = (
        f'<tr itemscope itemtype="{SCHEMA}Credential"><td itemprop="username">bob'
        '<td itemprop="password">builder<td itemprop="encryption">plaintext'
        '<td itemprop="role">reader<td><button>Remove</button>'
    )
    rule = (
        f'<tr itemscope itemtype="{SCHEMA}AuthorizationRule"><td itemprop="role">reader'
        '<td itemprop="path">/<td itemprop="selector"><td itemprop="method">GET'
        '<td itemprop="action">allow<td><button>Remove</button>'
    )

    def status(path="/", auth=bob):
        return requests.get(server.url + path, auth=auth, timeout=20).status_code

    assert status() == 401
    assert status(auth=ROOT) == 200
    added = edit(server, "POST", "#users", user, path="/auth/", auth=ROOT)
    assert added.status_code == 206
    assert status() == 403
    edit(server, "POST", "#rules", rule, path="/auth/", auth=ROOT)
    assert status() == 200
    assert status("/auth/") == 403
    assert (
        edit(server, "POST", "#rules", rule, path="/auth/", auth=bob).status_code == 403
    )
    removed = edit(
        server, "DELETE", "#rules > tr:nth-child(3)", path="/auth/", auth=ROOT
    )
    assert removed.status_code == 204
    assert status() == 403


@pytest.mark.system("chromium")
def test_a_guest_writes_in_the_browser_and_another_one_sees_it(start, browser):
    server = start("guestbook")
    writer, reader = (browser.open(f"{server.url}/") for _ in range(2))
    writer.evaluate(
        "(() => { const form = document.querySelector('#write');"
        "form.elements.name.value = '<b>Eve'; form.elements.message.value = 'Hi';"
        "form.requestSubmit(); })()"
    )
    for tab in (writer, reader):
        tab.wait_for("document.querySelectorAll('#entries .entry').length === 2")
        assert tab.evaluate(
            "document.querySelector('.entry:last-child b').textContent"
        ) == ("<b>Eve")
        # Nobody is logged in, so nothing may be removed.
        assert tab.evaluate("document.querySelectorAll('.entry button').length") == 0
