"""``beamfast serve PATH``: a server, in the foreground unless told otherwise."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from beamfast import __version__
from beamfast.cli.failure import FAILURE, PORT_IN_USE, UNUSABLE, fail
from beamfast.cli.ports import free_port_after, holder_of
from beamfast.errors import ConfigError
from beamfast.server.config import DEFAULT_ADDRESS, DEFAULT_PORT, ServerConfig
from beamfast.server.logs import log_to_terminal
from beamfast.server.reading import read_config
from beamfast.server.settings import (
    CONFIG_VARIABLE,
    environment_layers,
    folder_config,
    with_host_names,
)
from beamfast.server.worker import Supervisor
from beamfast.server.written import Written

if TYPE_CHECKING:
    from beamfast.server.server import Server


@click.command()
@click.argument(
    "path",
    required=False,
    envvar=CONFIG_VARIABLE,
    type=click.Path(path_type=Path),
)
@click.option(
    "--bind",
    metavar="ADDRESS",
    help=f"Address to listen on.  [default: {DEFAULT_ADDRESS}]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"TCP port; 0 takes any free one.  [default: {DEFAULT_PORT}]",
)
@click.option("--root", metavar="FOLDER", help="Root of pipelines without a host.")
@click.option(
    "--workers",
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
@click.option(
    "--daemon", is_flag=True, help="Leave the terminal when the server is ready."
)
@click.option(
    "--watch", is_flag=True, help="Reload the configuration file when it is saved."
)
@click.option("--test-config", is_flag=True, help="Check PATH, and start nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Say what happens.")
def serve(
    path: Path | None,
    *,
    open_browser: bool | None,
    daemon: bool,
    test_config: bool,
    **options: Any,
) -> None:
    """
    Serve PATH, a folder or a configuration file; without PATH a demo page.

    A setting comes from the command line, else from BEAMFAST_ and its name in the
    environment (or PORT and BIND_ADDRESS), else from the configuration.

    \b
    Examples:
      beamfast ./site
      beamfast serve ./site --port 8080 --verbose
    """  # noqa: D301 - \b keeps click from filling the examples
    if test_config:
        # The command of its own that does the same.
        from beamfast.cli.check import check  # noqa: PLC0415 - seldom needed

        if path is None:
            raise click.UsageError("--test-config needs a PATH")
        click.get_current_context().invoke(check, path=path)
        return
    is_demo = path is None
    tells = options["verbose"] or is_demo
    log_to_terminal(verbose=tells)
    with ExitStack() as stack:
        if path is None:
            path = _demo_folder(stack)
        if open_browser is None:
            open_browser = is_demo and sys.stdout.isatty()

        served = path

        def ready(url: str) -> None:
            _announce(served, server.urls, is_demo=is_demo, verbose=options["verbose"])
            if open_browser:
                import webbrowser  # noqa: PLC0415 - seldom needed

                webbrowser.open(url)

        overrides = _overrides(options)
        try:
            config = _config(path, overrides)
            if daemon and config.daemon.working_directory is not None:
                # Relative paths are relative to it.
                path = path.absolute()
                os.chdir(config.daemon.working_directory)
                config = _config(path, overrides)
            server = _server(config, path, overrides, verbose=tells)
            try:
                server.bind()
            except OSError as error:
                _fail_to_bind(config, error)
            code = _run_detached(server, tells) if daemon else server.run(ready)
        except ConfigError as error:
            fail(str(error), UNUSABLE)
    sys.exit(code)


def _overrides(options: dict[str, Any]) -> Written:
    """Return what the command line says of settings."""
    given = {
        name: str(value)
        for name, value in options.items()
        if value is not None and value is not False
    }
    return Written(
        "command line",
        texts={name: [text] for name, text in given.items()},
        places={name: f"--{name.replace('_', '-')}" for name in given},
    )


def _config(path: Path, overrides: Written) -> ServerConfig:
    """Return what to serve: PATH, changed by environment and command line."""
    if path.is_file():
        return read_config(path.absolute(), overrides)
    # A folder needs no parser, so the supervisor does without another process.
    layers = [*environment_layers(os.environ), overrides]
    config = with_host_names(folder_config(path, layers).config, os.environ)
    config.check()
    return config


def _server(
    config: ServerConfig, path: Path, overrides: Written, *, verbose: bool
) -> Server | Supervisor:
    """Return what serves ``config``: this process, or workers under it."""
    path = path.absolute()
    if config.workers:
        return Supervisor(config, path=path, overrides=overrides, verbose=verbose)
    # Loads everything that a worker needs, and the supervisor has to stay small.
    from beamfast.server.server import Server  # noqa: PLC0415 - for the reason above

    return Server(config, reread=lambda: read_config(path, overrides))


def _run_detached(server: Server | Supervisor, verbose: bool) -> int:
    """Leave the terminal, and serve; returns in the process that serves."""
    from beamfast.server import daemon  # noqa: PLC0415 - seldom needed

    config = server.config.daemon
    if server.config.file is None:
        config = daemon.with_defaults(config)
    detached = daemon.detach()
    with daemon.pid_file_removed(config.pid_file), contextlib.closing(detached):
        try:
            daemon.settle(config)
            click.echo(f"PID: {os.getpid()}")
            # Before workers start: nothing of the terminal may be left to them.
            daemon.redirect(config)
            log_to_terminal(verbose=verbose)
            if isinstance(server, Supervisor):
                server.pid_file = config.pid_file
            where = " ".join(server.urls)
            told = f"beamfast {__version__} is ready at {where}"
            code = server.run(lambda url: detached.ready(told))
        except ConfigError as error:
            detached.fail(f"beamfast: {error}")
            raise
        log = config.stderr or "nowhere, since daemonStderr is not set"
        detached.fail(f"beamfast: the server ended with {code}; why went to {log}")
        return code


def _demo_folder(stack: ExitStack) -> Path:
    """Return a temporary folder with the demo page; it goes with the process."""
    import tempfile  # noqa: PLC0415 - for the demo only
    from importlib import resources  # noqa: PLC0415 - for the demo only

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="beamfast-")))
    page = resources.files("beamfast.static").joinpath("demo.html")
    (folder / "index.html").write_bytes(page.read_bytes())
    return folder


def _announce(path: Path, urls: list[str], *, is_demo: bool, verbose: bool) -> None:
    if verbose:
        click.echo(f"PID: {os.getpid()}")
    what = "a demo page in" if is_demo else "folder" if path.is_dir() else "by"
    click.echo(f"beamfast {__version__} serves {what} {path}")
    for url in urls:
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
    elif verbose:
        click.echo("Send SIGHUP to reload configuration")
    click.echo("Ctrl-C stops.")


def _fail_to_bind(config: ServerConfig, error: OSError) -> None:
    where = f"{config.address} port {config.port}"
    if config.listeners:
        where = ", ".join(one.listen for one in config.listeners)
    text = f"Cannot listen on {where}: {error.strerror or error}."
    if error.errno == errno.EADDRINUSE:
        for place in config.places:
            port = place.listen.rpartition(":")[2]
            if port.isdecimal() and (holder := holder_of(int(port))):
                text += f"\nPort {port} is taken by {holder}."
        free = free_port_after(config.address, config.port)
        such = f"--port {free}, or " if free else ""
        fail(
            f"{text}\nStop the other server, or choose another port: "
            f"{such}--port 0 for any free one.",
            PORT_IN_USE,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        text += "\nPorts below 1024 need special permission; try --port 3000."
    elif error.errno == errno.EADDRNOTAVAIL:
        text += "\nNo network interface of this machine has that address."
    fail(text, FAILURE)
