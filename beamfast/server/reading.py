"""
Read a configuration in another process; standard library only.

Reading one takes the parser of HTML and every plugin, and whoever supervises
workers stays small.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from beamfast.errors import ConfigError
from beamfast.server.config import ServerConfig
from beamfast.server.control import config_from_json, overrides_to_json
from beamfast.server.written import Written


def command(*arguments: str) -> list[str]:
    """Return a command for our own code in a fresh interpreter."""
    # "-m" puts the current folder in front of the module path. Unless that is how
    # this process was started, a json.py in a served folder must not be imported.
    here = sys.path[:1] in ([""], [os.getcwd()])  # noqa: PTH109 - compared as text
    safe = [] if here else ["-P"]
    return [sys.executable, *safe, "-m", "beamfast.server", *arguments]


def config_command(path: Path, overrides: Written | None) -> list[str]:
    """Return the command that prints a configuration."""
    said = overrides_to_json(overrides or Written("command line"))
    return command("config", str(path), said)


def read_config(path: Path, overrides: Written | None = None) -> ServerConfig:
    """
    Read a configuration file, in another process.

    Args:
        path: of the file, or of a folder.
        overrides: what the command line says.

    Raises:
        ConfigError: it cannot be used; names every mistake.
    """
    done = subprocess.run(  # noqa: S603 - our own code
        config_command(path, overrides),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(done.stdout or f"{path}: cannot be read")
    return config_from_json(done.stdout)
