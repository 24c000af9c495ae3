"""A server of the own version for a benchmark, and what its machine is."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

from beamfast import __version__
from beamfast.bench.load import BenchError

#: Element of the page that is edited.
SELECTOR: Final = "#live"

#: About 2 KiB, as pages with little on them are.
PAGE: Final = (
    "<!DOCTYPE html>\n<title>Benchmark</title>\n"
    '<p id="live">0</p>\n<p>' + "A live page. " * 150 + "</p>\n"
)
_READY: Final = re.compile(r"Ready at (\S+)\s")


@contextmanager
def local_server(folder: Path) -> Iterator[tuple[str, int]]:
    """
    Serve a page from ``folder`` in another process while the block runs.

    Yields:
        its URL, and the process id.

    Raises:
        BenchError: it does not start.
    """
    (folder / "index.html").write_text(PAGE)
    command = [sys.executable, "-m", "beamfast", "serve", str(folder)]
    # Its access log goes to a file: who reads a pipe is woken for every line.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - the own package
            [*command, "--port", "0", "--workers", "0", "--no-open"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _address(process, log.fileno()), process.pid
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: int) -> str:
    """Wait until the server says where it is."""
    while True:
        has_ended = process.poll() is not None
        # Not read(): the position is the one that the server writes at.
        said = os.pread(log, 2**16, 0).decode("utf-8", "replace")
        if ready := _READY.search(said):
            return ready[1]
        if has_ended:
            raise BenchError(f"the server did not start: {said.strip()}")
        time.sleep(0.02)


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process, where the system says so in ``/proc``."""
    nanoseconds = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError):  # a thread that has just ended
                nanoseconds += int((task / "schedstat").read_text().split()[0])
    except OSError:
        return None
    return nanoseconds / 1e9


def make_room(descriptors: int) -> None:
    """
    Raise the limit of open descriptors, also for the server started from here.

    Raises:
        BenchError: the machine does not allow that many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= descriptors:
        return
    if hard != resource.RLIM_INFINITY and hard < descriptors:
        raise BenchError(
            f"needs {descriptors} descriptors, and {hard} are allowed: "
            "raise the hard limit (ulimit -Hn), or take fewer viewers"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    found = {
        "beamfast": __version__,
        "python": platform.python_version(),
        "uvloop": version("uvloop"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }
    with suppress(OSError):
        cpuinfo = Path("/proc/cpuinfo").read_text()
        if name := re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
            found["processor"] = name[1]
    return found
