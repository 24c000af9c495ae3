"""``beamfast reload``, ``drain`` and ``status``: servers that run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import click

from beamfast.cli.failure import FAILURE, UNUSABLE, fail
from beamfast.errors import ConfigError
from beamfast.server.commands import Announcement, ask, running_servers

_path = click.argument("path", required=False, type=click.Path(path_type=Path))


@click.command()
@_path
def reload(path: Path | None) -> None:
    """
    Let the server of PATH read its configuration again.

    Without PATH the only server that runs. Exit code 2 when the configuration has
    mistakes; then nothing has changed.

    \b
    Examples:
      beamfast reload
      beamfast reload site.toml
    """  # noqa: D301 - \b keeps click from filling the examples
    server = _find(path)
    if not server.workers:
        os.kill(server.pid, signal.SIGHUP)
        click.echo(f"process {server.pid} was told; its log says what came of it")
        return
    problems = _ask(server, "reload")
    if problems:
        fail("\n".join(problems), UNUSABLE)
    click.echo("Configuration reloaded successfully")


@click.command()
@_path
def drain(path: Path | None) -> None:
    """
    Stop the server of PATH; clients are told that it comes back.

    \b
    Examples:
      beamfast drain ./site
    """  # noqa: D301 - \b keeps click from filling the examples
    server = _find(path)
    if server.workers:
        _ask(server, "drain")
    else:
        os.kill(server.pid, signal.SIGTERM)
    click.echo(f"process {server.pid} drains")


@click.command()
@_path
def status(path: Path | None) -> None:
    """
    Show the servers of this user that run, or the one of PATH.

    \b
    Examples:
      beamfast status
    """  # noqa: D301 - \b keeps click from filling the examples
    servers = list(running_servers()) if path is None else [_find(path)]
    if not servers:
        click.echo("no server runs")
    for server in servers:
        seconds = int(time.time() - server.started)
        click.echo(f"{server.path}: process {server.pid}, up for {seconds} s")
        for url in server.urls:
            click.echo(f"  {url}")
        if server.workers:
            for line in _ask(server, "status"):
                click.echo(f"  {line}")


def _find(path: Path | None) -> Announcement:
    """Return the server that is meant; ends when it is not one."""
    try:
        servers = list(running_servers())
    except ConfigError as error:
        fail(str(error), FAILURE)
    found = [one for one in servers if path is None or one.concerns(path)]
    if not found:
        fail("no server runs" + (f" for {path}" if path else ""), FAILURE)
    if len(found) > 1:
        names = "\n".join(f"  {one.path} (process {one.pid})" for one in found)
        fail(f"several servers run; name one:\n{names}", UNUSABLE)
    return found[0]


def _ask(server: Announcement, word: str) -> Any:
    try:
        return ask(server, word)
    except (OSError, ValueError) as error:
        fail(f"process {server.pid} does not answer: {error}", FAILURE)
