"""``beamfast reload``, ``drain`` and ``status``, with real servers."""

import re
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from beamfast.cli import main

CONFIG = '[[host]]\nname = "127.0.0.1"\nroot = "."\nplugins = ["file-handler"]\n'


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    started = []

    def start(*arguments: str, file: str = "a.toml") -> subprocess.Popen:
        (tmp_path / file).write_text(CONFIG)
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "beamfast", file, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def test_no_server_runs(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    assert run("status").output == "no server runs\n"
    assert run("reload").exit_code == 1
    assert "no server runs for x" in run("drain", "x").output


def test_a_server_is_shown_reloaded_and_drained(run, start, tmp_path):
    process = start()
    shown = run("status").output
    assert re.search(rf"a\.toml: process {process.pid}, up for \d+ s", shown)
    assert "http://127.0.0.1:" in shown
    assert re.search(r"worker 0: process \d+, ready", shown)
    assert run("reload").output == "Configuration reloaded successfully\n"
    (tmp_path / "a.toml").write_text(CONFIG + "colour = 1\n")
    refused = run("reload", "a.toml")
    assert refused.exit_code == 2
    assert "a.toml: host[0].colour: unknown property colour" in refused.output
    assert "failed reloads: 1" in run("status", "a.toml").output
    assert run("drain", str(tmp_path)).output == f"process {process.pid} drains\n"
    assert process.wait(60) == 0


def test_a_server_without_workers_is_told_by_a_signal(run, start):
    process = start("--workers", "0", "-v")
    assert "its log says what came of it" in run("reload").output
    while "Configuration reloaded successfully" not in process.stdout.readline():
        assert process.poll() is None
    assert "drains" in run("drain").output
    assert process.wait(60) == 0
