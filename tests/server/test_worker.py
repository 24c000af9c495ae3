"""The supervisor, with small workers that do one thing each."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beamfast.errors import ConfigError
from beamfast.server import worker
from beamfast.server.config import HostConfig, ServerConfig
from beamfast.server.reading import command, read_config
from beamfast.server.rundir import PREFIX
from beamfast.server.worker import Supervisor

#: What the small workers share: they note what happens in a file.
PRELUDE = """
import json, os, signal, socket, sys, time
notes, control = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
file = control.makefile("rb")
assignment = json.loads(file.readline())
slot = assignment["slot"]

def note(what):
    with open(notes, "a") as stream:
        stream.write(f"{slot} {what}\\n")

def told():
    with open(notes) as stream:
        return stream.read()

def say(word):
    control.sendall(word.encode() + b"\\n")

def signal_supervisor():
    os.kill(os.getppid(), signal.SIGTERM)

lives = 0
if os.path.exists(notes):
    lives = told().split("\\n").count(f"{slot} started")
note("started")
"""
OBEDIENT = """
say("ready")
word = file.readline().decode().strip()
note(word)
"""
SECOND_LIFE_ENDS = """
say("ready")
if lives:
    signal_supervisor()
note(file.readline().decode().strip())
"""


class Workshop:
    """Runs supervisors; afterwards ``notes`` has what their workers did."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.file = folder / "notes"
        self.supervisor: Supervisor

    def run(self, code, on_ready=None, *, workers=1, drain=20.0, **options) -> int:
        config = ServerConfig(
            (HostConfig(self.root),), port=0, workers=workers, drain=drain
        )
        starts = [sys.executable, "-I", "-S", "-c", PRELUDE + code, str(self.file)]
        self.supervisor = Supervisor(config, starts=starts, **options)
        return self.supervisor.run(on_ready)

    @property
    def notes(self) -> list[str]:
        return sorted(self.file.read_text().splitlines())


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return Workshop(tmp_path)


def terminate(url):
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_every_worker_and_the_exit_code_is_0(workshop, number):
    urls = []

    def ready(url):
        urls.append(url)
        os.kill(os.getpid(), number)

    assert workshop.run(OBEDIENT, ready, workers=3) == 0
    assert len(urls) == 1
    assert urls[0].startswith("http://127.0.0.1:")
    assert workshop.notes == [
        f"{slot} {what}" for slot in range(3) for what in ("drain", "started")
    ]


def test_what_signals_meant_before_is_restored(workshop):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    workshop.run(OBEDIENT, terminate)
    assert before == (
        signal.getsignal(signal.SIGTERM),
        signal.getsignal(signal.SIGINT),
    )
    assert signal.set_wakeup_fd(-1) == -1


def test_a_killed_worker_is_replaced_and_the_others_are_left_alone(workshop, caplog):
    def ready(url):
        workshop.supervisor.slots[1].process.kill()

    assert workshop.run(SECOND_LIFE_ENDS, ready, workers=2) == 0
    assert workshop.notes.count("1 started") == 2
    assert workshop.notes.count("0 started") == 1
    assert "worker 1 ended with -9, starting another" in caplog.text


def test_a_worker_that_dies_again_and_again_is_restarted_after_a_pause(
    workshop, caplog
):
    code = """
say("ready")
if lives in (1, 2):
    sys.exit(lives)
if lives == 3:
    signal_supervisor()
file.readline()
"""
    urls = []

    def ready(url):
        urls.append(url)
        workshop.supervisor.slots[0].kill()

    assert workshop.run(code, ready) == 0
    assert len(urls) == 1
    assert workshop.notes == ["0 started"] * 4
    assert "worker 0 ended with 2, starting another" in caplog.text


def test_binding_twice_is_binding_once(tmp_path):
    supervisor = Supervisor(ServerConfig((HostConfig(tmp_path),), port=0))
    assert supervisor.bind() == supervisor.bind()
    supervisor._close_listeners()


def test_a_worker_that_cannot_start_ends_the_server_with_its_exit_code(workshop):
    code = """
if slot == 1:
    sys.exit(2)
note(file.readline().decode().strip())
"""
    ready = []
    assert workshop.run(code, ready.append, workers=2) == 2
    assert ready == []
    assert "0 drain" in workshop.notes


def test_a_worker_that_is_killed_at_the_start_is_a_failure(workshop):
    assert workshop.run("os.kill(os.getpid(), signal.SIGKILL)") == 1


def test_a_silent_worker_is_killed_and_replaced(workshop, caplog):
    code = """
say("ready")
if lives:
    signal_supervisor()
    file.readline()
else:
    time.sleep(100)
"""
    assert workshop.run(code, silence=0.3) == 0
    assert "worker 0 is silent, killing it" in caplog.text
    assert workshop.notes == ["0 started"] * 2


def test_a_worker_that_says_no_more_counts_as_silent(workshop, caplog):
    code = """
say("ready")
if lives:
    signal_supervisor()
    file.readline()
else:
    control.shutdown(socket.SHUT_RDWR)
    time.sleep(100)
"""
    assert workshop.run(code, silence=0.3) == 0
    assert "worker 0 is silent, killing it" in caplog.text


