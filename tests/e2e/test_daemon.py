"""A server that leaves the terminal, and one that systemd starts."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from beamfast.server.commands import ask, running_servers

CONFIG = """
port = {port}
drain = 2
[daemon]
pid_file = "server.pid"
stdout = "server.out"
stderr = "server.err"
umask = 0o077
working_directory = "{folder}"
[[host]]
names = ["*"]
root = "site"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_line_8_a_daemon_has_pid_file_umask_and_working_directory(
    site, tmp_path, monkeypatch, workers
):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    port = free_port()
    file = tmp_path / "site.toml"
    file.write_text(CONFIG.format(port=port, folder=tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "beamfast", file, "--daemon", "--workers", workers],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    pid = int((tmp_path / "server.pid").read_text())
    try:
        assert f"PID: {pid}" in done.stdout
        assert f"http://127.0.0.1:{port}/" in done.stdout
        url = f"http://127.0.0.1:{port}/new.txt"
        put = urllib.request.Request(url, data=b"x", method="PUT")
        urllib.request.urlopen(put, timeout=20).close()
        assert (site / "new.txt").stat().st_mode & 0o077 == 0
        if Path("/proc").exists():
            assert Path(f"/proc/{pid}/cwd").resolve() == tmp_path
    finally:
        os.kill(pid, signal.SIGTERM)
        while not ended(pid):
            time.sleep(0.02)
    assert not (tmp_path / "server.pid").exists()


def test_a_daemon_that_cannot_start_says_so_on_the_terminal(
    site, tmp_path, monkeypatch
):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "beamfast", str(site), "--daemon"),
                *("--port", str(taken.getsockname()[1])),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert "Cannot listen" in done.stderr


class Manager:
    """Stands for systemd: hands over sockets, and is told how things are."""

    def __init__(self, folder: Path) -> None:
        self.stream = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = folder / "notify"
        self.stream.bind(str(self.path))
        self.stream.settimeout(60)
        self.heard: list[str] = []

    def hears(self, line: str) -> None:
        while line not in self.heard:
            self.heard += self.stream.recv(4096).decode().split("\n")
        self.heard.clear()


#: systemd sets LISTEN_PID between fork and exec; so does this.
STARTS = """
import os, sys
for target, source in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(source, target, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-u", "-m", "beamfast", *sys.argv[2:]])
"""


@pytest.fixture(params=["0", "1"], ids=["alone", "one worker"])
def service(request, site, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    manager = Manager(tmp_path)
    with contextlib.ExitStack() as stack:
        stack.enter_context(manager.stream)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(tmp_path / "site.sock"))
        unix.listen()
        handed = [os.dup(tcp.fileno()), os.dup(unix.fileno())]
        # Out of the way of the numbers that they get.
        moved = [os.dup2(one, 50 + one) for one in handed]
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", STARTS, ",".join(map(str, moved))),
                *(str(site), "--workers", request.param, "--allow-anonymous-writes"),
            ],
            pass_fds=moved,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(manager.path),
                "WATCHDOG_USEC": "2000000",
                "BEAMFAST_LISTEN": "systemd",
                "LISTEN_FDS": "2",
            },
        )
        for one in (*handed, *moved):
            os.close(one)
        manager.process = process
        manager.port = tcp.getsockname()[1]
        manager.unix = tmp_path / "site.sock"
        yield manager
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def test_lines_63_and_64_systemd_hands_over_sockets_and_is_told(service):
    service.hears("READY=1")
    service.hears("WATCHDOG=1")
    for family, place in (
        (socket.AF_INET, ("127.0.0.1", service.port)),
        (socket.AF_UNIX, str(service.unix)),
    ):
        with socket.socket(family) as client:
            client.connect(place)
            client.sendall(b"GET /document.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
    service.process.send_signal(signal.SIGHUP)
    service.hears("RELOADING=1")
    service.hears("READY=1")
    service.process.send_signal(signal.SIGTERM)
    service.hears("STOPPING=1")
    assert service.process.wait(60) == 0


def workers(service) -> int:
    """Return the process id of the only worker, 0 while there is none."""
    (server,) = running_servers()
    assert server.pid == service.process.pid
    found = re.search(
        r"worker 0: process (\d+), ready", " ".join(ask(server, "status"))
    )
    return int(found[1]) if found else 0


def test_line_63_a_stuck_worker_is_killed_alone_or_stops_the_watchdog(service):
    service.hears("READY=1")
    if "--workers" in service.process.args and service.process.args[-2] == "0":
        service.process.send_signal(signal.SIGSTOP)
        service.stream.settimeout(4)
        with pytest.raises(TimeoutError):
            while True:
                service.stream.recv(4096)
        service.process.send_signal(signal.SIGCONT)
    else:
        before = workers(service)
        os.kill(before, signal.SIGSTOP)
        while (after := workers(service)) in (0, before):
            time.sleep(0.05)
        service.hears("WATCHDOG=1")
        assert after != before
