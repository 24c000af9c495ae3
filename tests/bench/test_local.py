"""A server of the own version, and the machine that it runs on."""

import os
import resource
import urllib.request
from pathlib import Path

import pytest

from beamfast import __version__
from beamfast.bench import local
from beamfast.bench.load import BenchError


def test_a_server_runs_as_long_as_the_block(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    site = tmp_path / "site"
    site.mkdir()
    with local.local_server(site) as (url, pid):
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == local.PAGE.encode()
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_does_not_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setenv("BEAMFAST_PORT", "nonsense")
    monkeypatch.setenv("BEAMFAST_WORKERS", "nonsense")
    with (
        pytest.raises(BenchError, match=r"did not start: .*nonsense"),
        local.local_server(tmp_path),
    ):
        pass


def test_the_cpu_time_of_a_process_never_goes_back():
    before = local.cpu_seconds(os.getpid())
    after = local.cpu_seconds(os.getpid())
    if before is None:
        assert not Path("/proc/self/stat").exists()
    else:
        assert after >= before


def test_a_process_that_is_gone_has_no_cpu_time():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert local.cpu_seconds(pid) is None


def test_more_descriptors_than_the_machine_allows_are_an_error():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        hard = 2**40
    with pytest.raises(BenchError, match="ulimit"):
        local.make_room(hard + 1)


def test_the_limit_is_raised_where_it_may_be():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        local.make_room(600)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600
        local.make_room(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_machine_is_named():
    found = local.machine()
    assert found["beamfast"] == __version__
    assert int(found["cores"]) >= 1
