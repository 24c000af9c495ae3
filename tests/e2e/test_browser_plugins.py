"""What browsers make of the fields that plugins send: other origins, cookies."""

import json
import socket

import pytest

pytestmark = pytest.mark.system("chromium")

FETCH = """
(async (url, options) => {
  try {
    const answer = await fetch(url, options);
    const read = (name) => answer.headers.get(name);
    return [answer.status, await answer.text(), read("Content-Range"), read("Server")];
  } catch (error) { return String(error); }
})"""


def fetch(tab, url, **options):
    return tab.evaluate(f"{FETCH}({json.dumps(url)}, {json.dumps(options)})")


def test_scripts_of_a_listed_site_may_read_and_others_not(
    serve, configure, browser, tmp_path
):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "document.html").write_text("<!DOCTYPE html><title>x</title>")
    page = serve(root=tmp_path / "other")
    listed = page.url
    handlers = {"SelectorHandler": {}, "FileHandler": {}}
    closed = serve(root=configure({"Cors": {"allowed_origins": listed}, **handlers}))
    # The same server by another name is another origin.
    tab = browser.open(f"{page.url}/document.html")
    other = browser.open(f"{page.url.replace('127.0.0.1', 'localhost')}/document.html")
    url = f"{closed.url}/document.html"
    selected = {"headers": {"Range": "selector=h1"}}
    # Range with such a unit is asked for beforehand; Content-Range may be read.
    assert fetch(tab, url, **selected) == [
        206,
        "<h1>Notes</h1>",
        "selector h1",
        None,
    ]
    assert fetch(tab, f"{closed.url}/missing")[0] == 404
    assert fetch(other, url).startswith("TypeError")
    # Reading is one thing, writing another: that takes an allowed origin.
    written = fetch(tab, url, method="PUT", body="<h1>x</h1>", **selected)
    assert written[0] == 403


def test_a_login_at_a_provider_leaves_a_cookie_that_scripts_do_not_see(
    serve, configure, browser, monkeypatch, openid_provider
):
    monkeypatch.setenv("BROWSER_ID", openid_provider.client_id)
    monkeypatch.setenv("BROWSER_SECRET", openid_provider.client_secret)
    login = {
        "client_id_env": "BROWSER_ID",
        "client_secret_env": "BROWSER_SECRET",
        "redirect_uri_env": "BROWSER_CALLBACK",
        "issuer": openid_provider.issuer,
    }
    # The callback names the port, which is known when the server runs.
    port = free_port()
    monkeypatch.setenv("BROWSER_CALLBACK", f"http://127.0.0.1:{port}/auth/callback")
    server = serve(
        "--port", str(port), root=configure({"OAuth2": login, "FileHandler": {}})
    )
    tab = browser.open(f"{server.url}/document.html")
    assert fetch(tab, "/auth/user")[0] == 404
    start = "/auth/oauth2/login?return_to=/document.html"
    tab.evaluate(f"(() => {{ window.before = 1; location.href = {start!r}; }})()")
    tab.wait_for("window.before === undefined && document.readyState === 'complete'")
    assert tab.evaluate("location.pathname") == "/document.html"
    assert tab.evaluate("document.cookie") == ""
    status, page, *_ = fetch(tab, "/auth/user")
    assert status == 200
    assert "ann@example.org" in page
    fetch(tab, "/auth/logout", method="POST", redirect="manual")
    assert fetch(tab, "/auth/user")[0] == 404


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
