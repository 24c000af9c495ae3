"""The effective configuration, as a file that means the same."""

from dataclasses import dataclass, field

import pytest

from beamfast.pipeline import Plugin
from beamfast.server import plugin_types
from beamfast.server.effective import describe
from beamfast.server.loading import load
from beamfast.server.written import Written

TOML = """
port = 81
[limits]
max_body = "1 MiB"
[daemon]
umask = 0o022
[[listener]]
listen = "127.0.0.1:82"
[[host]]
name = "localhost"
root = "site"
[[host.plugin]]
name = "directory"
directory = "/a"
[[host.plugin.plugin]]
name = "websocket"
ping_interval = 3
[[host.plugin]]
name = "file-handler"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site").mkdir()
    return tmp_path


@pytest.mark.parametrize("everything", [True, False])
def test_what_is_printed_is_the_same_configuration(folder, everything):
    file, again = folder / "a.toml", folder / "b.toml"
    file.write_text(TOML)
    loaded = load(file)
    again.write_text("\n".join(describe(loaded, everything=everything)))
    read = load(again).config
    assert read.limits == loaded.config.limits
    assert read.daemon == loaded.config.daemon
    places = [one.listen for one in loaded.config.places]
    assert places == ["127.0.0.1:81", "127.0.0.1:82"]
    assert [one.listen for one in read.places] == places
    for own, other in zip(loaded.config.hosts, read.hosts, strict=True):
        assert (own.names, own.root) == (other.names, other.root)
        for one, two in zip(own.plugins, other.plugins, strict=True):
            assert one.name == two.name
            assert one.options.items() <= two.options.items()


def test_each_value_has_its_source(folder):
    file = folder / "a.toml"
    file.write_text(TOML.replace("[[listener]]", "").replace("listen =", "#"))
    said = Written(
        "command line", texts={"workers": ["2"]}, places={"workers": "--workers"}
    )
    lines = list(describe(load(file, [said])))
    compact = {" ".join(line.split()) for line in lines}
    assert f"port = 81 # {file}: port" in compact
    assert "workers = 2 # --workers" in compact
    assert "drain = 20.0 # default" in compact
    assert 'umask = "0o22" # ' + f"{file}: daemon.umask" in compact
    assert "ping_timeout = 20.0 # default" in compact


def test_secrets_are_masked_and_may_be_written_elsewhere(folder, monkeypatch):
    @dataclass(frozen=True)
    class Options:
        client_secret: str = field(default="", metadata={"secret": True})

    class Login(Plugin[Options]):
        name = "login"

    class Point:
        def load(self):
            return Login

    monkeypatch.setattr(
        plugin_types,
        "entry_points",
        lambda group, name: [Point()] if name == "login" else [],
    )
    monkeypatch.setenv("LOGIN_SECRET", "hush")
    (folder / "secret").write_text("quiet\n")
    for text, value in [
        ("env:LOGIN_SECRET", "hush"),
        (f"file:{folder}/secret", "quiet"),
        ("plain", "plain"),
    ]:
        file = folder / "a.toml"
        file.write_text(
            '[[host]]\nname = "a"\nroot = "site"\n'
            f'[[host.plugin]]\nname = "login"\nclient_secret = "{text}"\n'
        )
        loaded = load(file)
        assert loaded.config.hosts[0].plugins[0].options == {"client_secret": value}
        printed = "\n".join(describe(loaded))
        assert value not in printed
        assert 'client_secret = "***"' in printed
