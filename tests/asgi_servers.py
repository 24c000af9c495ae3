"""Real ASGI servers in processes of their own, for the tests of both directions."""

import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

#: How each server is started; ``{port}`` is a free one where it tells none itself.
SERVERS = {
    "uvicorn-websockets": "-m uvicorn app:app --port 0 --ws websockets-sansio",
    "uvicorn-wsproto": "-m uvicorn app:app --port 0 --ws wsproto",
    "hypercorn": "-m hypercorn app:app --bind 127.0.0.1:0",
    "granian": "-m granian app:app --interface asgi --port {port}",
}
_READY = re.compile(
    r"(?:running on|Running on|Listening at:) (http://127\.0\.0\.1:\d+)"
)


class Running:
    """One server process on an application."""

    def __init__(self, kind: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = SERVERS[kind].format(port=port).split()
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._wait_until_ready()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._fresh.put(line)
        self._fresh.put(None)

    def _wait_until_ready(self) -> str:
        while (line := self._fresh.get(timeout=60)) is not None:
            if found := _READY.search(line):
                url = found[1]
                break
        else:
            raise AssertionError(f"the server did not start: {self.lines}")
        port = int(url.rpartition(":")[2])
        # Some say so before their workers listen.
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 5).close()
                return url
            threading.Event().wait(0.05)
        raise AssertionError(f"nobody listens: {self.lines}")

    def stop(self) -> int:
        """Stop it and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait(10)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextlib.contextmanager
def running(kind: str, folder: Path, program: str) -> Iterator[Running]:
    """Run ``program``, which has an ``app``, in a server of this kind."""
    (folder / "app.py").write_text(program)
    server = Running(kind, folder)
    try:
        yield server
    finally:
        server.stop()
