"""Configurations from files and folders, with environment and command line."""

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import PluginConfig
from beamfast.server.loading import load, load_with_environment
from beamfast.server.written import Written

TOML = """
port = 81
[[host]]
name = "a.example"
aliases = ["b.example c.example"]
root = "site"
server_header = "club/1"
ssl_cert = "cert.pem"
plugins = ["file-handler"]
"""
HTML = """
<dl itemscope itemtype="https://rustybeam.net/schema/ServerConfig">
  <dd itemprop="bindPort">81</dd></dl>
<div itemscope itemtype="https://rustybeam.net/schema/HostConfig">
  <b itemprop="hostname">a.example</b> <b itemprop="hostname">b.example</b>
  <b itemprop="aliases">c.example</b>
  <b itemprop="hostRoot">site</b> <b itemprop="serverHeader">club/1</b>
  <b itemprop="ssl-cert">cert.pem</b>
  <ol><li itemprop="plugin" itemscope itemtype="https://rustybeam.net/schema/Plugin">
    <b itemprop="name">file-handler</b></li></ol>
</div>
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "cert.pem").touch()
    (tmp_path / "a.toml").write_text(TOML)
    (tmp_path / "a.html").write_text(HTML)
    for name in ("PORT", "BIND_ADDRESS", "BEAMFAST_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["a.toml", "a.html"])
def test_both_forms_give_the_same_configuration(folder, name):
    config = load(folder / name).config
    (host,) = config.hosts
    assert config.port == 81
    assert config.file == folder / name
    assert host.names == ("a.example", "b.example", "c.example")
    assert host.root == folder / "site"
    assert host.server_header == "club/1"
    assert host.ssl_cert == folder / "cert.pem"
    assert host.plugins == (PluginConfig("file-handler"),)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    folder, monkeypatch
):
    file = folder / "a.toml"
    assert load_with_environment(file).sources == {"port": f"{file}: port"}
    monkeypatch.setenv("PORT", "82")
    assert load_with_environment(file).config.port == 82
    monkeypatch.setenv("BEAMFAST_PORT", "83")
    assert load_with_environment(file).config.port == 83
    said = Written("command line", texts={"port": ["84"]}, places={"port": "--port"})
    loaded = load_with_environment(file, said)
    assert (loaded.config.port, loaded.sources) == (84, {"port": "--port"})


def test_mistakes_of_all_layers_are_reported_at_once(folder, monkeypatch):
    monkeypatch.setenv("BEAMFAST_PORT", "many")
    (folder / "a.toml").write_text(TOML.replace("site", "nowhere"))
    with pytest.raises(ConfigError) as refused:
        load_with_environment(folder / "a.toml")
    assert "BEAMFAST_PORT: " in str(refused.value)
    assert "no such folder: nowhere" in str(refused.value)


def test_a_certificate_that_is_not_there_is_a_mistake(folder):
    (folder / "cert.pem").unlink()
    with pytest.raises(ConfigError, match=r"ssl_cert: no such file: cert\.pem"):
        load(folder / "a.toml")


def test_a_folder_is_served_as_it_is(folder):
    config = load(folder / "site").config
    assert config.file is None
    assert config.hosts[0].root == folder / "site"


def test_a_file_that_cannot_be_read_is_named(folder):
    with pytest.raises(ConfigError, match=r"none\.html: No such file"):
        load(folder / "none.html")
    (folder / "latin.html").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"latin\.html: .*decode"):
        load(folder / "latin.html")
