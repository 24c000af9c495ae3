"""Rules from both sources, patterns and targets, statuses, conditions, reloading."""

from html import escape

import pytest

from beamfast.errors import ConfigError
from beamfast.plugins.redirect import LONGEST_PATH, has_nested_repeats
from beamfast.server.config import PluginConfig
from beamfast.server.html_config import read_html_config
from beamfast.server.plugin_types import load_plugin

SCHEMA = "https://rustybeam.net/schema/"


def rule(source: str, to: str, *more: tuple[str, str], vocabulary=SCHEMA) -> str:
    rows = [("from", source), ("to", to), *more]
    cells = "".join(f"<td itemprop={name}>{escape(text)}</td>" for name, text in rows)
    return f'<table><tr itemscope itemtype="{vocabulary}RedirectRule">{cells}</table>'


@pytest.fixture
def ruled(make_site, tmp_path):
    """Make a site whose rules stand in a page."""

    def make(*rules: str, **options):
        page = tmp_path / "redirects.html"
        page.write_text("\n".join(rules))
        return make_site(
            PluginConfig("redirect", {"rules_file": page, **options}),
            PluginConfig("file-handler"),
        )

    return make


async def ask(site, target: str, **fields: str):
    response = await site.ask("GET", target, **fields)
    return response.status, response.headers.get("location")


async def test_an_exact_rule(ruled):
    site = ruled(rule("^/old$", "/page.html", ("status", "301")))
    response = await site.ask("GET", "/old")
    assert (response.status, response.headers["Location"]) == (301, "/page.html")
    assert response.body == b"Redirecting to: /page.html"
    assert response.headers["Content-Type"].startswith("text/plain")
    assert await ask(site, "/page.html") == (200, None)


@pytest.mark.parametrize(
    ("source", "to", "path", "location"),
    [
        ("^/u/([a-z]+)/(.*)$", "/user/$2/of/$1", "/u/ann/notes", "/user/notes/of/ann"),
        ("^/(?P<name>[a-z]+)$", "/x?q=${name}", "/abc", "/x?q=abc"),
        ("^/(?<name>[a-z]+)$", "/x/$name", "/abc", "/x/abc"),
        ("^/a", "/b", "/a/rest", "/b/rest"),
        ("old", "new", "/my/old/page", "/my/new/page"),
        ("^/out/(.*)$", "https://other.example/$1?s=1", "/out/p", "https://other.example/p?s=1"),
        ("^/p$", "/$$1/$9", "/p", "/$1/"),
    ],
)  # fmt: skip
async def test_captures_and_targets(ruled, source, to, path, location):
    assert await ask(ruled(rule(source, to)), path) == (302, location)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/go/caf%C3%A9", "/caf%C3%A9"),
        ("/go/a%3Fb%23c", "/a%3Fb%23c"),
        ("/go//evil.example", "/evil.example"),
        ("/go/%2Fevil.example", "/evil.example"),
        ("/go/%5Cevil.example", "/%5Cevil.example"),
    ],
)
async def test_what_is_captured_stays_inside_the_path(ruled, path, location):
    site = ruled(rule("^/go/(.*)$", "/$1"))
    assert await ask(site, path) == (302, location)


async def test_only_a_rule_may_name_another_host(ruled):
    site = ruled(rule("^/([a-z]*)", "//$1"), rule("^x", "/"))
    assert await ask(site, "/other") == (302, "//other")
    site = ruled(rule("^/go(.*)$", "/$1"))
    assert await ask(site, "/go/evil.example") == (302, "/evil.example")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_every_status_that_redirects(ruled, status):
    site = ruled(rule("^/a$", "/b", ("status", str(status))))
    assert await ask(site, "/a") == (status, "/b")


@pytest.mark.parametrize("status", ["200", "304", "moved", ""])
async def test_an_unknown_status_is_302_or_the_default(ruled, status):
    rules = rule("^/a$", "/b", ("status", status))
    assert await ask(ruled(rules), "/a") == (302, "/b")
    assert await ask(ruled(rules, default_status_code=308), "/a") == (308, "/b")


