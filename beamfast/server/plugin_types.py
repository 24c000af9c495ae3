"""
Plugin classes by the names that configurations use.

Built-in ones are the modules of :mod:`beamfast.plugins`; others come from the
entry points ``beamfast.plugins``, or are named as ``python:module:Class`` or
``file:///path/of/source.py``, with ``:Class`` if there are several in it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import beamfast.plugins
from beamfast.errors import ConfigError
from beamfast.pipeline import Plugin
from beamfast.server.config import PluginConfig
from beamfast.server.options import nearest

PLUGIN_GROUP: Final = "beamfast.plugins"
PYTHON_SCHEME: Final = "python:"
#: Errors whose text says enough.
_PLAIN: Final = (ImportError, ModuleNotFoundError, AttributeError)
FILE_SCHEME: Final = "file://"


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
    if name.startswith(FILE_SCHEME):
        return _file_type(name)
    if name in builtin_names():
        module = importlib.import_module(f"beamfast.plugins.{name.replace('-', '_')}")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Plugin)
                and getattr(value, "name", None) == name
            ):
                return value
    for point in entry_points(group=PLUGIN_GROUP, name=name):
        try:
            other = point.load()
        except Exception as error:
            raise ConfigError(f"plugin {name}: {_reason(error)}") from error
        return _checked(other, name)
    raise ConfigError(
        f"there is no plugin named {name}{nearest(name, builtin_names())}"
    )


def takes_name(name: str) -> bool:
    """Tell whether the name of an instance is an option of this plugin."""
    try:
        return any(
            field.name == "name" for field in fields(plugin_type(name).options_type)
        )
    except ConfigError:
        # Whoever makes the plugin reports it.
        return False


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


def load_plugins(configs: Iterable[PluginConfig]) -> tuple[Plugin[Any], ...]:
    """
    Construct a whole pipeline.

    Raises:
        ConfigError: as :func:`load_plugin`, or a plugin is in the wrong place.
    """
    plugins = tuple(load_plugin(config) for config in configs)
    _check_places(plugins, ())
    return plugins


def _check_places(
    plugins: tuple[Plugin[Any], ...], outside: tuple[Plugin[Any], ...]
) -> None:
    for index, plugin in enumerate(plugins):
        before = outside + plugins[:index]
        try:
            plugin.check_place(before)
        except ValueError as error:
            raise ConfigError(f"plugin {plugin.name}: {error}") from error
        _check_places(plugin.nested, before)


def _python_type(name: str) -> type[Plugin[Any]]:
    module_name, _, class_name = name.removeprefix(PYTHON_SCHEME).partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:
        raise ConfigError(f"{name}: {_reason(error)}") from error
    return _checked(found, name)


def _file_type(name: str) -> type[Plugin[Any]]:
    """Return the plugin class of a source file, named or the only one in it."""
    path, _, class_name = name.removeprefix(FILE_SCHEME).partition(".py")
    module = _module(Path(f"{path}.py"))
    if class_name:
        return _checked(getattr(module, class_name.removeprefix(":"), None), name)
    own = [
        one
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, Plugin)
        and one.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise ConfigError(f"{name}: {len(own)} plugin classes; add :ClassName")
    return _checked(own[0], name)


def _module(path: Path) -> ModuleType:
    """Return the module of a file; another one when the file has changed."""
    try:
        stat = path.stat()
        key = f"{path}:{stat.st_mtime_ns}:{stat.st_size}".encode()
        name = f"beamfast_plugin_{hashlib.blake2b(key, digest_size=8).hexdigest()}"
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        # Dataclasses look their module up while it is executed.
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        raise ConfigError(f"{path}: {_reason(error)}") from error
    return module


def _reason(error: Exception) -> str:
    """Say what went wrong in the code of others."""
    kind = type(error)
    return str(error) if kind in _PLAIN else f"{kind.__name__}: {error}"


def _checked(found: object, name: str) -> type[Plugin[Any]]:
    if not (isinstance(found, type) and issubclass(found, Plugin)):
        raise ConfigError(f"{name} is not a plugin class")
    if not is_dataclass(getattr(found, "options_type", None)):
        raise ConfigError(f"{name}: say class X(Plugin[Options]), with a dataclass")
    if not isinstance(getattr(found, "name", None), str):
        raise ConfigError(f"{name}: the class has no name")
    return found
