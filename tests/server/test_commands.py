"""How commands find a server and talk to it."""

import json
import os
import subprocess
import sys
import threading

import pytest

from beamfast.server.commands import (
    PREFIX,
    Announcement,
    CommandSocket,
    announced,
    ask,
    obey,
    running_servers,
)


@pytest.fixture(autouse=True)
def run_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return tmp_path / "run"


def test_a_server_is_found_while_it_runs(tmp_path, run_directory):
    with announced(tmp_path / "x.toml", [tmp_path], ["http://a/"], 2) as commands:
        (found,) = running_servers()
        assert found.pid == os.getpid()
        assert found.urls == ("http://a/",)
        assert found.concerns(tmp_path / "x.toml")
        assert found.concerns(tmp_path)
        assert not found.concerns(tmp_path / "other")
        assert commands is not None
        assert found.socket.is_socket()
    assert list(running_servers()) == []
    assert not list(run_directory.glob(f"{PREFIX}*"))


def test_one_without_workers_has_no_socket(tmp_path):
    with announced(tmp_path, [], [], 0) as commands:
        assert commands is None
        (found,) = running_servers()
        with pytest.raises(OSError, match="No such file"):
            ask(found, "status")


def test_files_of_killed_servers_are_removed_and_others_left(run_directory):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = Announcement(ended.pid, "/x", (), (), 1, 0.0)
    gone.publish()
    strange = run_directory / f"{PREFIX}x.json"
    strange.write_text(json.dumps({"pid": 1}))
    assert list(running_servers()) == []
    assert not gone.file.exists()
    assert strange.exists()


class Supervisor:
    """What a supervisor can be asked."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.reloading = self
        self.failures = 3

    def reload(self, now, answer):
        self.calls.append("reload")
        answer(["x:1: wrong"])

    def stop(self, now, *, restarts):
        self.calls.append(restarts)

    def all_slots(self):
        return ["0: process 7, ready"]


@pytest.mark.parametrize(
    ("word", "answer", "calls"),
    [
        ("reload", ["x:1: wrong"], ["reload"]),
        ("drain", [], [True]),
        ("status", ["worker 0: process 7, ready", "failed reloads: 3"], []),
    ],
)
def test_a_word_is_answered(tmp_path, word, answer, calls):
    supervisor, answers = Supervisor(), []
    with announced(tmp_path, [], [], 1) as commands:
        (found,) = running_servers()
        thread = threading.Thread(target=lambda: answers.append(ask(found, word)))
        thread.start()
        while not (answers or supervisor.calls):
            obey(commands, supervisor, 0.0)
        thread.join(20)
    assert answers == [answer]
    assert supervisor.calls == calls


def test_nobody_asks(tmp_path):
    commands = CommandSocket(tmp_path / "s")
    assert commands.accept() is None
    commands.close()