async def test_the_query_is_dropped_unless_it_is_to_be_kept(ruled):
    rules = rule("^/a$", "/b"), rule("^/c$", "/d?x=1")
    assert await ask(ruled(*rules), "/a?q=1") == (302, "/b")
    site = ruled(*rules, keep_query=True)
    assert await ask(site, "/a?q=1") == (302, "/b?q=1")
    assert await ask(site, "/c?q=1") == (302, "/d?x=1&q=1")
    assert await ask(site, "/a") == (302, "/b")


async def test_the_first_rule_that_fits_wins(ruled):
    site = ruled(rule("^/a", "/first"), rule("^/a$", "/second"))
    assert await ask(site, "/a") == (302, "/first")


async def test_an_answer_of_a_listed_status_becomes_a_redirect(ruled):
    site = ruled(rule("^/doc/.*$", "/page.html", ("on", "403"), ("on", "404, 410")))
    response = await site.ask("GET", "/doc/missing")
    assert (response.status, response.headers["Location"]) == (302, "/page.html")
    assert response.body == b"Redirecting to: /page.html"
    assert await ask(site, "/missing") == (404, None)


async def test_a_refusal_can_lead_to_the_front_page(make_site, tmp_path):
    page = tmp_path / "redirects.html"
    page.write_text(rule("^/auth/.*$", "/", ("status", "302"), ("on", "403")))
    site = make_site(
        PluginConfig("redirect", {"rules_file": page}), PluginConfig("file-handler")
    )
    response = await site.ask("PUT", "/auth/x", b"", Origin="https://evil.example")
    assert (response.status, response.headers["Location"]) == (302, "/")


@pytest.mark.parametrize(
    ("condition", "proto", "status"),
    [
        ("https_only", "https", 302),
        ("https_only", "http", 404),
        ("https_only", "", 404),
        ("http_only", "https", 404),
        ("http_only", "", 302),
        ("https_only, http_only", "https", 404),
    ],
)
async def test_conditions_are_judged_by_the_forwarded_protocol(
    ruled, condition, proto, status
):
    site = ruled(rule("^/a$", "/b", ("conditions", condition)))
    fields = {"X_Forwarded_Proto": proto} if proto else {}
    assert (await ask(site, "/a", **fields))[0] == status


@pytest.mark.parametrize(
    "vocabulary",
    [
        "http://rustybeam.net/",
        "https://rustybeam.net/",
        "http://rustybeam.net/schema/",
        SCHEMA,
    ],
)
async def test_all_spellings_of_the_item_type(ruled, vocabulary):
    site = ruled(rule("^/a$", "/b", vocabulary=vocabulary))
    assert await ask(site, "/a") == (302, "/b")


async def test_no_redirect_happens_without_rules(make_site, ruled):
    for site in (make_site(PluginConfig("redirect")), ruled("<p>none yet")):
        for path in ("/old-page", "/api/v1/x"):
            assert await ask(site, path) == (404, None)


async def test_sample_rules_are_there_on_request(make_site):
    site = make_site(PluginConfig("redirect", {"sample_rules": True}))
    assert await ask(site, "/old-page") == (301, "/new-page")
    assert await ask(site, "/api/v1/users") == (302, "/api/v2/users")


