"""The command line without a server behind it; tests/e2e has the rest."""

import errno

import pytest
from click.testing import CliRunner

from beamfast import __version__, cli


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(cli.main, list(arguments))


def test_version_is_printed(run):
    assert run("--version").output == f"beamfast, version {__version__}\n"


def test_help_names_the_commands(run):
    result = run("--help")
    assert result.exit_code == 0
    assert "serve" in result.output


def test_serve_is_the_default_command(run, tmp_path):
    for arguments in (("nowhere",), ("serve", "nowhere")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "no such folder: nowhere" in result.output


def test_a_port_out_of_range_is_a_usage_error(run, tmp_path):
    result = run(str(tmp_path), "--port", "70000")
    assert result.exit_code == 2
    assert "70000" in result.output


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.EADDRINUSE, 3, "--port 81"),
        (errno.EACCES, 1, "below 1024"),
        (errno.EADDRNOTAVAIL, 1, "No network interface"),
        (errno.EIO, 1, "Cannot listen on 127.0.0.1 port 80"),
    ],
)
def test_a_listener_that_fails_says_what_to_do(
    run, tmp_path, monkeypatch, number, code, hint
):
    def fail(self):
        raise OSError(number, "no")

    monkeypatch.setattr(cli.Supervisor, "bind", fail)
    result = run(str(tmp_path), "--port", "80")
    assert result.exit_code == code
    assert hint in result.output
