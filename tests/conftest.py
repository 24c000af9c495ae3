"""
Deselect what this machine cannot run, and say so.

A test that needs more than Python packages carries the ``system`` marker::

    @pytest.mark.system("curl")                          # a program on PATH
    @pytest.mark.system(debian=["git-doc"])              # a package apt can download

Where something is missing, the test is deselected and counted in the summary;
``.ci/run`` takes any such count for a failure.
"""

import functools
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from beamfast._fanout import TopicRegistry

from .turns import Loop, Subscriber

# How long a machine that is busy takes says nothing about an example.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

DESELECTED = pytest.StashKey[int]()
MISSING = pytest.StashKey[set[str]]()


@functools.cache
def program_names(pyproject: Path) -> dict[str, list[str]]:
    """Read which programs will do for which name (noxfile.py reads the same)."""
    settings = tomllib.loads(pyproject.read_text("utf-8"))
    return settings["tool"]["beamfast"]["system-programs"]


@functools.cache
def find_program(name: str, pyproject: Path) -> str | None:
    for candidate in program_names(pyproject).get(name, [name]):
        if path := shutil.which(candidate):
            return path
    return None


@functools.cache
def is_downloadable(package: str) -> bool:
    if not all(map(shutil.which, ("apt-cache", "apt-get", "dpkg-deb"))):
        return False
    answer = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", package],
        capture_output=True,
        check=False,
    )
    return answer.returncode == 0


def missing_needs(item: pytest.Item) -> Iterator[str]:
    pyproject = item.config.rootpath / "pyproject.toml"
    for marker in item.iter_markers("system"):
        for program in marker.args:
            if find_program(program, pyproject) is None:
                yield program
        for package in marker.kwargs.get("debian", ()):
            if not is_downloadable(package):
                yield package


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    missing: set[str] = set()
    selected, deselected = [], []
    for item in items:
        needs = set(missing_needs(item))
        missing |= needs
        (deselected if needs else selected).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = selected
    config.stash[DESELECTED] = len(deselected)
    config.stash[MISSING] = missing


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if count := config.stash.get(DESELECTED, 0):
        tests = "test" if count == 1 else "tests"
        names = ", ".join(sorted(config.stash[MISSING]))
        terminalreporter.write_line(
            f"{count} {tests} deselected: system packages missing: {names}",
            yellow=True,
        )


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config) -> Callable[[str], str]:
    """Return the path of a program that the ``system`` marker asked for."""

    def find(name: str) -> str:
        path = find_program(name, pytestconfig.rootpath / "pyproject.toml")
        assert path is not None, f"no @pytest.mark.system({name!r}) on this test"
        return path

    return find


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def registry(loop, request):
    return TopicRegistry(loop, ordered=getattr(request, "param", False))


@pytest.fixture
def join(registry):
    """Make subscribers whose sockets are closed after the test."""
    made = []

    def join(*names, form=bytes, filters=frozenset(), **options):
        made.append(subscriber := Subscriber(registry, **options))
        for name in names:
            assert registry.subscribe(subscriber, name, form, filters)
        return subscriber

    yield join
    for subscriber in made:
        subscriber.wire.lose()
        subscriber.wire.peer.close()


@pytest.fixture
def openid_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A real OpenID provider on loopback; see ``plugins/provider.py``."""
    from .plugins.provider import Provider

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    provider = Provider()
    yield provider
    provider.stop()
