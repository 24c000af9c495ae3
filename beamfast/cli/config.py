"""``beamfast config PATH``: what a server would do, and who says so."""

from __future__ import annotations

from pathlib import Path

import click

from beamfast.cli.failure import UNUSABLE, fail
from beamfast.errors import ConfigError
from beamfast.server.effective import describe
from beamfast.server.loading import load_with_environment


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--all/--set", "everything", default=True, help="Show defaults, too.")
def config(path: Path, *, everything: bool) -> None:
    """
    Print the effective configuration of PATH in TOML, each value with its source.

    Secrets are masked. What is printed is a configuration file in itself.

    \b
    Examples:
      beamfast config site.html
      BEAMFAST_PORT=8080 beamfast config site.toml --set
    """  # noqa: D301 - \b keeps click from filling the examples
    try:
        loaded = load_with_environment(path)
    except ConfigError as error:
        fail(str(error), UNUSABLE)
    for line in describe(loaded, everything=everything):
        click.echo(line)
