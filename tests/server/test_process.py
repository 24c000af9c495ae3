"""One worker process: what it does with an assignment and with each word."""

import asyncio
import os
import signal
import socket
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from beamfast.errors import ConfigError
from beamfast.server import process
from beamfast.server.binding import bind_tcp
from beamfast.server.config import (
    HostConfig,
    ListenerConfig,
    PluginConfig,
    ServerConfig,
)
from beamfast.server.control import (
    Assignment,
    Control,
    config_from_json,
    overrides_to_json,
)
from beamfast.server.process import print_config, run_worker, serve
from beamfast.server.settings import Loaded
from beamfast.server.stuck import StuckAlarm
from beamfast.server.written import Written

PLACE = ListenerConfig("127.0.0.1:0")


class Supervisor:
    """The other end: the socket that a worker is controlled by, and its lines."""

    def __init__(self, assignment: Assignment) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.stream = ours
        self.worker = Control(theirs)
        control = Control(ours.dup())
        control.assign(assignment)
        control.close()
        assert self.worker.assignment() == assignment
        self.lines = b""

    async def hears(self, *words: str) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while not {word.encode() for word in words} <= set(self.lines.split()):
                self.lines += await loop.sock_recv(self.stream, 1000)

    def say(self, word: str) -> None:
        self.stream.send(word.encode() + b"\n")


@pytest.fixture
def assignment(tmp_path):
    (tmp_path / "page.txt").write_text("here")
    listener = bind_tcp("127.0.0.1", 0)
    config = ServerConfig((HostConfig(tmp_path),), port=0)
    descriptor = listener.detach()
    yield Assignment(config, 0, 1, ((descriptor, PLACE),), tmp_path)
    if descriptor >= 0:
        # Closed with the server that it was given to, or by nobody.
        try:
            os.close(descriptor)
        except OSError:
            return


@pytest.fixture
async def supervisor(assignment):
    supervisor = Supervisor(assignment)
    yield supervisor
    supervisor.stream.close()
    supervisor.worker.close()


@pytest.fixture
async def task(supervisor, assignment):
    task = asyncio.create_task(serve(supervisor.worker, assignment))
    await supervisor.hears("ready")
    yield task
    supervisor.stream.close()
    await asyncio.wait_for(task, 20)


async def test_it_shows_signs_of_life(supervisor, task, monkeypatch):
    await supervisor.hears("ready", "heartbeat")


async def test_heartbeats_go_on(supervisor, assignment, monkeypatch):
    monkeypatch.setattr(process, "HEARTBEAT_INTERVAL", 0.001)
    task = asyncio.create_task(serve(supervisor.worker, assignment))
    while supervisor.lines.count(b"heartbeat") < 5:
        supervisor.lines += await asyncio.get_running_loop().sock_recv(
            supervisor.stream, 1000
        )
    supervisor.say("drain")
    await asyncio.wait_for(task, 20)


async def test_it_says_where_it_is_stuck(supervisor, assignment, monkeypatch, capfd):
    monkeypatch.setattr(process, "StuckAlarm", partial(StuckAlarm, patience=0.2))
    task = asyncio.create_task(serve(supervisor.worker, assignment))
    await supervisor.hears("ready")
    time.sleep(0.5)
    supervisor.say("drain")
    await asyncio.wait_for(task, 20)
    assert "in test_it_says_where_it_is_stuck" in capfd.readouterr().err


