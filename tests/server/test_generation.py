"""A new generation of workers; tests/e2e/test_replace.py has the real one."""

import os
import signal

import pytest

from beamfast.server import generation as module
from beamfast.server.generation import descriptors_in, execute
from tests.server.test_worker import Workshop

#: A worker of which a second life stands for the new generation.
TAKES_OVER = """
say("ready")
if assignment["seat"] >= assignment["workers"]:
    note("new")
for line in file:
    word = line.decode().strip()
    note(word)
    if word == "share":
        say("shared")
    else:
        break
"""


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return Workshop(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_old_generation_drains_when_all_of_the_new_one_are_ready(
    workshop, monkeypatch, workers
):
    states = []

    def stay(state):
        states.append(state)
        assert len(state["slots"]) == len(state["old"]) == workers
        assert all(os.fstat(one) for one in descriptors_in(state))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(module, "execute", stay)

    def replace(url):
        os.kill(os.getpid(), signal.SIGUSR2)

    assert workshop.run(TAKES_OVER, replace, workers=workers) == 0
    assert len(states) == 1
    words = [note.partition(" ")[2] for note in workshop.notes]
    assert words.count("new") == workers
    assert words.count("replace") == workers
    assert words.count("drain") == workers
    # Only one that was alone has to be told that others write its documents.
    assert words.count("share") == (1 if workers == 1 else 0)


def test_a_new_generation_that_fails_changes_nothing(workshop, caplog, monkeypatch):
    monkeypatch.setattr(module, "execute", lambda state: pytest.fail("took over"))
    code = """
if assignment["seat"] >= assignment["workers"]:
    if slot:
        note("fails")
        signal_supervisor()
        sys.exit(3)
    file.readline()
say("ready")
note(file.readline().decode().strip())
"""

    def replace(url):
        os.kill(os.getpid(), signal.SIGUSR2)

    assert workshop.run(code, replace, workers=2) == 0
    assert "1 fails" in workshop.notes
    assert {"0 drain", "1 drain"} <= set(workshop.notes)


def test_a_new_generation_that_is_late_changes_nothing(workshop, caplog, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    monkeypatch.setattr(module, "execute", lambda state: pytest.fail("took over"))
    code = """
if assignment["seat"] >= assignment["workers"]:
    file.readline()
say("ready")
word = file.readline().decode().strip()
note(word)
"""

    def replace(url):
        os.kill(os.getpid(), signal.SIGUSR2)

    def stop(*_):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(module.logger, "error", stop)
    assert workshop.run(code, replace, workers=2) == 0
    assert {"0 drain", "1 drain"} <= set(workshop.notes)


def test_what_cannot_be_executed_leaves_the_supervisor_as_it_was(monkeypatch, caplog):
    def fail(*_):
        raise OSError("no such interpreter")

    monkeypatch.setattr(module.os, "execv", fail)
    execute({"bound": [], "roots": {}, "folder": ["x", 0], "slots": [], "old": []})
    assert "the supervisor stays what it was: no such interpreter" in caplog.text
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
