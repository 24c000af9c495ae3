"""Hosts that take the place of others while requests and streams go on."""

import asyncio
import contextlib
import sqlite3
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from beamfast.connection.service import Service
from beamfast.errors import ConfigError
from beamfast.http import Headers, Request, Response
from beamfast.pipeline import Plugin
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server import host as host_module
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig
from beamfast.server.hosting import Hosting


@dataclass(frozen=True)
class Options:
    word: str = ""
    fails: bool = False


class Probe(Plugin[Options]):
    """Says who it is; remembers what happened to all of them."""

    name = "probe"
    holds_plugins = True
    notes: ClassVar[list[str]] = []

    def start(self, context):
        if self.options.fails:
            raise ValueError("cannot start")
        self.notes.append(f"start {self.options.word}")

    def stop(self):
        self.notes.append(f"stop {self.options.word}")

    def reload(self, previous):
        self.notes.append(f"{self.options.word} after {previous.options.word}")

    async def handle_request(self, request, context):
        while request.path == "/wait" and "go" not in self.notes:
            await asyncio.sleep(0)
        return Response(200, self.options.word)


@pytest.fixture(autouse=True)
def notes(monkeypatch):
    monkeypatch.setattr(Probe, "notes", [])

    def load(config):
        plugin = Probe(Options(**config.options))
        plugin.nested = tuple(map(load, config.nested))
        return plugin

    monkeypatch.setattr(
        host_module, "load_plugins", lambda plugins: tuple(map(load, plugins))
    )
    return Probe.notes


def probe(word: str, *nested: PluginConfig, **more) -> PluginConfig:
    return PluginConfig("probe", {"word": word, **more}, nested)


@pytest.fixture
async def hosting(tmp_path):
    loop = asyncio.get_running_loop()
    config = ServerConfig((HostConfig(tmp_path, ("a",), (probe("one"),)),))
    made = Hosting(config, Hub(loop), loop, shared=None, run_state=RunState())
    service = Service(made.application, loop, Hub(loop).registry)

    async def nothing():
        return ()

    made.start(service, nothing)
    made.service = service
    yield made
    await made.stop()
    service.heartbeat.close()


def other(hosting, *plugins: PluginConfig, **host) -> ServerConfig:
    first = replace(hosting.config.hosts[0], plugins=plugins, **host)
    return replace(hosting.config, hosts=(first,))


async def ask(hosting, path="/", name="a") -> Response:
    headers = Headers([("Host", name)])
    request = Request("GET", path, url=path, path=path, headers=headers)
    answer = hosting.service.application(request)
    return answer if isinstance(answer, Response) else await answer


async def test_the_next_request_meets_the_new_hosts(hosting, notes):
    hosting.replace(hosting.prepare(other(hosting, probe("two"), names=("a", "b"))))
    assert (await ask(hosting, name="b")).body == b"two"
    await asyncio.sleep(0)
    assert notes == ["start one", "two after one", "start two", "stop one"]


async def test_line_12_a_request_in_work_finishes_in_the_old_pipeline(hosting, notes):
    waiting = asyncio.create_task(ask(hosting, "/wait"))
    await asyncio.sleep(0)
    hosting.replace(hosting.prepare(other(hosting, probe("two"))))
    assert (await ask(hosting)).body == b"two"
    assert "stop one" not in notes
    notes.append("go")
    assert (await waiting).body == b"one"
    while "stop one" not in notes:
        await asyncio.sleep(0)


async def test_documents_and_their_followers_stay(hosting):
    (before,) = hosting.hosts
    hosting.replace(hosting.prepare(other(hosting, probe("two"))))
    (after,) = hosting.hosts
    assert after is not before
    assert after.committer is before.committer


async def test_predecessors_are_found_at_every_depth(hosting, notes):
    hosting.replace(hosting.prepare(other(hosting, probe("x", probe("y")), probe("z"))))
    notes.clear()
    hosting.prepare(other(hosting, probe("X", probe("Y")), probe("Z"), probe("new")))
    assert notes[:3] == ["X after x", "Y after y", "Z after z"]


async def test_what_cannot_start_changes_nothing(hosting, notes):
    bad = other(hosting, probe("two"), probe("three", fails=True))
    with pytest.raises(ConfigError, match="cannot start"):
        hosting.prepare(bad)
    assert (await ask(hosting)).body == b"one"
    assert notes == ["start one", "two after one", "start two", "stop two"]


async def test_what_was_prepared_can_be_abandoned(hosting, notes):
    hosting.abandon(hosting.prepare(other(hosting, probe("two"))))
    assert (await ask(hosting)).body == b"one"
    while "stop two" not in notes:
        await asyncio.sleep(0)


async def test_a_certificate_that_cannot_be_used_changes_nothing(hosting, tmp_path):
    (tmp_path / "x.pem").write_text("nonsense")
    bad = other(hosting, probe("two"), ssl_cert=tmp_path / "x.pem")
    with pytest.raises(ConfigError, match=r"x\.pem"):
        hosting.prepare(bad)
    assert (await ask(hosting)).body == b"one"


async def test_plugins_can_ask_for_a_reload_and_know_the_file(hosting, tmp_path):
    status = hosting.hosts[0].status
    assert status.config_file is None
    assert await status.reload() == ()
    file = tmp_path / "site.toml"
    hosting.replace(hosting.prepare(replace(hosting.config, file=file)))
    assert hosting.hosts[0].status.config_file == file


async def test_a_stop_does_not_wait_for_requests_of_old_pipelines(hosting, notes):
    waiting = asyncio.create_task(ask(hosting, "/wait"))
    await asyncio.sleep(0)
    hosting.replace(hosting.prepare(other(hosting, probe("two"))))
    await asyncio.wait_for(hosting.stop(), 20)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


async def test_a_journal_of_another_version_is_found_before_anybody_is_let_in(
    hosting, tmp_path
):
    (tmp_path / "other/.beam").mkdir(parents=True)
    file = tmp_path / "other/.beam/journal.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("create table beamfast (schema integer)")
        database.execute("insert into beamfast values (999)")
        database.commit()
    with pytest.raises(ConfigError, match="schema 999"):
        hosting.prepare(other(hosting, root=tmp_path / "other"))
    assert (await ask(hosting)).body == b"one"
