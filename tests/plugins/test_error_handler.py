"""Pages for errors: whose, for whom, what stands in them, and what stays."""

import logging
import re
from dataclasses import dataclass

import pytest

from beamfast.errors import ConfigError
from beamfast.http import Headers, Request, Response
from beamfast.pipeline import Plugin
from beamfast.plugins.error_handler import wants_page
from beamfast.server.config import PluginConfig
from beamfast.server.html_config import read_html_config
from beamfast.server.plugin_types import load_plugin


@dataclass(frozen=True)
class Options:
    """None."""


class Refusing(Plugin[Options]):
    """Answers as the table below says."""

    name = "refusing"

    def handle_request(self, request, context):
        status, text, content_type, headers = ANSWERS[request.path]
        return Response(status, text, content_type=content_type, headers=headers)


ANSWERS = {
    "/login": (401, "Who?", None, [("WWW-Authenticate", 'Basic realm="R"')]),
    "/method": (405, "No", None, [("Allow", "GET"), ("Content-Range", "bytes */1")]),
    "/later": (503, "Later", None, [("Retry-After", "1"), ("ETag", '"x"')]),
    "/api": (404, '{"error": 1}', "application/json", []),
}


@pytest.fixture
def paged(make_site):
    """Make a site with these options."""
    return lambda **options: make_site(
        PluginConfig("file-handler"), PluginConfig("error-handler", options)
    )


@pytest.fixture
async def refusing(make_site):
    """A site that only refuses."""
    return make_site(
        PluginConfig(f"python:{__name__}:Refusing"), PluginConfig("error-handler")
    )


async def test_the_built_in_page_has_code_reason_and_server(paged):
    response = await paged().ask("GET", "/missing")
    assert response.status == 404
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    for word in (b"404", b"Not Found", b"beamfast"):
        assert word in response.body
    assert not re.search(rb"[{}]", response.body)


async def test_a_refused_range_has_its_reason(paged):
    response = await paged().ask("GET", "/notes.txt", Range="bytes=99-")
    assert response.status == 416
    assert b"Range Not Satisfiable" in response.body
    assert response.headers["Content-Range"] == "bytes */10"


async def test_a_page_of_the_sites_own_is_filled(paged, root):
    (root / "errors").mkdir()
    (root / "errors" / "lost.html").write_text(
        "<p>{status_code}|{reason}|{path}|{host}|{timestamp}|{other}"
    )
    site = paged(error_page={"404": "lost.html"}, error_template_dir=root / "errors")
    response = await site.ask("GET", "/missing?q=1")
    assert response.status == 404
    assert re.fullmatch(
        r"<p>404\|Not Found\|/missing\|localhost\|\d{10}\|\{other\}",
        response.body.decode(),
    )


async def test_variables_are_escaped_and_not_filled_twice(paged, root):
    (root / "404.html").write_text("<p>{path}")
    site = paged()
    response = await site.ask("GET", "/%3Cscript%3E'%22&%7Bhost%7D")
    assert response.body == b"<p>/&lt;script&gt;&#x27;&quot;&amp;{host}"


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_pages_of_the_root_are_used_without_being_configured(
    make_site, root, status, monkeypatch
):
    (root / f"{status}.html").write_text("our {status_code}")
    monkeypatch.setitem(ANSWERS, "/x", (status, "", None, []))
    site = make_site(
        PluginConfig(f"python:{__name__}:Refusing"), PluginConfig("error-handler")
    )
    assert (await site.ask("GET", "/x")).body == f"our {status}".encode()


async def test_configured_pages_replace_the_default_ones(paged, root):
    (root / "404.html").write_text("default")
    (root / "gone.html").write_text("gone")
    site = paged(error_page={"410": "gone.html"})
    assert b"<h1>404 Not Found</h1>" in (await site.ask("GET", "/missing")).body


async def test_a_changed_page_counts_at_once(paged, root):
    (root / "404.html").write_text("one")
    site = paged()
    assert (await site.ask("GET", "/missing")).body == b"one"
    (root / "404.html").write_text("two")
    assert (await site.ask("GET", "/missing")).body == b"two"


async def test_a_page_that_is_missing_is_warned_of_and_the_built_in_one_comes(
    paged, caplog
):
    site = paged(error_page={"404": "none.html"})
    assert "none.html for status 404" in caplog.text
    assert b"<h1>404 Not Found</h1>" in (await site.ask("GET", "/missing")).body


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/login", {"WWW-Authenticate": 'Basic realm="R"'}),
        ("/method", {"Allow": "GET", "Content-Range": "bytes */1"}),
        ("/later", {"Retry-After": "1"}),
    ],
)
async def test_fields_that_are_not_about_the_content_stay(refusing, path, kept):
    response = await refusing.ask("GET", path)
    assert b"<h1>" in response.body
    assert kept.items() <= dict(response.headers).items()
    assert "ETag" not in response.headers


async def test_programs_get_what_they_can_read(refusing):
    assert (await refusing.ask("GET", "/api", Accept="*/*")).body == b'{"error": 1}'
    assert (await refusing.ask("GET", "/login", Accept="image/png")).body == b"Who?"
    browser = "text/html,application/xhtml+xml,*/*;q=0.8"
    assert b"<h1>404" in (await refusing.ask("GET", "/api", Accept=browser)).body


@pytest.mark.parametrize(
    ("accept", "content_type", "wants"),
    [
        (None, "text/plain", True),
        (None, "application/problem+json; charset=utf-8", False),
        ("*/*", "text/plain", True),
        ("text/*", "text/plain", True),
        ("text/*;q=0, */*", "text/plain", False),
        ("text/html;q=0, */*", "text/plain", False),
        ("application/json", "text/plain", False),
        ("text/html", "application/json", True),
    ],
)
def test_who_gets_a_page(accept, content_type, wants):
    fields = [] if accept is None else [("Accept", accept)]
    request = Request("GET", "/", url="/", path="/", headers=Headers(fields))
    assert wants_page(request, Response(404, content_type=content_type)) is wants


async def test_answers_that_are_no_errors_are_left_alone(paged):
    response = await paged().ask("GET", "/notes.txt")
    assert (response.status, response.body) == (200, b"0123456789")


async def test_errors_are_logged_unless_told_otherwise(paged, caplog):
    with caplog.at_level(logging.INFO, "beamfast.error_handler"):
        await paged(log_errors=False).ask("GET", "/quiet")
        await paged().ask("GET", "/missing?q=1")
    (record,) = caplog.records
    assert record.getMessage() == "404 GET '/missing?q=1'"
    assert record.levelname == "INFO"


@pytest.mark.parametrize("status", ["200", "4o4", "404page"])
def test_a_page_for_what_is_no_error_is_a_mistake(status):
    config = PluginConfig("error-handler", {"error_page": {status: "a.html"}})
    with pytest.raises(ConfigError, match="is no error status"):
        load_plugin(config)


async def test_both_spellings_of_a_page_are_known(make_site, root):
    (root / "a.html").write_text("ours")
    text = f"""
    <div itemscope itemtype="https://rustybeam.net/schema/HostConfig">
    <i itemprop=hostname>localhost</i> <i itemprop=hostRoot>{root}</i>
    <p itemprop=plugin itemscope
       itemtype="https://rustybeam.net/schema/ErrorHandlerPlugin">
    <i itemprop=error_404>a.html</i> <i itemprop=error-page-405>a.html</i></p>
    </div>"""
    (host,) = read_html_config(text, "config.html").hosts
    site = make_site(*host.plugins)
    assert (await site.ask("GET", "/none")).body == b"ours"
    assert (await site.ask("PATCH", "/none")).body == b"ours"
