"""``beamfast check`` and ``--test-config``, which are the same."""

import pytest
from click.testing import CliRunner

from beamfast.cli import main

GOOD = '[[host]]\nname = "a.example"\nroot = "."\n'


@pytest.fixture(params=[("check",), ("--test-config",)], ids=["check", "line 9"])
def run(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(text: str):
        (tmp_path / "site.toml").write_text(text)
        return CliRunner().invoke(main, [*request.param, "site.toml"])

    return run


def test_a_good_file_exits_with_0_and_says_what_it_serves(run):
    result = run(GOOD)
    assert result.exit_code == 0
    assert result.output == ("site.toml is fine: a.example on 127.0.0.1 port 3000\n")
    result = run('listen = ["unix:x.sock", "127.0.0.1:81"]\n' + GOOD)
    assert result.output.endswith("on unix:x.sock, 127.0.0.1:81\n")


def test_every_mistake_is_reported_with_its_place_and_the_exit_code_is_2(run):
    result = run('prt = 1\n[limits]\nmax_bdy = 2\n[[host]]\nname = "a"\n')
    assert result.exit_code == 2
    assert "site.toml: prt: unknown property prt; did you mean port?" in result.output
    assert "site.toml: limits.max_bdy: unknown" in result.output
    assert "site.toml: host[0]: HostConfig without hostRoot" in result.output


def test_what_would_be_unsafe_is_a_mistake(run):
    result = run('bind = "0.0.0.0"\n' + GOOD)
    assert result.exit_code == 2
    assert "--allow-anonymous-writes" in result.output


def test_test_config_needs_a_path():
    result = CliRunner().invoke(main, ["--test-config"])
    assert result.exit_code == 2
    assert "needs a PATH" in result.output
