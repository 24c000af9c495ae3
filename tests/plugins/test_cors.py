"""Preflights, the marks on answers, credentials, and what caches are told."""

import logging

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin

ORIGIN = "https://reader.example"


@pytest.fixture
def shared(make_site):
    """Make a site with these options."""
    return lambda **options: make_site(
        PluginConfig("cors", options),
        PluginConfig("selector-handler"),
        PluginConfig("file-handler"),
    )


def marks(response) -> dict[str, str]:
    return {
        name.removeprefix("Access-Control-"): value
        for name, value in response.headers
        if name.startswith("Access-Control-")
    }


def preflight(site, origin=ORIGIN, method="PUT"):
    return site.ask(
        "OPTIONS", "/page.html", Origin=origin, Access_Control_Request_Method=method
    )


@pytest.mark.parametrize(
    ("path", "selector", "status"),
    [
        ("/page.html", None, 200),
        ("/page.html", "h1", 206),
        ("/missing", None, 404),
        ("/notes.txt", "h1", 416),
    ],
)
async def test_every_answer_may_be_read_from_anywhere(shared, path, selector, status):
    response = await shared().ask("GET", path, selector=selector, Origin=ORIGIN)
    assert response.status == status
    assert marks(response) == {
        "Allow-Origin": "*",
        "Expose-Headers": "Content-Range, Accept-Ranges, Allow, ETag",
    }
    assert "Vary" not in response.headers


async def test_a_request_without_origin_gets_no_header(shared):
    assert marks(await shared().ask("GET", "/page.html")) == {}


async def test_with_credentials_the_origin_is_echoed(shared):
    response = await shared(allow_credentials=True, exposed_headers=()).ask(
        "GET", "/page.html", Origin=ORIGIN
    )
    assert marks(response) == {"Allow-Origin": ORIGIN, "Allow-Credentials": "true"}
    assert response.headers["Vary"] == "Origin"


async def test_caches_are_told_even_when_nobody_asks_from_elsewhere(shared):
    response = await shared(allowed_origins=(ORIGIN,)).ask("GET", "/page.html")
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (ORIGIN, ORIGIN),
        ("https://other.example", None),
        ("https://reader.example.evil.example", None),
        ("http://reader.example", None),
        ("null", None),
    ],
)
async def test_only_listed_origins_are_allowed(shared, origin, allowed):
    site = shared(allowed_origins=(ORIGIN, "https://second.example"))
    response = await site.ask("GET", "/page.html", Origin=origin)
    assert marks(response).get("Allow-Origin") == allowed
    assert response.status == 200


async def test_a_preflight_lists_methods_and_headers(shared):
    response = await preflight(shared(max_age=3600))
    assert response.status == 204
    assert marks(response) == {
        "Allow-Origin": "*",
        "Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
        "Allow-Headers": "Content-Type, Authorization, X-Requested-With, Range",
        "Max-Age": "3600",
    }


async def test_a_preflight_with_credentials_says_so(shared):
    found = marks(await preflight(shared(allow_credentials=True)))
    assert found["Allow-Origin"] == ORIGIN
    assert found["Allow-Credentials"] == "true"


async def test_a_preflight_from_an_origin_not_listed_gets_no_headers(shared):
    response = await preflight(shared(allowed_origins=("https://a.example",)))
    assert response.status == 204
    assert marks(response) == {}


async def test_the_status_of_a_preflight_can_be_chosen(shared):
    response = await preflight(shared(preflight_status=200))
    assert response.status == 200
    assert response.headers["Allow"] == "GET, POST, PUT, DELETE, OPTIONS"


async def test_options_without_the_question_is_no_preflight(shared):
    response = await shared().ask("OPTIONS", "/page.html", Origin=ORIGIN)
    assert response.status == 200
    assert "HEAD" in response.headers["Allow"]
    assert marks(response) == {"Allow-Origin": "*"}


async def test_writes_from_elsewhere_stay_refused(shared):
    site = shared()
    response = await site.ask("PUT", "/page.html", b"x", Origin=ORIGIN)
    assert response.status == 403
    assert marks(response)["Allow-Origin"] == "*"


async def test_trusting_every_site_with_credentials_is_warned_of(shared, caplog):
    with caplog.at_level(logging.WARNING, "beamfast.cors"):
        shared(allow_credentials=True, allowed_origins=(ORIGIN,))
        assert not caplog.records
        shared(allow_credentials=True)
    assert len(caplog.records) == 1


def test_a_preflight_status_that_browsers_refuse_is_a_mistake():
    with pytest.raises(ConfigError, match="304 is not 2xx"):
        load_plugin(PluginConfig("cors", {"preflight_status": 304}))
