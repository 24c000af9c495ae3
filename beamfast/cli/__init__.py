"""
The command line: ``beamfast [serve] [PATH]``; every command has a file.

The supervisor of a server is started from here and has to stay small, so a command
is loaded when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

from beamfast import __version__

DEFAULT: Final = "serve"

#: Commands, which are loaded when they are asked for.
FURTHER: Final = (
    "bench",
    "check",
    "config",
    "hash-password",
    "journal",
    "log",
    "restore",
    "serve",
    "watch",
    "ws",
)
#: Commands that share a file.
EDITS: Final = ("delete", "get", "post", "put")
RUNNING: Final = ("drain", "reload", "status")


class DefaultCommand(click.Group):
    """A group whose first word may be left out when it is ``serve``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(FURTHER + EDITS + RUNNING)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loaded when it is asked for."""
        command: click.Command
        if cmd_name in EDITS:
            command = importlib.import_module("beamfast.cli.edit").COMMANDS[cmd_name]
            return command
        if cmd_name not in FURTHER + RUNNING:
            return None
        name = cmd_name.replace("-", "_")
        file = "running" if name in RUNNING else name
        module = importlib.import_module(f"beamfast.cli.{file}")
        # A function that does the work may have the name of the module.
        command = getattr(module, f"{name}_command", None) or getattr(module, name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``serve`` in front unless a command or a question for help comes."""
        own = {"--help", "-h", "--version"}
        if not args or args[0] not in {*self.list_commands(ctx), *own}:
            args = [DEFAULT, *args]
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
