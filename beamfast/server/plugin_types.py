"""
Plugin classes by the names that configurations use.

Built-in ones are the modules of :mod:`beamfast.plugins`; others come from the
entry points ``beamfast.plugins``, or are named as ``python:module:Class``.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Any, Final

import beamfast.plugins
from beamfast.errors import ConfigError
from beamfast.pipeline import Plugin
from beamfast.server.config import PluginConfig
from beamfast.server.options import nearest

PLUGIN_GROUP: Final = "beamfast.plugins"
PYTHON_SCHEME: Final = "python:"


def builtin_names() -> list[str]:
    """Return the names of the plugins that come with the package."""
    return [
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(beamfast.plugins.__path__)
    ]


def plugin_type(name: str) -> type[Plugin[Any]]:
    """
    Return the class of a plugin.

    Raises:
        ConfigError: there is no such plugin, or it cannot be imported.
    """
    if name.startswith(PYTHON_SCHEME):
        return _python_type(name)
    if name in builtin_names():
        module = importlib.import_module(f"beamfast.plugins.{name.replace('-', '_')}")
        for value in vars(module).values():
            if isinstance(value, type) and getattr(value, "name", None) == name:
                found: type[Plugin[Any]] = value
                return found
    for point in entry_points(group=PLUGIN_GROUP, name=name):
        return _checked(point.load(), name)
    raise ConfigError(
        f"there is no plugin named {name}{nearest(name, builtin_names())}"
    )


def load_plugin(config: PluginConfig) -> Plugin[Any]:
    """
    Construct a plugin from its name and options, and the plugins inside it.

    Raises:
        ConfigError: there is no such plugin, or it cannot do what its options ask.
    """
    found = plugin_type(config.name)
    if config.nested and not found.holds_plugins:
        raise ConfigError(f"plugin {config.name} takes no plugins inside it")
    try:
        plugin = found(found.options_type(**config.options))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"plugin {config.name}: {error}") from error
    plugin.nested = tuple(load_plugin(one) for one in config.nested)
    return plugin


def _python_type(name: str) -> type[Plugin[Any]]:
    module_name, _, class_name = name.removeprefix(PYTHON_SCHEME).partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name}: {error}") from error
    return _checked(found, name)


def _checked(found: object, name: str) -> type[Plugin[Any]]:
    if not (isinstance(found, type) and issubclass(found, Plugin)):
        raise ConfigError(f"{name} is not a plugin class")
    return found
