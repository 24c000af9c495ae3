"""Plugins by name, by entry point, and by Python path."""

import pytest

from beamfast.errors import ConfigError
from beamfast.plugins.websocket import WebSocketPlugin
from beamfast.server import plugin_types
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import (
    builtin_names,
    load_plugin,
    plugin_type,
    takes_name,
)


def test_every_builtin_name_has_a_plugin():
    for name in builtin_names():
        assert plugin_type(name).name == name


def test_an_unknown_plugin_is_named_with_a_hint():
    with pytest.raises(ConfigError, match="no plugin named frobnicate"):
        load_plugin(PluginConfig("frobnicate"))
    with pytest.raises(ConfigError, match="did you mean websocket"):
        load_plugin(PluginConfig("web-sockets"))


def test_an_unknown_option_is_named():
    with pytest.raises(ConfigError, match=r"websocket: .*frobnicate"):
        load_plugin(PluginConfig("websocket", {"frobnicate": 1}))


def test_a_plugin_gets_its_options():
    plugin = load_plugin(PluginConfig("websocket", {"ping_interval": 3.0}))
    assert plugin.options.ping_interval == 3.0


def test_a_python_path_names_a_class():
    name = "python:beamfast.plugins.websocket:WebSocketPlugin"
    assert plugin_type(name) is WebSocketPlugin


@pytest.mark.parametrize(
    "name",
    ["python:no.such.module:X", "python:beamfast.http:Nothing", "python:json:loads"],
)
def test_a_python_path_that_leads_nowhere(name):
    with pytest.raises(ConfigError, match=name):
        plugin_type(name)


def test_a_third_party_plugin_comes_from_its_entry_point(monkeypatch):
    class Point:
        def load(self):
            return WebSocketPlugin

    found = {"other": [Point()]}
    monkeypatch.setattr(
        plugin_types, "entry_points", lambda group, name: found.get(name, [])
    )
    assert plugin_type("other") is WebSocketPlugin


SOURCE = """
from dataclasses import dataclass
from beamfast.pipeline import Plugin

@dataclass(frozen=True)
class Options:
    pass

class One(Plugin[Options]):
    name = "one"
"""


def test_line_110_a_plugin_comes_from_a_source_file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(SOURCE)
    found = plugin_type(f"file://{path}")
    assert found.name == "one"
    assert plugin_type(f"file://{path}:One") is found
    path.write_text(SOURCE.replace('"one"', '"another"'))
    assert plugin_type(f"file://{path}").name == "another"
    with pytest.raises(ConfigError, match="not a plugin class"):
        plugin_type(f"file://{path}:Two")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("x = 1", "0 plugin classes"),
        (SOURCE.replace("[Options]", ""), "with a dataclass"),
        (SOURCE.replace("[Options]", "[dict]"), "with a dataclass"),
        (SOURCE.replace('name = "one"', "pass"), "the class has no name"),
        (SOURCE + "class Two(One): ...", "2 plugin classes; add :ClassName"),
    ],
)
def test_a_source_file_that_is_no_plugin_says_why(tmp_path, text, message):
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        plugin_type(f"file://{path}")


def test_a_source_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"own\.py: No such file"):
        plugin_type(f"file://{tmp_path}/own.py")


def test_an_entry_point_that_fails_is_named(monkeypatch):
    class Point:
        def load(self):
            raise RuntimeError("broken")

    monkeypatch.setattr(plugin_types, "entry_points", lambda **_: [Point()])
    with pytest.raises(ConfigError, match="plugin other: RuntimeError: broken"):
        plugin_type("other")


def test_the_name_of_an_instance_means_something_to_some_plugins():
    assert takes_name("oauth2")
    assert not takes_name("cors")
    assert not takes_name("nobody")
