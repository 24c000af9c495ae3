"""Settings in layers: file, environment, command line; each value with its source."""

from pathlib import Path

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import HostConfig, ListenerConfig, ServerConfig
from beamfast.server.settings import (
    apply,
    environment_layers,
    folder_config,
    read_settings,
    server_fields,
    with_host_names,
)
from beamfast.server.written import Written


def layer(place: str = "site.html:1", **texts: str) -> Written:
    return Written(place, texts={name: [text] for name, text in texts.items()})


def test_the_later_layer_wins_and_is_the_source():
    settings = read_settings(
        [layer(bindPort="1", workers="2"), layer("--port", port="3")]
    )
    assert settings.values == {"port": 3, "workers": 2}
    assert settings.sources == {"port": "--port", "workers": "site.html:1"}


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("maxBody", "4 MiB", "limits.max_body", 4 * 2**20),
        ("request-timeout", "12.5", "limits.body_timeout", 12.5),
        ("max-connections", "1000", "limits.max_connections", 1000),
        ("daemonUmask", "0o022", "daemon.umask", 0o022),
        (
            "trusted_proxies",
            "10.0.0.0/8, unix",
            "trusted_proxies",
            ("10.0.0.0/8", "unix"),
        ),
        ("serverRoot", "./x", "root", "./x"),
    ],
)
def test_a_setting_is_found_under_each_of_its_names(name, text, field, value):
    assert read_settings([layer(**{name: text})]).values == {field: value}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("bindPort", "many", "bindPort: 'many' is not a port"),
        ("port", "70000", "'70000' is not a port"),
        ("workers", "65", "65 is not between 0 and 64"),
        ("drain", "soon", "'soon' is not a number"),
        ("daemonUmask", "9", "'9' is not an octal number"),
        ("max_body", "2 parsecs", "'2 parsecs' is not a number of bytes"),
        ("bindPrt", "1", "unknown property bindPrt; did you mean bindPort?"),
        ("daemon_pidfil", "x", "did you mean daemon_pid_file?"),
        ("keepalives", "x", "did you mean keep_alive?"),
    ],
)
def test_every_mistake_has_its_place(name, text, problem):
    first, second = read_settings([layer(**{name: text, "wworkers": "1"})]).problems
    assert first.startswith("site.html:1: ")
    assert problem in first
    assert "did you mean workers?" in second


def test_an_address_beside_other_listeners_is_meant_as_well(tmp_path):
    config = ServerConfig((HostConfig(tmp_path),))
    alone = read_settings([layer(listen="unix:/run/x.sock")])
    assert apply(config, alone).places == (ListenerConfig("unix:/run/x.sock"),)
    both = read_settings([layer(listen="unix:/run/x.sock", port="81")])
    assert [one.listen for one in apply(config, both).places] == [
        *("127.0.0.1:81", "unix:/run/x.sock"),
    ]


def test_our_variables_win_over_those_of_the_platform():
    layers = environment_layers(
        {
            "PORT": "1",
            "BIND_ADDRESS": "127.0.0.2",
            "BEAMFAST_PORT": "2",
            "BEAMFAST_MAX_BODY": "7",
            "HOSTNAME": "b0c4",
            "BEAMFAST_CONFIG": "x.html",
            "BEAMFAST_DRAIN": "",
        }
    )
    settings = read_settings(layers)
    assert settings.values == {
        "address": "127.0.0.2",
        "port": 2,
        "limits.max_body": 7,
    }
    assert settings.sources["address"] == "BIND_ADDRESS"
    assert settings.sources["port"] == "BEAMFAST_PORT"


def test_a_variable_that_means_nothing_is_a_warning(caplog):
    assert read_settings(environment_layers({"BEAMFAST_PORRT": "1"})).values == {}
    assert "BEAMFAST_PORRT means nothing here; did you mean port?" in caplog.text


def test_a_variable_adds_names_to_the_first_host(tmp_path):
    config = ServerConfig((HostConfig(tmp_path, ("a",)), HostConfig(tmp_path, ("b",))))
    added = with_host_names(config, {"BEAMFAST_HOSTNAMES": "a, c.example"})
    assert [host.names for host in added.hosts] == [("a", "c.example"), ("b",)]
    assert with_host_names(config, {}) is config


def test_a_folder_has_settings_too(tmp_path):
    loaded = folder_config(tmp_path, [layer("BEAMFAST_PORT", port="82")])
    assert loaded.config.port == 82
    assert loaded.sources == {"port": "BEAMFAST_PORT"}
    with pytest.raises(ConfigError, match="not a port"):
        folder_config(tmp_path, [layer(port="x")])
    with pytest.raises(ConfigError, match="no such folder"):
        folder_config(tmp_path / "nowhere")


def test_every_alias_leads_to_a_field():
    assert all(name for name, _ in server_fields().values())


def test_every_setting_is_documented():
    page = Path(__file__).parents[2] / "docs/reference/configuration.md"
    text = page.read_text("utf-8")
    undocumented = set()
    for name, _ in server_fields().values():
        group, _, own = name.rpartition(".")
        if f"`{'daemon_' if group == 'daemon' else ''}{own}`" not in text:
            undocumented.add(name)
    assert undocumented == set()
