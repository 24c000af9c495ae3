"""The command line without a server behind it; tests/e2e has the rest."""

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
