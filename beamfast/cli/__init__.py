"""
The command line: ``beamfast [serve] [PATH]``; further commands have a file each.

The supervisor of a server is started from here and has to stay small, so what
reads journals is loaded when its command is asked for.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from beamfast import __version__
from beamfast.errors import ConfigError
from beamfast.server.config import DEFAULT_ADDRESS, DEFAULT_PORT, ServerConfig
from beamfast.server.logs import log_to_terminal
from beamfast.server.worker import Supervisor, read_config

if TYPE_CHECKING:
    from beamfast.server.server import Server

#: Exit codes beside 0 (done) and 2 (usage or configuration).
FAILURE: Final = 1
PORT_IN_USE: Final = 3


#: Commands that are loaded when they are asked for.
FURTHER: Final = ("journal", "log", "restore")


class DefaultCommand(click.Group):
    """A group whose first word may be left out when it is ``serve``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*self.commands, *FURTHER])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loaded when it is asked for."""
        if cmd_name not in FURTHER:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"beamfast.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``serve`` in front unless a command or a question for help comes."""
        own = {"--help", "-h", "--version"}
        if not args or args[0] not in {*self.list_commands(ctx), *own}:
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=DefaultCommand, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="beamfast")
def main() -> None:
    """
    Serve HTML documents that change in every open browser.

    "serve" is the default: "beamfast ./site" serves a folder, "beamfast" alone
    a demo page.
    """


@main.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--bind",
    envvar=["BEAMFAST_BIND", "BIND_ADDRESS"],
    metavar="ADDRESS",
    help=f"Address to listen on.  [default: {DEFAULT_ADDRESS}]",
)
@click.option(
    "--port",
    envvar=["BEAMFAST_PORT", "PORT"],
    type=click.IntRange(0, 65535),
    help=f"TCP port; 0 takes any free one.  [default: {DEFAULT_PORT}]",
)
@click.option(
    "--workers",
    envvar="BEAMFAST_WORKERS",
    type=click.IntRange(0, 64),
    help="Processes that serve; 0 serves without a supervisor.  [default: 1]",
)
@click.option(
    "--allow-anonymous-writes",
    is_flag=True,
    help="Let everybody who reaches a public address edit.",
)
@click.option(
    "--open/--no-open",
    "open_browser",
    default=None,
    help="Open a browser; by default for the demo on a terminal.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say what happens.")
def serve(
    path: Path | None,
    bind: str | None,
    port: int | None,
    workers: int | None,
    *,
    allow_anonymous_writes: bool,
    open_browser: bool | None,
    verbose: bool,
) -> None:
    """
    Serve PATH, a folder or a configuration file; without PATH a demo page.

    Address and port come from the command line, else from BEAMFAST_BIND and
    BEAMFAST_PORT (or BIND_ADDRESS and PORT), else from the configuration.

    \b
    Examples:
      beamfast ./site
      beamfast serve ./site --port 8080 --verbose
    """  # noqa: D301 - \b keeps click from filling the examples
    tells = verbose or path is None
    log_to_terminal(verbose=tells)
    with ExitStack() as stack:
        is_demo = path is None
        if path is None:
            path = _demo_folder(stack)
        if open_browser is None:
            open_browser = is_demo and sys.stdout.isatty()

        def ready(url: str) -> None:
            _announce(path, url, is_demo=is_demo, verbose=verbose)
            if open_browser:
                import webbrowser  # noqa: PLC0415 - seldom needed

                webbrowser.open(url)

        try:
            config = _config(
                path, bind, port, workers, anonymous=allow_anonymous_writes
            )
            server = _server(config, verbose=tells)
            try:
                server.bind()
            except OSError as error:
                _fail_to_bind(config.address, config.port, error)
            code = server.run(ready)
        except ConfigError as error:
            _fail(str(error), 2)
    sys.exit(code)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Check the configuration file PATH: every mistake, with its line."""
    try:
        config = read_config(path)
        config.check()
    except ConfigError as error:
        _fail(str(error), 2)
    names = ", ".join(name for host in config.hosts for name in host.names)
    click.echo(f"{path} is fine: {names} on {config.address} port {config.port}")


def _config(
    path: Path,
    bind: str | None,
    port: int | None,
    workers: int | None,
    *,
    anonymous: bool,
) -> ServerConfig:
    """Return what to serve: PATH, changed by what the command line says."""
    config = read_config(path) if path.is_file() else ServerConfig.for_folder(path)
    return replace(
        config,
        address=config.address if bind is None else bind,
        port=config.port if port is None else port,
        workers=config.workers if workers is None else workers,
        allow_anonymous_writes=anonymous,
    )


def _server(config: ServerConfig, *, verbose: bool) -> Server | Supervisor:
    """Return what serves ``config``: this process, or workers under it."""
    if config.workers:
        return Supervisor(config, verbose=verbose)
    # Loads everything that a worker needs, and the supervisor has to stay small.
    from beamfast.server.server import Server  # noqa: PLC0415 - for the reason above

    return Server(config)


def _demo_folder(stack: ExitStack) -> Path:
    """Return a temporary folder with the demo page; it goes with the process."""
    import tempfile  # noqa: PLC0415 - for the demo only
    from importlib import resources  # noqa: PLC0415 - for the demo only

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="beamfast-")))
    page = resources.files("beamfast.static").joinpath("demo.html")
    (folder / "index.html").write_bytes(page.read_bytes())
    return folder


def _announce(path: Path, url: str, *, is_demo: bool, verbose: bool) -> None:
    if verbose:
        click.echo(f"PID: {os.getpid()}")
    what = "a demo page in" if is_demo else "folder" if path.is_dir() else "by"
    click.echo(f"beamfast {__version__} serves {what} {path}")
    click.echo(f"Ready at {url}")
    if is_demo:
        click.echo(
            "Open it, then change it from another terminal:\n\n"
            "  curl -X PUT -H 'Range: selector=#message' "
            f"-d '<p id=\"message\">Hello</p>' {url}\n"
            "  curl -X POST -H 'Range: selector=#todo' "
            f"-d '<li>Buy milk</li>' {url}\n"
            f"  curl -N -H 'Accept: text/event-stream' {url}\n"
        )
    click.echo("Ctrl-C stops.")


def _fail_to_bind(bind: str, port: int, error: OSError) -> None:
    text = f"Cannot listen on {bind} port {port}: {error.strerror or error}."
    if error.errno == errno.EADDRINUSE:
        _fail(
            f"{text}\nStop the other server, or choose another port, such as "
            f"--port {port + 1}, or --port 0 for any free one.",
            PORT_IN_USE,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        text += "\nPorts below 1024 need special permission; try --port 3000."
    elif error.errno == errno.EADDRNOTAVAIL:
        text += "\nNo network interface of this machine has that address."
    _fail(text, FAILURE)


def _fail(text: str, code: int) -> Any:
    click.echo(f"beamfast: {text}", err=True)
    sys.exit(code)
