"""Which paths are inside, and that plugins inside see those and no others."""

from dataclasses import dataclass

import pytest

from beamfast.errors import ConfigError
from beamfast.http import Response
from beamfast.pipeline import Plugin
from beamfast.plugins.directory import Directory, Options
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin


@dataclass(frozen=True)
class MarkOptions:
    text: str = ""
    answers: bool = False
    waits: bool = False
    fails: bool = False


class Mark(Plugin[MarkOptions]):
    """Writes its text on each answer that it sees."""

    name = "mark"

    def handle_request(self, request, context):
        if self.options.fails:
            raise RuntimeError("no")
        answer = Response(403, self.options.text) if self.options.answers else None
        return wait(answer) if self.options.waits else answer

    def handle_response(self, request, response, context):
        response.headers.add("X-Mark", self.options.text)
        return wait(None) if self.options.waits else None


async def wait(answer):
    return answer


def mark(text: str, **options) -> PluginConfig:
    return PluginConfig(f"python:{__name__}:Mark", {"text": text, **options})


def directory(path: str, *nested: PluginConfig) -> PluginConfig:
    return PluginConfig("directory", {"directory": path}, nested)


async def ask(site, path: str):
    response = await site.ask("GET", path)
    return response.status, response.headers.get_all("X-Mark")


@pytest.mark.parametrize(
    ("configured", "path", "inside"),
    [
        ("/admin", "/admin", True),
        ("/admin", "/admin/", True),
        ("/admin", "/admin/x/y.html", True),
        ("/admin/", "/admin", True),
        ("/admin//", "/admin/x", True),
        ("admin", "/admin/x", True),
        ("/admin", "/administrator", False),
        ("/admin", "/Admin", False),
        ("/admin", "/x/admin", False),
        ("/admin", "/", False),
        ("/a/b", "/a/b/c", True),
        ("/a/b", "/a", False),
        ("/", "/", True),
        ("/", "/anything/at.all", True),
        ("", "/x", True),
        ("file:///srv/site/admin", "/admin/x", True),
        ("file://./site/admin/", "/admin/x", True),
        ("file:///srv/site/admin", "/srv/site/admin", False),
    ],
)
def test_which_paths_are_inside(configured, path, inside):
    assert Directory(Options(configured)).covers(path) is inside


async def test_plugins_inside_take_part_in_both_phases_there_only(make_site):
    site = make_site(
        mark("before"),
        directory("/private", mark("inside", answers=True), mark("beside")),
        mark("behind"),
        PluginConfig("file-handler"),
    )
    assert await ask(site, "/notes.txt") == (200, ["before", "behind"])
    all_marks = ["before", "inside", "beside", "behind"]
    assert await ask(site, "/private/x") == (403, all_marks)


async def test_what_nobody_inside_answers_goes_on_outside(make_site, root):
    (root / "open").mkdir()
    (root / "open" / "a.txt").write_bytes(b"a")
    site = make_site(directory("/open", mark("in")), PluginConfig("file-handler"))
    assert await ask(site, "/open/a.txt") == (200, ["in"])


async def test_plugins_inside_may_wait(make_site):
    site = make_site(
        directory("/a", mark("1", waits=True), mark("2", waits=True, answers=True)),
        mark("3"),
    )
    assert await ask(site, "/a") == (403, ["1", "2", "3"])


async def test_directories_nest(make_site):
    inner = directory("/a/b", mark("inner", answers=True))
    site = make_site(directory("/a", mark("outer"), inner))
    assert await ask(site, "/a/b/c") == (403, ["outer", "inner"])
    assert await ask(site, "/a/c") == (404, ["outer"])


@pytest.mark.parametrize("path", ["//private/x", "/./private/x", "/%70rivate/x"])
async def test_no_spelling_of_the_path_gets_around(make_site, path):
    site = make_site(
        directory("/private", mark("in", answers=True)), PluginConfig("file-handler")
    )
    assert await ask(site, path) == (403, ["in"])


async def test_a_failure_inside_is_answered_with_500(make_site, caplog):
    site = make_site(directory("/a", mark("in", fails=True)), mark("out"))
    assert await ask(site, "/a") == (500, ["in", "out"])
    assert await ask(site, "/b") == (404, ["out"])


async def test_plugins_inside_are_started_and_stopped_with_the_host(
    make_site, tmp_path
):
    log = tmp_path / "access.log"
    inside = PluginConfig("access-log", {"log_file": str(log), "buffer_size": 9})
    site = make_site(directory("/a", inside))
    await site.ask("GET", "/a/x")
    await site.ask("GET", "/b/x")
    assert log.read_text() == ""
    await site.host.stop()
    assert log.read_text().count("\n") == 1


def test_other_plugins_take_no_plugins_inside():
    config = PluginConfig("file-handler", nested=(PluginConfig("access-log"),))
    with pytest.raises(ConfigError, match="file-handler takes no plugins inside it"):
        load_plugin(config)


def test_a_mistake_inside_shows_at_the_start():
    with pytest.raises(ConfigError, match="no plugin named fiel-handler"):
        load_plugin(directory("/a", PluginConfig("fiel-handler")))
