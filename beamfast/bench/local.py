"""A server of the own version for a benchmark, and what its machine is."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from threading import Thread
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
_READY: Final = re.compile(r"Ready at (\S+)")


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
    process = subprocess.Popen(  # noqa: S603 - the own package
        [*command, "--port", "0", "--workers", "0", "--no-open"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    # Of its access log: nobody reads it, and it must not fill the pipe.
    drain = Thread(target=_drain, args=[process.stdout.fileno()])
    try:
        said = ""
        for line in process.stdout:
            said += line
            if ready := _READY.search(line):
                drain.start()
                yield ready[1], process.pid
                return
        raise BenchError(f"the server did not start: {said.strip()}")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        if drain.ident is not None:
            drain.join()
        process.stdout.close()


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 2**16):
        pass


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process, where the system says so in ``/proc``."""
    try:
        # The name in parentheses may hold spaces (proc_pid_stat(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
