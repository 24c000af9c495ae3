"""Configuration is data, and unsafe data is refused."""

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import (
    HostConfig,
    PluginConfig,
    ServerConfig,
    is_loopback_name,
)


def test_a_folder_becomes_one_host_for_every_name(tmp_path):
    config = ServerConfig.for_folder(tmp_path, port=0)
    (host,) = config.hosts
    assert host.root == tmp_path
    assert host.names == ("*",)
    assert [plugin.name for plugin in host.plugins][-1] == "access-log"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no such folder: .*nowhere"):
        ServerConfig.for_folder(tmp_path / "nowhere")


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(ConfigError, match="not a folder"):
        ServerConfig.for_folder(tmp_path / "a")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_open_writes_on_a_public_address_need_the_flag(tmp_path, address):
    hosts = (HostConfig(tmp_path),)
    with pytest.raises(ConfigError, match="--allow-anonymous-writes"):
        ServerConfig(hosts, address=address).check()
    ServerConfig(hosts, address=address, allow_anonymous_writes=True).check()


def test_a_public_address_needs_no_flag_when_every_host_has_rules(tmp_path):
    guarded = HostConfig(tmp_path, plugins=(PluginConfig("authorization"),))
    ServerConfig((guarded,), address="0.0.0.0").check()
    with pytest.raises(ConfigError, match="authorization"):
        ServerConfig((guarded, HostConfig(tmp_path)), address="0.0.0.0").check()


def test_a_loopback_address_needs_no_flag(tmp_path):
    ServerConfig((HostConfig(tmp_path),)).check()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_names(name, expected):
    assert is_loopback_name(name) is expected


def test_a_folder_has_no_file_to_watch(tmp_path):
    with pytest.raises(ConfigError, match="no configuration file to watch"):
        ServerConfig((HostConfig(tmp_path),), watch=True).check()
    ServerConfig((HostConfig(tmp_path),), watch=True, file=tmp_path / "a").check()
