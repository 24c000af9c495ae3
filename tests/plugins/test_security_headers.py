"""The headers on every kind of answer, HSTS, and how each is left out."""

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import PluginConfig
from beamfast.server.html_config import read_html_config
from beamfast.server.plugin_types import load_plugin

DEFAULTS = {
    "Content-Security-Policy": "default-src 'self'; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-XSS-Protection": "1; mode=block",
}
HSTS = "Strict-Transport-Security"


@pytest.fixture
def secured(make_site):
    """Make a site with these options."""
    return lambda **options: make_site(
        PluginConfig("file-handler"), PluginConfig("security-headers", options)
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [("/page.html", 200), ("/notes.txt", 200), ("/data.json", 200), ("/none", 404)],
)
async def test_defaults_are_on_html_json_text_and_errors(secured, root, path, status):
    (root / "data.json").write_bytes(b"{}")
    response = await secured().ask("GET", path)
    assert response.status == status
    assert {name: response.headers.get(name) for name in DEFAULTS} == DEFAULTS
    assert "Permissions-Policy" not in response.headers
    assert HSTS not in response.headers


async def test_hsts_comes_with_forwarded_https_only(secured):
    site = secured()
    for proto, expected in [
        ("https", "max-age=31536000; includeSubDomains"),
        ("http", None),
    ]:
        response = await site.ask("GET", "/page.html", X_Forwarded_Proto=proto)
        assert response.headers.get(HSTS) == expected


async def test_hsts_comes_over_tls_of_our_own(secured):
    site = secured(hsts_max_age=60, hsts_include_subdomains=False, hsts_preload=True)
    request = site.request("GET", "/notes.txt", b"")
    request.is_secure = True
    response = site.hosts.handle(request)
    assert response.headers[HSTS] == "max-age=60; preload"


async def test_a_max_age_of_zero_leaves_hsts_out(secured):
    site = secured(hsts_max_age=0)
    response = await site.ask("GET", "/page.html", X_Forwarded_Proto="https")
    assert HSTS not in response.headers


@pytest.mark.parametrize(
    ("option", "header"),
    [
        ("csp_policy", "Content-Security-Policy"),
        ("frame_options", "X-Frame-Options"),
        ("content_type_options", "X-Content-Type-Options"),
        ("referrer_policy", "Referrer-Policy"),
        ("xss_protection", "X-XSS-Protection"),
    ],
)
async def test_an_empty_value_leaves_one_header_out(secured, option, header):
    value = False if option == "content_type_options" else ""
    response = await secured(**{option: value}).ask("GET", "/page.html")
    assert {name for name in DEFAULTS if name not in response.headers} == {header}


async def test_a_value_replaces_the_default(secured):
    site = secured(frame_options="DENY", permissions_policy="camera=()")
    headers = (await site.ask("GET", "/page.html")).headers
    assert headers.get_all("X-Frame-Options") == ["DENY"]
    assert headers["Permissions-Policy"] == "camera=()"


async def test_the_server_header_of_the_host_stays(secured):
    assert "Server" not in (await secured().ask("GET", "/page.html")).headers


def test_a_value_that_would_end_the_line_is_a_mistake():
    config = PluginConfig("security-headers", {"frame_options": "DENY\r\nX: y"})
    with pytest.raises(ConfigError, match="line end"):
        load_plugin(config)


def test_the_long_spellings_of_configurations_are_known(tmp_path):
    text = f"""
    <div itemscope itemtype="https://rustybeam.net/schema/HostConfig">
    <i itemprop=hostname>localhost</i> <i itemprop=hostRoot>{tmp_path}</i>
    <p itemprop=plugin itemscope
       itemtype="https://rustybeam.net/schema/SecurityHeadersPlugin">
    <i itemprop=x-frame-options>DENY</i> <i itemprop=x_content_type_options>no</i></p>
    </div>"""
    (host,) = read_html_config(text, "config.html").hosts
    options = {"frame_options": "DENY", "content_type_options": False}
    assert host.plugins == (PluginConfig("security-headers", options),)