def test_heartbeats_keep_a_worker_alive(workshop, caplog):
    code = """
say("ready")
for _ in range(20):
    time.sleep(0.05)
    say("heartbeat")
signal_supervisor()
file.readline()
"""
    assert workshop.run(code, silence=0.5) == 0
    assert caplog.text == ""


def test_a_pause_of_the_supervisor_is_not_a_silence_of_the_workers(
    workshop, caplog, monkeypatch
):
    class Clock:
        ahead = 0.0

        def monotonic(self):
            return real() + self.ahead

    real, clock = worker.time.monotonic, Clock()
    monkeypatch.setattr(worker, "time", clock)

    def ready(url):
        clock.ahead = 1000.0

    code = """
say("ready")
time.sleep(0.2)
signal_supervisor()
file.readline()
"""
    assert workshop.run(code, ready) == 0
    assert caplog.text == ""


def test_a_second_signal_cuts(workshop):
    code = """
say("ready")
note(file.readline().decode().strip())
signal_supervisor()
note(file.readline().decode().strip())
"""
    assert workshop.run(code, terminate) == 0
    assert workshop.notes == ["0 cut", "0 drain", "0 started"]


def test_a_worker_that_does_not_end_is_killed(workshop, monkeypatch):
    monkeypatch.setattr(worker, "GRACE", 0.1)
    code = """
say("ready")
while True:
    note(file.readline().decode().strip() or sys.exit())
"""
    assert workshop.run(code, terminate, drain=0.1) == 0
    assert workshop.notes == ["0 drain", "0 started"]


def test_connections_are_refused_while_the_workers_drain(workshop):
    code = """
say("ready")
file.readline()
listener = socket.socket(fileno=assignment["listeners"][0][0])
place = listener.getsockname()
listener.close()
try:
    socket.create_connection(place)
except ConnectionRefusedError:
    note("refused")
"""
    assert workshop.run(code, terminate) == 0
    assert workshop.notes == ["0 refused", "0 started"]


def test_all_workers_have_a_folder_and_several_share_documents(workshop, tmp_path):
    code = """
note(os.path.isdir(assignment["folder"]["pathlib.Path"]) and assignment["shares"])
say("ready")
file.readline()
"""
    assert workshop.run(code, terminate, workers=2) == 0
    assert workshop.notes == ["0 True", "0 started", "1 True", "1 started"]
    assert not list((tmp_path / "run").glob(f"{PREFIX}*"))
    workshop.file.unlink()
    assert workshop.run(code, terminate) == 0
    assert workshop.notes == ["0 False", "0 started"]


def test_no_worker_is_left_behind_by_a_failure_of_ours(workshop):
    def ready(url):
        raise RuntimeError("from the caller")

    with pytest.raises(RuntimeError):
        workshop.run(OBEDIENT, ready)
    process = workshop.supervisor.slots[0].process
    assert process.wait() == -signal.SIGKILL
    workshop.supervisor.slots[0].control.close()


def test_an_unsafe_configuration_is_refused(tmp_path):
    with pytest.raises(ConfigError):
        Supervisor(ServerConfig((HostConfig(tmp_path),), address="0.0.0.0"))


def test_a_command_imports_from_the_current_folder_only_if_we_did(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/venv/bin", "/lib"])
    assert command("worker")[1:] == ["-P", "-m", "beamfast.server", "worker"]
    monkeypatch.setattr(sys, "path", ["", "/lib"])
    assert command("worker")[1:] == ["-m", "beamfast.server", "worker"]


@pytest.fixture
def importable(monkeypatch):
    """Let a fresh interpreter find the package where this one does."""
    monkeypatch.setenv("PYTHONPATH", str(Path(worker.__file__).parents[2]))


@pytest.mark.usefixtures("importable")
def test_a_configuration_is_read_in_another_process(tmp_path):
    (tmp_path / "files").mkdir()
    page = tmp_path / "config.html"
    page.write_text(
        '<div itemscope itemtype="https://rustybeam.net/schema/ServerConfig">'
        '<i itemprop="bindPort">81</i></div>'
        '<div itemscope itemtype="https://rustybeam.net/schema/HostConfig">'
        '<i itemprop="hostName">a.example</i><i itemprop="hostRoot">files</i></div>'
    )
    config = read_config(page)
    assert config.port == 81
    assert config.hosts[0].names == ("a.example",)


@pytest.mark.usefixtures("importable")
def test_the_mistakes_in_a_configuration_are_named(tmp_path):
    page = tmp_path / "config.html"
    page.write_text("<p>nothing")
    with pytest.raises(ConfigError, match="HostConfig"):
        read_config(page)


@pytest.mark.usefixtures("importable")
def test_a_supervisor_loads_neither_loop_nor_parser():
    code = "import sys, beamfast.cli.serve; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "beamfast.server.worker" in loaded
    assert not {"asyncio", "uvloop", "turbohtml", "lxml", "sqlite3"} & loaded


@pytest.fixture(autouse=True)
def propagated():
    """Another test may have told the package to print instead."""
    logging.getLogger("beamfast").setLevel(logging.NOTSET)
