"""Leaving the terminal; tests/e2e/test_daemon.py has the whole way."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import DaemonConfig
from beamfast.server.daemon import pid_file_removed, settle, with_defaults


@pytest.fixture(autouse=True)
def restored():
    """What a process has once, for all tests."""
    here, mask = Path.cwd(), os.umask(0o022)
    yield
    os.chdir(here)
    os.umask(mask)


def test_line_8_umask_folder_and_pid_file(tmp_path):
    file = tmp_path / "pid"
    settle(DaemonConfig(pid_file=file, umask=0o077, working_directory=tmp_path))
    assert file.read_text() == f"{os.getpid()}\n"
    assert Path.cwd() == tmp_path
    (tmp_path / "made").touch()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "no-such-user"},
        {"group": "no-such-group"},
        {"working_directory": "/nowhere"},
    ],
)
def test_what_is_not_there_is_a_mistake(wrong):
    with pytest.raises(ConfigError, match="daemon: "):
        settle(DaemonConfig(**wrong))


def test_a_server_without_a_configuration_leaves_its_files_in_the_run_directory(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    config = with_defaults(DaemonConfig())
    assert config.pid_file == tmp_path / "run/beamfast.pid"
    assert config.stdout == tmp_path / "run/beamfast.stdout"
    assert config.stderr == tmp_path / "run/beamfast.stderr"


def test_a_pid_file_goes_with_its_process(tmp_path):
    file = tmp_path / "pid"
    with pid_file_removed(file):
        file.touch()
    assert not file.exists()
    with pid_file_removed(file), pid_file_removed(None):
        pass


DETACHES = """
import os, sys, time
from pathlib import Path
from beamfast.server.config import DaemonConfig
from beamfast.server.daemon import detach, redirect
folder = Path(sys.argv[1])
detached = detach()
if sys.argv[2] == "fail":
    detached.fail("cannot")
    sys.exit(3)
redirect(DaemonConfig(stdout=folder / "out", stderr=folder / "err"))
(folder / "session").write_text(f"{os.getsid(0)} {os.getpid()} {os.getppid()}")
print("said", flush=True)
detached.ready('ready now')
while not (folder / "end").exists():
    time.sleep(0.01)
(folder / "ended").touch()
"""


def detaching(folder, how: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", DETACHES, str(folder), how],
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_whoever_started_it_waits_until_it_is_ready(tmp_path):
    done = detaching(tmp_path, "go")
    assert done.returncode == 0
    assert done.stdout == b"ready now\n"
    session, pid, _ = (tmp_path / "session").read_text().split()
    assert session != str(os.getsid(0))
    assert session != pid
    assert (tmp_path / "out").read_text() == "said\n"
    (tmp_path / "end").touch()


def test_whoever_started_it_learns_that_nothing_came_of_it(tmp_path):
    done = detaching(tmp_path, "fail")
    assert done.returncode == 1
    assert done.stderr == b"cannot\n"


@pytest.mark.parametrize("user", ["nobody", "65534"])
def test_rights_are_given_up_for_good(tmp_path, user):
    if os.getuid():
        # Only root has any to give up; then the same user is all there is.
        user = str(os.getuid())
    code = f"""
import os
from pathlib import Path
from beamfast.server.config import DaemonConfig
from beamfast.server.daemon import settle
file = Path({str(tmp_path / "pid")!r})
settle(DaemonConfig(pid_file=file, user={user!r}, chown_pid_file=True))
print(os.getuid())
try:
    os.setuid(0)
    print("root" if {os.getuid()} == 0 else "user")
except PermissionError:
    print("user")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    uid, kind = done.stdout.splitlines()
    assert (tmp_path / "pid").stat().st_uid == int(uid)
    assert kind == "user"
