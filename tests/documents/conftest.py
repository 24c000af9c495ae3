"""Pages that nobody here wrote: the HTML of two Debian documentation packages."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGES = ["git-doc", "sqlite3-doc"]


def unpack(package: str, cache: Path) -> Path:
    """Download and unpack a package below ``cache`` unless it is there already."""
    target = cache / package
    if target.exists():
        return target
    scratch = cache / f"{package}.part"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    subprocess.run(
        ["apt-get", "download", "-q", package],
        cwd=scratch,
        check=True,
        capture_output=True,
    )
    (archive,) = scratch.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, scratch / "files"], check=True)
    (scratch / "files").rename(target)
    shutil.rmtree(scratch)
    return target


@pytest.fixture(scope="session")
def debian_pages(pytestconfig: pytest.Config) -> list[bytes]:
    """Every page once, in an order that is the same everywhere."""
    cache = pytestconfig.rootpath / "tests" / ".cache" / "debian"
    pages: dict[bytes, None] = {}
    for package in PACKAGES:
        for page in sorted(unpack(package, cache).rglob("*.html")):
            if page.is_file() and not page.is_symlink():
                pages[page.read_bytes()] = None
    return list(pages)


@pytest.fixture
def best_time() -> Callable[[Callable[[], object]], float]:
    """Return a stopwatch: the least processor time of several runs."""

    def measure(work: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    return measure
