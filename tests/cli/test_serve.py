"""The command that serves, without a server; tests/e2e has the rest."""

import errno

import pytest
from click.testing import CliRunner

from beamfast.cli import main
from beamfast.server import worker
from beamfast.server.config import ServerConfig


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.EADDRINUSE, 3, "--port 0"),
        (errno.EACCES, 1, "below 1024"),
        (errno.EADDRNOTAVAIL, 1, "No network interface"),
        (errno.EIO, 1, "Cannot listen on 127.0.0.1 port 80"),
    ],
    ids=[
        "line 5: in use",
        "line 6: without privilege",
        "of another machine",
        "otherwise",
    ],
)
def test_a_listener_that_fails_says_what_to_do(
    run, tmp_path, monkeypatch, number, code, hint
):
    def fail(self):
        raise OSError(number, "no")

    monkeypatch.setattr(worker.Supervisor, "bind", fail)
    result = run(str(tmp_path), "--port", "80")
    assert result.exit_code == code
    assert hint in result.output
    assert "Traceback" not in result.output


def test_line_15_environment_and_command_line_override_the_document(
    run, tmp_path, monkeypatch
):
    seen: list[ServerConfig] = []

    def remember(self):
        seen.append(self.config)
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(worker.Supervisor, "bind", remember)
    file = tmp_path / "site.toml"
    file.write_text(
        f'bind = "127.0.0.9"\nport = 1\n[[host]]\nname = "a"\nroot = "{tmp_path}"'
    )
    for name in ("BEAMFAST_PORT", "BEAMFAST_BIND", "PORT", "BIND_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOSTNAME", "b0c4")
    run(str(file))
    monkeypatch.setenv("PORT", "2")
    monkeypatch.setenv("BIND_ADDRESS", "127.0.0.2")
    run(str(file))
    monkeypatch.setenv("BEAMFAST_PORT", "3")
    monkeypatch.setenv("BEAMFAST_BIND", "127.0.0.3")
    run(str(file))
    run(str(file), "--port", "4", "--bind", "127.0.0.4")
    assert [(one.address, one.port) for one in seen] == [
        ("127.0.0.9", 1),
        ("127.0.0.2", 2),
        ("127.0.0.3", 3),
        ("127.0.0.4", 4),
    ]
    assert {one.hosts[0].names for one in seen} == {("a",)}


def test_the_configuration_may_be_named_by_the_environment(run, monkeypatch):
    monkeypatch.setenv("BEAMFAST_CONFIG", "nowhere.html")
    assert "no such folder: nowhere.html" in run("serve").output