async def test_it_serves_on_the_listener_that_it_was_given(assignment, task):
    given = socket.socket(fileno=os.dup(assignment.listeners[0][0]))
    place = given.getsockname()
    given.close()
    reader, writer = await asyncio.open_connection(*place)
    writer.write(b"GET /page.txt HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert (await reader.read()).endswith(b"\r\n\r\nhere")
    writer.close()
    await writer.wait_closed()


async def half_sent(assignment):
    """Open a connection with a request that a drain waits for."""
    given = socket.socket(fileno=os.dup(assignment.listeners[0][0]))
    reader, writer = await asyncio.open_connection(*given.getsockname())
    given.close()
    writer.write(
        b"PUT /new.txt HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: 2\r\n\r\n"
    )
    await reader.readuntil(b"100 Continue\r\n\r\n")
    return reader, writer


@pytest.mark.parametrize("how", ["drain", "twice", "end", "signal"])
async def test_it_drains_when_told_or_left_alone(supervisor, assignment, task, how):
    reader, writer = await half_sent(assignment)
    match how:
        case "drain":
            supervisor.say("drain")
        case "twice":
            supervisor.say("drain")
            os.kill(os.getpid(), signal.SIGTERM)
        case "end":
            supervisor.stream.close()
        case "signal":
            os.kill(os.getpid(), signal.SIGTERM)
    writer.write(b"ok")
    assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
    writer.close()
    await asyncio.wait_for(task, 20)


async def test_it_cuts_when_told(supervisor, assignment, task):
    reader, writer = await half_sent(assignment)
    supervisor.say("drain\ncut")
    await asyncio.wait_for(task, 20)
    with pytest.raises(ConnectionResetError):
        assert await reader.read() == b""
        raise ConnectionResetError
    writer.close()


async def test_several_workers_join_the_bus(assignment):
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        assignment = replace(assignment, workers=2, folder=Path(folder), shares=True)
        supervisor = Supervisor(assignment)
        task = asyncio.create_task(serve(supervisor.worker, assignment))
        await supervisor.hears("ready")
        assert (Path(folder) / "0").is_socket()
        supervisor.say("drain")
        await asyncio.wait_for(task, 20)
        assert not (Path(folder) / "0").exists()
        supervisor.stream.close()
        supervisor.worker.close()


@pytest.fixture
def interrupts():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_without_a_supervisor_it_fails():
    ours, theirs = socket.socketpair()
    ours.close()
    assert run_worker(theirs.detach()) == 1
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.usefixtures("interrupts")
def test_a_whole_life(assignment):
    ours, theirs = socket.socketpair()
    control = Control(ours)
    control.assign(assignment)
    control.send("drain")
    assert run_worker(theirs.detach()) == 0
    assert "ready" in (control.receive() or [])
    assert control.receive() is None
    control.close()


@pytest.mark.usefixtures("interrupts")
def test_a_configuration_that_cannot_be_used_has_its_exit_code(tmp_path, capsys):
    host = HostConfig(tmp_path, plugins=(PluginConfig("nothing"),))
    listener = bind_tcp("127.0.0.1", 0)
    ours, theirs = socket.socketpair()
    control = Control(ours)
    config = ServerConfig((host,))
    control.assign(Assignment(config, 0, 1, ((listener.detach(), PLACE),), Path()))
    assert run_worker(theirs.detach()) == 2
    assert "beamfast: there is no plugin named nothing" in capsys.readouterr().err
    control.close()


def test_a_configuration_file_is_printed_as_json(capsys, monkeypatch):
    config = ServerConfig((HostConfig(Path("/srv")),), port=81)
    said = []

    def load(path, overrides):
        said.append(overrides.texts)
        return Loaded(config, {})

    monkeypatch.setattr(process, "load_with_environment", load)
    overrides = overrides_to_json(Written("command line", texts={"port": ["81"]}))
    assert print_config(Path("config.html"), overrides) == 0
    assert said == [{"port": ["81"]}]
    assert config_from_json(capsys.readouterr().out) == config


def test_or_its_mistakes(capsys, monkeypatch):
    def fail(path, overrides):
        raise ConfigError("no such option")

    monkeypatch.setattr(process, "load_with_environment", fail)
    nothing = overrides_to_json(Written("command line"))
    assert print_config(Path("config.html"), nothing) == 2
    assert capsys.readouterr().out == "no such option"
