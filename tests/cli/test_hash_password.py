"""Hashes that a page of users takes, and what is no password."""

import importlib

import pytest
from click.testing import CliRunner

from beamfast.cli import main
from beamfast.documents.credentials import HASHES, Credential
from beamfast.errors import ConfigError


def run(password: str, *arguments: str):
    return CliRunner().invoke(main, ["hash-password", *arguments], input=password)


@pytest.mark.parametrize("kind", HASHES)
def test_a_hash_lets_its_password_in(kind):
    done = run("correct: hörse\n", "--kind", kind)
    assert done.exit_code == 0, done.output
    user = Credential("ann", done.output.strip(), encryption=kind)
    assert user.verify("correct: hörse")
    assert not user.verify("correct")


def test_two_hashes_of_one_password_differ():
    assert run("x", "--kind", "scrypt").output != run("x", "--kind", "scrypt").output


def test_an_empty_password_is_a_usage_error():
    done = run("\n")
    assert done.exit_code == 2
    assert "the password is empty" in done.output


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    module = importlib.import_module("beamfast.cli.hash_password")

    def fail(*_):
        raise ConfigError("argon2 is missing: pip install 'beamfast[auth]'")

    monkeypatch.setattr(module, "hash_password", fail)
    done = run("x")
    assert done.exit_code == 1
    assert "pip install 'beamfast[auth]'" in done.output
