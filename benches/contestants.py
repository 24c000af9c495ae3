"""
Who is measured: how each server is started, and what it can do.

Every one runs in one process on its own core, and ends with its last row.
"""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from beamfast import __version__
from benches.build import has_tls, program
from benches.rows import PASSWORD, USER

PEERS = Path(__file__).parent / "peers"
SERVER_CPU = 0

Command = Callable[[int, Path], list[str]]


@dataclass(frozen=True)
class Contestant:
    """
    One server.

    Attributes:
        name: column of the tables.
        command: from port and document folder to arguments.
        can: rows that it takes part in, by mode of the load generator.
        version: what was measured; None when it is not installed.
    """

    name: str
    command: Command
    can: frozenset[str]
    version: Callable[[], str | None]


def _module(name: str, *options: str) -> Command:
    def command(port: int, folder: Path) -> list[str]:
        named = [option.replace("FOLDER", str(folder)) for option in options]
        return [sys.executable, "-m", name, "--port", str(port), *named]

    return command


def _distribution(name: str) -> str | None:
    return metadata.version(name) if find_spec(name) else None


@functools.cache
def _output(*command: str) -> str | None:
    """Return what a program says about its version."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else None


def _site(port: int, folder: Path) -> list[str]:
    # One process: the CPU clock that is read is that of the one who serves.
    words = ["beamfast", "serve", str(folder), "--workers", "0", "--port", str(port)]
    return [sys.executable, "-m", *words]


def _certificate(folder: Path) -> Path:
    """Return a certificate of this machine and its key in one file."""
    made = folder.parent / "certificate.pem"
    if not made.exists():
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        named = ["-subj", "/CN=localhost", "-days", "1"]
        files = ["-keyout", str(made), "-out", str(made.with_suffix(".crt"))]
        command = ["openssl", "req", "-x509", *key, *named, *files]
        subprocess.run(command, check=True, capture_output=True)
        with made.open("a") as file:
            file.write(made.with_suffix(".crt").read_text())
    return made


def _live_tls(port: int, folder: Path) -> list[str]:
    options = ["--certificate", str(_certificate(folder))]
    return _module("benches.live", *options)(port, folder)


def _site_tls(port: int, folder: Path) -> list[str]:
    configuration = folder.parent / "site.toml"
    configuration.write_text(
        f'[[host]]\nnames = ["*"]\nroot = "{folder}"\n'
        f'ssl_cert = "{_certificate(folder)}"\n'
    )
    return _site(port, configuration)


def _members(port: int, folder: Path) -> list[str]:
    people = folder.parent / "people.html"
    people.write_text(
        '<p itemscope itemtype="https://rustybeam.net/schema/Credential">'
        f'<b itemprop="username">{USER}</b> <b itemprop="password">{PASSWORD}</b></p>'
    )
    plugins = [
        ("basic-auth", f'authfile = "{people}"'),
        ("websocket", "ping_interval = 2"),
        ("file-handler", ""),
        ("access-log", ""),
    ]
    configuration = folder.parent / "members.toml"
    configuration.write_text(
        f'[[host]]\nnames = ["*"]\nroot = "{folder}"\n'
        + "".join(
            f'[[host.plugin]]\nname = "{name}"\n{rest}\n' for name, rest in plugins
        )
    )
    return _site(port, configuration)


def _tls_version() -> str | None:
    return __version__ if has_tls() and shutil.which("openssl") else None


def _nginx(port: int, folder: Path) -> list[str]:
    text = (PEERS / "nginx.conf").read_text()
    text = text.replace("PORT", str(port)).replace("FOLDER", str(folder))
    place = folder.parent
    (place / "nginx.conf").write_text(text)
    return ["nginx", "-p", str(place), "-c", "nginx.conf"]


def _ws(port: int, folder: Path) -> list[str]:
    return ["node", str(PEERS / "ws_server.js"), "--port", str(port)]


RAW = Contestant(
    "raw",
    lambda port, folder: [str(program("server")), str(port)],
    frozenset(
        {"echo", "echo-pull", "fanout", "deflate", "edit-fanout", "get", "storm"}
    ),
    lambda: "this repository",
)
#: The hub and a plugin's callbacks, without documents.
LIVE = Contestant(
    "beamfast",
    _module("benches.live"),
    frozenset({"echo", "echo-pull", "fanout", "deflate"}),
    lambda: __version__,
)
#: Subscribers that only listen, pinged after two seconds: idle memory is counted
#: after one round.
IDLE = Contestant(
    "beamfast idle",
    _module("benches.live", "--deaf", "--ping-interval", "2"),
    frozenset({"hold"}),
    lambda: __version__,
)
#: ``beamfast FOLDER``: the default pipeline, documents, the access log.
SITE = Contestant(
    "beamfast site",
    _site,
    frozenset({"get", "storm", "edit", "edit-fanout", "hold", "hold-http"}),
    lambda: __version__,
)
#: A site whose readers log in, and are pinged after two seconds.
MEMBERS = Contestant(
    "beamfast members", _members, frozenset({"hold-user"}), lambda: __version__
)
#: The first and the third, encrypted.
LIVE_TLS = Contestant(
    "beamfast tls",
    _live_tls,
    frozenset({"echo-tls", "fanout-tls"}),
    _tls_version,
)
SITE_TLS = Contestant(
    "beamfast site tls", _site_tls, frozenset({"get-tls", "storm-tls"}), _tls_version
)
OTHERS = (
    Contestant(
        "picows",
        _module("benches.peers.picows_server"),
        frozenset({"echo", "fanout", "storm", "hold"}),
        lambda: _distribution("picows"),
    ),
    Contestant(
        "websockets",
        _module("benches.peers.websockets_server"),
        frozenset({"echo", "fanout", "storm", "hold"}),
        lambda: _distribution("websockets"),
    ),
    Contestant(
        "aiohttp",
        _module("benches.peers.aiohttp_server", "--folder", "FOLDER"),
        frozenset({"echo", "fanout", "get", "storm", "hold"}),
        lambda: _distribution("aiohttp"),
    ),
    Contestant(
        "uvicorn",
        _module("benches.peers.uvicorn_server", "--folder", "FOLDER"),
        frozenset({"echo", "fanout", "get", "storm", "hold"}),
        lambda: _distribution("uvicorn"),
    ),
    Contestant(
        "socketify",
        _module("benches.peers.socketify_server"),
        frozenset({"echo", "fanout", "get", "storm", "hold"}),
        lambda: _distribution("socketify"),
    ),
    Contestant(
        "ws",
        _ws,
        frozenset({"echo", "fanout", "storm", "hold"}),
        lambda: _output("node", "-p", "require('ws/package.json').version"),
    ),
    Contestant(
        "nginx",
        _nginx,
        frozenset({"get"}),
        lambda: (_output("nginx", "-v") or "").rpartition("/")[2] or None,
    ),
)
OWN = (LIVE, IDLE, SITE, MEMBERS, LIVE_TLS, SITE_TLS)


@contextlib.contextmanager
def running(contestant: Contestant, folder: Path) -> Iterator[tuple[int, int]]:
    """
    Start a server and stop it at the end.

    Yields:
        port and process.

    Raises:
        RuntimeError: it does not start.
    """
    port = _free_port()
    with (folder.parent / f"{contestant.name}.log").open("w") as log:
        process = subprocess.Popen(
            contestant.command(port, folder), stdout=log, stderr=log
        )
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {SERVER_CPU})
        _wait_listening(process, port)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on port {port}")
