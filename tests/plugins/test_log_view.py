"""Log files in the browser: who may look, and what is shown."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from beamfast.errors import ConfigError
from beamfast.pubsub.tail import OpenFile
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin, load_plugins

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec_WebSocket_Version": "13",
}


class Logs:
    """A site with a log view, and the file that it shows."""

    def __init__(self, make_site, make_viewer, log: Path, **options) -> None:
        self.log = log
        self._make_viewer = make_viewer
        given = {"urls": ("/logs",), "file": {"app": str(log)}, "refresh_ms": 1}
        self.site = make_site(
            PluginConfig("log-view", {**given, "public": True, **options}),
            PluginConfig("file-handler"),
        )

    def append(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)

    async def watch(self, query="", **fields):
        """Open the stream, and return what received it."""
        answer = await self.site.ask("GET", f"/logs/events{query}", **ACCEPT, **fields)
        assert answer.status == 200
        viewer = self._make_viewer(self.site)
        answer.stream.on_open(viewer)
        return viewer


ACCEPT = {"Accept": "text/event-stream"}


@pytest.fixture
def log(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("one\ntwo\nthree\n")
    return log


@pytest.fixture
def make_logs(make_site, make_viewer, log):
    return lambda **options: Logs(make_site, make_viewer, log, **options)


async def seen(viewer, count: int) -> list[str]:
    """Return the lines that came, once there are ``count`` of them."""
    while len(lines := await viewer.lines()) < count:
        await asyncio.sleep(0.001)
    return [line.split(" item ")[-1] for line in lines]


async def test_171_appended_lines_arrive_and_only_whole_ones(make_logs):
    logs = make_logs(tail_lines=0)
    viewer = await logs.watch()
    logs.append("four\nfive\nsi")
    assert await seen(viewer, 2) == ["four", "five"]
    logs.append("x\n")
    assert await seen(viewer, 3) == ["four", "five", "six"]


async def test_a_viewer_begins_with_the_last_lines(make_logs):
    logs = make_logs(tail_lines=2)
    viewer = await logs.watch()
    assert await seen(viewer, 2) == ["two", "three"]
    logs.append("four\n")
    assert await seen(viewer, 3) == ["two", "three", "four"]


async def test_172_truncation_and_renaming_lose_no_line_written_after_it(make_logs):
    logs = make_logs(tail_lines=0)
    viewer = await logs.watch()
    logs.append("four\n")
    await seen(viewer, 1)
    logs.log.write_text("five\n")
    await seen(viewer, 2)
    logs.log.rename(logs.log.with_suffix(".1"))
    logs.append("six\n")
    assert await seen(viewer, 3) == ["four", "five", "six"]


async def test_173_a_file_that_is_missing_at_the_start_appears_later(make_logs):
    logs = make_logs()
    logs.log.unlink()
    viewer = await logs.watch()
    logs.append("at last\n")
    assert await seen(viewer, 1) == ["at last"]


async def test_175_without_an_authorization_rule_it_does_not_start_unless_public(log):
    options = {"urls": ("/logs",), "file": {"app": str(log)}}
    bare = PluginConfig("log-view", options)
    with pytest.raises(ConfigError, match="anybody could read the logs"):
        load_plugins([bare])
    with pytest.raises(ConfigError, match="anybody could read the logs"):
        load_plugins([bare, PluginConfig("authorization")])
    with pytest.raises(ConfigError, match="anybody could read the logs"):
        load_plugins([PluginConfig("directory", nested=(bare,))])
    load_plugins([PluginConfig("log-view", {**options, "public": True})])
    load_plugins([PluginConfig("log-view")])
    guard = PluginConfig("authorization")
    load_plugins([guard, bare])
    load_plugins([guard, PluginConfig("directory", nested=(bare,))])


async def test_nobody_without_a_name_reads_logs_that_are_not_public(make_logs):
    logs = make_logs(public=True)
    (plugin,) = (
        one for one in logs.site.host.pipeline.plugins if one.name == "log-view"
    )
    private = type(plugin)(plugin.options_type(urls=("/logs",), file={"app": "x"}))
    request = logs.site.request("GET", "/logs", b"")
    refused = private.handle_request(request, logs.site.host.pipeline.context)
    assert refused.status == 403
    request.user = "anna"
    shown = private.handle_request(request, logs.site.host.pipeline.context)
    assert shown.status == 200


async def test_a_filter_and_severities_choose_lines(make_logs):
    logs = make_logs(tail_lines=0)
    words = await logs.watch("?filter=Data%20Base")
    bad = await logs.watch("?severity=error,critical")
    logs.append(
        "12:00 [error] no data base\n12:01 INFO: data base is back\n"
        "12:02 [crit] disk full\n  at line 7\n12:03 Warning: x\n"
    )
    assert await seen(words, 2) == [
        "12:00 [error] no data base",
        "12:01 INFO: data base is back",
    ]
    assert await seen(bad, 3) == [
        "12:00 [error] no data base",
        "12:02 [crit] disk full",
        "  at line 7",
    ]


EVERY_LINE = ["GET /a 200", "GET /b 404", "get /health 200", "POST /a 500 - x"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("GET", ["GET /a 200", "GET /b 404", "get /health 200"]),
        ("GET -health", ["GET /a 200", "GET /b 404"]),
        ("-/health -404", ["GET /a 200", "POST /a 500 - x"]),
        ('"/a 5"', ["POST /a 500 - x"]),
        ('post -"a 2"', ["POST /a 500 - x"]),
        (" -  ", ["POST /a 500 - x"]),
        *((text, EVERY_LINE) for text in ("", '"', '-"', '""', "   ")),
    ],
)
async def test_a_filter_takes_words_and_leaves_lines_out(make_logs, query, wanted):
    logs = make_logs(tail_lines=0)
    viewer = await logs.watch(f"?filter={quote(query)}")
    logs.append("".join(f"{line}\n" for line in EVERY_LINE))
    assert await seen(viewer, len(wanted)) == wanted


async def test_what_no_viewer_wants_costs_it_nothing(make_logs):
    logs = make_logs(tail_lines=0)
    picky, other = await logs.watch("?filter=nothing"), await logs.watch()
    logs.append("four\n")
    await seen(other, 1)
    assert await picky.lines() == []


async def test_viewers_of_the_same_lines_share_their_bytes(make_logs):
    logs = make_logs(tail_lines=0)
    viewers = [await logs.watch("?filter=o") for _ in range(5)]
    before = logs.site.hub.registry.counters.encodes
    logs.append("four\n")
    for viewer in viewers:
        await seen(viewer, 1)
    assert logs.site.hub.registry.counters.encodes == before + 1


async def test_a_viewer_that_comes_back_gets_what_it_missed(make_logs):
    logs = make_logs(tail_lines=1)
    first = await logs.watch()
    await seen(first, 1)
    position = (await first.lines())[-1].split(" ")[0]
    logs.append("four\nfive\n")
    await seen(first, 3)
    back = await logs.watch(Last_Event_ID=position)
    assert await seen(back, 2) == ["four", "five"]
    lost = await logs.watch(Last_Event_ID="1:1")
    assert await seen(lost, 1) == ["five"]


async def test_the_file_is_closed_when_nobody_looks(make_logs, monkeypatch):
    closed = []

    def note(file):
        closed.append(file)

    monkeypatch.setattr(OpenFile, "close", note)
    logs = make_logs()
    viewer, other = await logs.watch(), await logs.watch()
    viewer.connection_lost(None)
    viewer.on_close(viewer)
    assert closed == []
    other.connection_lost(None)
    other.on_close(other)
    (file,) = closed
    monkeypatch.undo()
    file.close()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?log=other", 404),
        ("?log=../../etc/passwd", 404),
        ("?severity=loud", 400),
        ("?filter=" + "x" * 201, 400),
    ],
)
async def test_what_there_is_not_is_refused(make_logs, query, status):
    site = make_logs().site
    answer = await site.ask("GET", "/logs/events" + query, **ACCEPT)
    assert answer.status == status


async def test_pages_of_other_origins_may_not_look(make_logs):
    site = make_logs().site
    foreign = {"Origin": "http://evil.example"}
    for path, fields in (("/logs/events", ACCEPT), ("/logs/connect", HANDSHAKE)):
        assert (await site.ask("GET", path, **fields, **foreign)).status == 403


async def test_the_page_names_the_logs(make_logs):
    answer = await make_logs(file={"app": "a", "error": "b"}).site.ask("GET", "/logs")
    assert b'data-logs="app error"' in answer.body
    script = await make_logs().site.ask("GET", "/logs/page.js")
    assert b"innerHTML" not in script.body
    assert b"textContent" in script.body


async def test_other_paths_are_left_to_the_next_plugin(make_logs):
    assert (await make_logs().site.ask("GET", "/page.html")).status == 200


@pytest.mark.parametrize(
    "options",
    [
        {"urls": ("/logs",)},
        {"urls": ("logs",), "file": {"a": "b"}},
        {"refresh_ms": 0},
        {"max_batch": 0},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(ConfigError):
        load_plugin(PluginConfig("log-view", options))


async def test_without_urls_there_is_a_notice_in_the_log(make_site, caplog):
    make_site(PluginConfig("log-view"))
    assert "nothing is shown" in caplog.text
