"""PATCH on the configuration; tests/e2e/test_reload.py has the real one."""

import pytest

from beamfast.http import Response
from beamfast.plugins.config_reload import ConfigReload
from beamfast.server.config import PluginConfig

RULES = """
<table><tr itemscope itemtype="https://rustybeam.net/schema/AuthorizationRule">
<td itemprop="username">*</td><td itemprop="path">/*</td>
<td itemprop="method">*</td><td itemprop="action">allow</td></tr></table>
"""


@pytest.fixture
def ask(make_site, tmp_path):
    """Ask a site whose configuration lies in its root."""
    rules = tmp_path / "rules.html"
    rules.write_text(RULES)
    asked: list[int] = []

    async def ask(method, path="/config.html", body=b"", *, problems=(), guarded=True):
        guard = PluginConfig("authorization", {"authfile": str(rules)})
        own = [PluginConfig("config-reload"), PluginConfig("file-handler")]
        site = make_site(*([guard] if guarded else []), *own)
        file = site.root / "config.html"
        file.write_text("<p>config</p>")

        async def reload():
            asked.append(1)
            return problems

        site.host.status.config_file = file
        site.host.status.reload = reload
        response: Response = await site.ask(method, path, body)
        return response, len(asked)

    return ask


async def test_line_155_patch_on_the_configuration_reloads(ask):
    response, asked = await ask("PATCH")
    assert (response.status, response.body) == (202, b"Configuration reload initiated")
    assert asked == 1


async def test_line_155_patch_elsewhere_is_not_allowed(ask):
    for path in ("/other.html", "/config.html/x"):
        response, asked = await ask("PATCH", path)
        assert (response.status, asked) == (405, 0)


async def test_line_156_mistakes_are_422_and_named(ask):
    response, _ = await ask("PATCH", problems=["config.html:1: a", "config.html:2: b"])
    assert response.status == 422
    assert response.body == b"config.html:1: a\nconfig.html:2: b"


async def test_patch_with_a_body_goes_on(ask):
    response, asked = await ask("PATCH", body=b"x")
    assert (response.status, asked) == (405, 0)


async def test_without_authorization_in_front_nobody_reloads(ask):
    response, asked = await ask("PATCH", guarded=False)
    assert (response.status, asked) == (403, 0)
    assert b"authorization" in response.body


async def test_options_say_that_patch_is_allowed(ask):
    response, _ = await ask("OPTIONS", guarded=False)
    assert response.headers["allow"] == "GET, PUT, DELETE, OPTIONS, PATCH, HEAD, POST"
    response, _ = await ask("OPTIONS", "/other.html", guarded=False)
    assert "PATCH" not in response.headers["allow"]


async def test_other_methods_go_on(ask):
    response, asked = await ask("GET")
    assert (response.status, response.body, asked) == (200, b"<p>config</p>", 0)


def test_it_is_known_by_its_name():
    assert ConfigReload.name == "config-reload"
