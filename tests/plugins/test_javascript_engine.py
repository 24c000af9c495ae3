"""Scripts answer where they are; one contract for JavaScript and Python."""

import importlib.util

import pytest

from beamfast.errors import ConfigError
from beamfast.plugins.javascript_engine import ScriptFailed, as_response
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin

PYTHON = """
async def handle(request):
    if request["path"].endswith("/nothing"):
        return None
    if request["path"].endswith("/throw"):
        raise ValueError("no such thing")
    body = f"{request['method']} {request['path']} {request['body']}"
    return {"status": 201, "headers": {"X-Agent": request["headers"]["x-agent"]},
            "body": body}
"""
JAVASCRIPT = """
export default async (request) => {
  if (request.path.endsWith("/nothing")) return null;
  if (request.path.endsWith("/throw")) throw new Error("no such thing");
  return {
    status: 201, headers: {"X-Agent": request.headers["x-agent"]},
    body: `${request.method} ${request.path} ${request.body ?? "None"}`,
  };
}
"""


@pytest.fixture
def scripts(tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()
    return folder


@pytest.fixture
def script_site(make_site, scripts):
    def make(**options):
        options = {"javascript_engine_scripts_dir": scripts} | options
        return make_site(
            PluginConfig("javascript-engine", options), PluginConfig("file-handler")
        )

    return make


@pytest.fixture(params=["py", "mjs"])
def language(request, scripts):
    """Both languages, with a script that answers below ``/api``."""
    source = PYTHON if request.param == "py" else JAVASCRIPT
    (scripts / f"api.{request.param}").write_text(source)
    return request.param


def routed(language):
    return {"javascript_engine_route": {"api_*": f"api.{language}", "v1_x": "none"}}


async def test_a_script_gets_the_request_and_gives_the_answer(script_site, language):
    site = script_site(**routed(language))
    response = await site.ask(
        "POST", "/api/a%20b?x=1", b"caf\xc3\xa9", X_Agent="me", Content_Length="5"
    )
    assert response.status == 201
    assert response.headers["X-Agent"] == "me"
    assert response.body == "POST /api/a b café".encode()
    response = await site.ask("GET", "/api/x", X_Agent="me")
    assert response.body == b"GET /api/x None"


async def test_nothing_leaves_the_request_to_the_next_plugin(script_site, language):
    site = script_site(**routed(language))
    (site.root / "api").mkdir()
    (site.root / "api" / "nothing").write_text("a file")
    assert (await site.ask("GET", "/api/nothing")).body == b"a file"


async def test_an_exception_is_500_with_its_text(script_site, language):
    site = script_site(**routed(language))
    response = await site.ask("GET", "/api/throw")
    assert response.status == 500
    kind = b"Python" if language == "py" else b"JavaScript"
    assert response.body.startswith(kind + b" error: ")
    assert b"no such thing" in response.body


async def test_a_script_answers_for_the_path_it_has(script_site, scripts):
    hello = "def handle(request): return {'body': 'hello ' + request['path']}"
    (scripts / "index.py").write_text(hello)
    (scripts / "deep").mkdir()
    (scripts / "deep" / "one.py").write_text(hello)
    site = script_site()
    assert (await site.ask("GET", "/")).body == b"hello /"
    assert (await site.ask("GET", "/deep/one")).body == b"hello /deep/one"
    assert (await site.ask("GET", "/deep/two")).status == 404
    assert (await site.ask("GET", "/page.html")).status == 200


async def test_the_longest_route_wins_and_an_exact_one_before_all(script_site, scripts):
    for name in "abc":
        (scripts / f"{name}.py").write_text(
            f"def handle(r): return {{'body': '{name}'}}"
        )
    routes = {"x_*": "a.py", "x_y_*": "b.py", "x_y_z": "c.py"}
    site = script_site(javascript_engine_route=routes)
    paths = {"/x/1": b"a", "/x/y/1": b"b", "/x/y/z": b"c"}
    for path, body in paths.items():
        assert (await site.ask("GET", path)).body == body


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/.hidden", "/link"])
async def test_no_script_outside_of_the_folder_runs(script_site, scripts, path):
    (scripts.parent / "secret.py").write_text("def handle(r): return {'body': 'ran'}")
    (scripts / ".hidden.py").write_text("def handle(r): return {'body': 'ran'}")
    (scripts / "link.py").symlink_to(scripts.parent / "secret.py")
    assert (await script_site().ask("GET", path)).body != b"ran"


async def test_a_changed_script_counts_at_once(script_site, language, scripts):
    site = script_site(**routed(language))
    await site.ask("GET", "/api/x", X_Agent="me")
    file = scripts / f"api.{language}"
    file.write_text(file.read_text().replace("201", "203"))
    assert (await site.ask("GET", "/api/x", X_Agent="me")).status == 203


@pytest.mark.parametrize(
    "source",
    [
        "async def handle(r):\n import asyncio\n await asyncio.sleep(60)",
        "STOP = __import__('threading').Event()\ndef handle(r):\n STOP.wait(1)",
    ],
    ids=["async", "plain"],
)
async def test_python_that_takes_too_long_is_given_up(script_site, scripts, source):
    (scripts / "slow.py").write_text(source)
    response = await script_site(time_limit=0.05).ask("GET", "/slow")
    assert (response.status, response.body) == (500, b"Python error: it took too long")


async def test_a_body_over_the_limit_is_413(script_site, language):
    site = script_site(**routed(language), body_limit=3)
    assert (await site.ask("POST", "/api/x", b"four")).status == 413


async def test_a_script_that_cannot_be_loaded_is_500(script_site, scripts):
    (scripts / "broken.py").write_text("def (")
    (scripts / "empty.py").write_text("")
    site = script_site()
    assert (await site.ask("GET", "/broken")).body.startswith(b"Python error: invalid")
    assert b"handle" in (await site.ask("GET", "/empty")).body


async def test_nothing_runs_when_it_is_switched_off_or_only_asked(script_site, scripts):
    (scripts / "x.py").write_text("def handle(r): return {'body': 'ran'}")
    off = script_site(javascript_engine_enabled=False)
    assert (await off.ask("GET", "/x")).status == 404
    site = script_site()
    request = site.request("GET", "/x", b"")
    request.probe = True
    plugin = site.host.pipeline.plugins[0]
    assert plugin.handle_request(request, site.host.pipeline.context) is None


def test_javascript_without_its_engine_does_not_start(scripts, monkeypatch):
    (scripts / "x.mjs").write_text(JAVASCRIPT)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    config = PluginConfig(
        "javascript-engine", {"javascript_engine_scripts_dir": scripts}
    )
    with pytest.raises(ConfigError, match=r"beamfast\[js\]"):
        load_plugin(config)


def test_an_answer_has_defaults_and_its_length_is_counted_here():
    response = as_response({"body": "x", "headers": {"Content-Length": 99}})
    assert (response.status, response.body) == (200, b"x")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize(
    "answer", ["text", {"status": 101}, {"status": "200"}, {"body": {"a": 1}}, [1]]
)
def test_what_is_no_answer_is_refused(answer):
    with pytest.raises(ScriptFailed):
        as_response(answer)


def test_a_field_that_would_end_the_line_is_refused():
    with pytest.raises(ValueError, match="line end"):
        as_response({"headers": {"X": "a\r\nSet-Cookie: b"}})
