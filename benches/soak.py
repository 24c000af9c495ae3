"""
Thousands of subscribers of one document, a fifth of which never reads.

``python -m benches.soak`` starts a server, subscribes ``--subscribers`` sockets,
edits the document ``--rate`` times a second for ``--seconds``, and checks that
everybody who reads gets every edit once and in order. At the end the others begin
to read: what a slow one is owed is a copy of the document, not all it has missed,
and one that has stood still for too long was cut off. It prints how long edits took
to arrive, what became of the others, and the server's memory over time.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benches.build import program
from benches.compare import make_folder

UPGRADE = (
    b"GET /live.html HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: beam.v1\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: What an edit says: its number and when it was sent.
MARK = re.compile(rb"edit (\d+) at (\d+)")


class Reader:
    """One subscriber: what it has seen last, and the end of what it received."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seen = 0
        self.rest = b""

    def read(self, now: int, delays: list[int]) -> None:
        """Take what is there; every edit comes after the one before it."""
        data = self.rest + self.sock.recv(1 << 16)
        end = 0
        for mark in MARK.finditer(data):
            number = int(mark[1])
            if number != self.seen + 1:
                raise SystemExit(f"edit {number} came after {self.seen}")
            self.seen = number
            delays.append(now - int(mark[2]))
            end = mark.end()
        self.rest = data[end:][-64:]


def connect(port: int) -> socket.socket:
    """Subscribe one socket to the document."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(UPGRADE)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(4096)
    if b" 101 " not in answer:
        raise SystemExit(f"not upgraded: {answer[:200]!r}")
    return sock


def edit(sock: socket.socket, number: int, size: int) -> None:
    """Edit the element ``#live`` over a connection that stays open."""
    body = f'<div id="live">edit {number} at {time.monotonic_ns()} {"." * size}</div>'
    head = (
        "PUT /live.html HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: selector=#live\r\n"
        f"Content-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    sock.sendall(head.encode() + body.encode())
    answer = sock.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(65536)
    if not answer.startswith(b"HTTP/1.1 2"):
        raise SystemExit(f"the edit failed: {answer[:200]!r}")


def awaken(sock: socket.socket, edits: int) -> int | None:
    """Read to the newest edit; return how many bytes came, None when cut off."""
    sock.settimeout(30)
    taken, rest = 0, b""
    try:
        while data := sock.recv(1 << 18):
            taken += len(data)
            rest = rest[-64:] + data
            if any(int(mark[1]) == edits for mark in MARK.finditer(rest)):
                return taken
    except ConnectionResetError:
        pass
    return None


def memory(pid: int) -> int:
    """Return the bytes of anonymous memory of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@contextlib.contextmanager
def serving(folder: Path) -> Any:
    """Run the server that users run, in one process; yield its port and pid."""
    command = [sys.executable, "-m", "beamfast", "serve", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--workers", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Ready at http://\S+:(\d+)/", line):
                drain = threading.Thread(target=process.stdout.read, daemon=True)
                drain.start()
                yield int(found[1]), process.pid
                return
        raise SystemExit("the server did not start")
    finally:
        process.terminate()
        process.wait()


def soak(
    subscribers: int, deaf: int, rate: float, seconds: float, size: int
) -> dict[str, Any]:
    """Run once and return the figures."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        port, pid = stack.enter_context(serving(make_folder(Path(place))))
        sockets = [
            stack.enter_context(connect(port)) for _ in range(subscribers + deaf)
        ]
        # Evenly among the others, as they come.
        every = len(sockets) // deaf if deaf else len(sockets) + 1
        silent = set(range(0, len(sockets), every)) if deaf else set()
        readers = {}
        poll = select.epoll()
        for index, sock in enumerate(sockets):
            if index not in silent:
                readers[sock.fileno()] = Reader(sock)
                poll.register(sock, select.EPOLLIN)
        editor = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        delays: list[int] = []
        history: list[tuple[float, int]] = []
        edits = int(rate * seconds)

        def work() -> None:
            start = time.monotonic()
            for number in range(1, edits + 1):
                time.sleep(max(0, start + number / rate - time.monotonic()))
                edit(editor, number, size)

        writer = threading.Thread(target=work, daemon=True)
        begun = time.monotonic()
        writer.start()
        give_up = begun + 10 * seconds + 60
        while any(reader.seen < edits for reader in readers.values()):
            for fd, _ in poll.poll(0.5):
                readers[fd].read(time.monotonic_ns(), delays)
            now = time.monotonic() - begun
            if not history or now >= history[-1][0] + seconds / 24:
                history.append((round(now, 1), memory(pid)))
            if time.monotonic() > give_up:
                behind = sum(reader.seen < edits for reader in readers.values())
                raise SystemExit(f"{behind} readers wait for edits that never came")
        took = time.monotonic() - begun
        late = [awaken(sockets[index], edits) for index in sorted(silent)]
    delays.sort()
    warm = [size for when, size in history if when >= took / 4]
    return {
        "subscribers": len(readers),
        "never reading": len(silent),
        "edits": edits,
        "seconds": round(took, 1),
        "deliveries": len(delays),
        "p50_ms": delays[len(delays) // 2] / 1e6,
        "p99_ms": delays[len(delays) * 99 // 100] / 1e6,
        "memory_MiB": [round(size / 2**20, 1) for _, size in history],
        "growth_MiB": round((max(warm) - min(warm)) / 2**20, 1),
        "published_bytes": edits * size,
        "cut off": late.count(None),
        "caught up": len(late) - late.count(None),
        "most_bytes_to_catch_up": max((taken or 0 for taken in late), default=0),
    }


def paced(
    subscribers: int, deaf: int, rate: float, seconds: float, size: int
) -> dict[str, Any]:
    """Do the same with the generator in C, which waits for all before each edit."""
    options = {
        "connections": subscribers,
        "deaf": deaf,
        "rate": round(rate),
        "rounds": round(rate * seconds),
        "size": size,
        "path": "/live.html",
        "put": "/live.html",
    }
    words = [text for name, value in options.items() for text in (f"--{name}", value)]
    with (
        tempfile.TemporaryDirectory() as place,
        serving(make_folder(Path(place))) as (port, pid),
    ):
        command = [program("load"), "fanout", "--port", port, "--pid", pid, *words]
        done = subprocess.run(
            list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True
        )
    found = json.loads(done.stdout)
    warm, end = (round(size / 1024, 1) for size in found["memory_kib"])
    return {
        "subscribers": subscribers,
        "never reading": deaf,
        "edits": options["rounds"],
        "seconds": round(found["wall_ns"] / 1e9, 1),
        "deliveries": found["operations"],
        "p50_ms": found["p50_ns"] / 1e6,
        "p99_ms": found["p99_ns"] / 1e6,
        "max_ms": found["max_ns"] / 1e6,
        "cpu_us_for_each": found["cpu_ns"] / found["operations"] / 1e3,
        "memory_MiB": [warm, end],
    }


def main() -> None:
    """Read the command line, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=8000)
    parser.add_argument("--deaf", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--size", type=int, default=200, help="bytes of an edit")
    parser.add_argument(
        "--paced", action="store_true", help="edits by the generator in C"
    )
    options = parser.parse_args()
    needed = options.subscribers + options.deaf + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    chosen = vars(options)
    run = paced if chosen.pop("paced") else soak
    print(json.dumps(run(**chosen), indent=1))


if __name__ == "__main__":
    main()
