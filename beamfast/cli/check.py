"""``beamfast check PATH``: would a server start with this configuration?"""

from __future__ import annotations

from pathlib import Path

import click

from beamfast.cli.failure import UNUSABLE, fail
from beamfast.errors import ConfigError
from beamfast.server.reading import read_config


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """
    Check the configuration file PATH: every mistake, with its place.

    \b
    Examples:
      beamfast check site.html
      beamfast check site.toml && beamfast reload
    """  # noqa: D301 - \b keeps click from filling the examples
    try:
        config = read_config(path)
    except ConfigError as error:
        fail(str(error), UNUSABLE)
    names = ", ".join(name for host in config.hosts for name in host.names)
    if config.listeners:
        places = ", ".join(one.listen for one in config.listeners)
    else:
        places = f"{config.address} port {config.port}"
    click.echo(f"{path} is fine: {names} on {places}")