async def test_rules_in_the_configuration_come_in_order_of_their_numbers(
    make_site, tmp_path
):
    page = tmp_path / "redirects.html"
    page.write_text(rule("^/a$", "/from-page") + rule("^/c$", "/d"))
    text = f"""
    <div itemscope itemtype="{SCHEMA}HostConfig">
    <i itemprop=hostname>localhost</i> <i itemprop=hostRoot>{tmp_path}</i>
    <p itemprop=plugin itemscope itemtype="{SCHEMA}RedirectPlugin">
    <i itemprop=redirect_rule_10_pattern>^/a</i>
    <i itemprop=redirect_rule_10_replacement>/tenth</i>
    <i itemprop=redirect-rule-2-pattern>^/a$</i>
    <i itemprop=redirect-rule-2-replacement>/second</i>
    <i itemprop=redirect_rule_2_status>307</i>
    <i itemprop=redirect_rule_2_condition>http_only</i>
    <i itemprop=config_file>file://redirects.html</i>
    </div>"""
    (host,) = read_html_config(text, str(tmp_path / "config.html")).hosts
    site = make_site(*host.plugins)
    assert await ask(site, "/a") == (307, "/second")
    assert await ask(site, "/ab") == (302, "/tenthb")
    assert await ask(site, "/c") == (302, "/d")


async def test_a_changed_page_counts_at_the_next_request(ruled, tmp_path):
    site = ruled(rule("^/a$", "/b"))
    (tmp_path / "redirects.html").write_text(rule("^/a$", "/c"))
    assert await ask(site, "/a") == (302, "/c")
    (tmp_path / "redirects.html").write_text("<p>no more rules")
    assert await ask(site, "/a") == (404, None)


async def test_a_page_that_became_wrong_leaves_the_rules_of_before(
    ruled, tmp_path, caplog
):
    site = ruled(rule("^/a$", "/b"))
    page = tmp_path / "redirects.html"
    page.write_text("<p>\n" + rule("^/(", "/c"))
    assert await ask(site, "/a") == (302, "/b")
    assert "redirects.html:2: " in caplog.text
    page.unlink()
    assert await ask(site, "/a") == (302, "/b")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (rule("^/(", "/b"), "redirects.html:1: .*unterminated"),
        (rule("^/(a+)+$", "/b"), "repeat inside a repeat"),
        (rule("", "/b"), "needs a pattern and a target"),
        (rule("^/a", "/b", ("on", "never")), "no status codes"),
        (rule("^/a", "/b", ("conditions", "ftp_only")), "ftp_only is neither"),
    ],
)
def test_a_mistake_in_the_page_shows_at_the_start(tmp_path, rules, message):
    page = tmp_path / "redirects.html"
    page.write_text(rules)
    with pytest.raises(ConfigError, match=message):
        load_plugin(PluginConfig("redirect", {"rules_file": page}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"default_status_code": 200}, "200 is none of"),
        ({"redirect_rule": {"1colour": "red"}}, "redirect_rule_1colour is no part"),
        ({"redirect_rule": {"1pattern": "^/a"}}, "a pattern and a target"),
    ],
)
def test_a_mistake_in_the_options_shows_at_the_start(options, message):
    with pytest.raises(ConfigError, match=message):
        load_plugin(PluginConfig("redirect", options))


def test_a_page_that_is_missing_shows_at_the_start(tmp_path):
    options = {"rules_file": tmp_path / "none.html"}
    with pytest.raises(ConfigError, match="cannot be read"):
        load_plugin(PluginConfig("redirect", options))


async def test_a_very_long_path_is_left_alone(ruled):
    site = ruled(rule("a$", "/b"))
    assert (await ask(site, "/" + "a" * (LONGEST_PATH - 1)))[0] == 302
    assert (await ask(site, "/" + "a" * LONGEST_PATH))[0] == 404


@pytest.mark.parametrize(
    ("pattern", "nested"),
    [
        (r"(a+)+", True),
        (r"((ab*)c){2,}", True),
        (r"(?:x|(\d*))*", True),
        (r"(a+)?b+", False),
        (r"(ab)+c*", False),
        (r"[(+]+(a)*", False),
        (r"\(a+\)+", False),
        (r"[]*)(]*", False),
        (r"a++", False),
    ],
)
def test_repeats_inside_repeats_are_found(pattern, nested):
    assert has_nested_repeats(pattern) is nested
