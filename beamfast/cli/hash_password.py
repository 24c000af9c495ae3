"""``beamfast hash-password``: what to write into a page of users."""

from __future__ import annotations

import sys

import click

from beamfast.documents.credentials import HASHES, hash_password
from beamfast.errors import ConfigError


@click.command("hash-password")
@click.option(
    "--kind",
    type=click.Choice(HASHES),
    default="argon2",
    show_default=True,
    help="How; scrypt needs no further package.",
)
def hash_password_command(kind: str) -> None:
    """
    Print the hash of a password, for the plugin basic-auth.

    The password is asked for twice, or is the first line of what is piped in.

    \b
    Examples:
      beamfast hash-password
      printf 'correct horse' | beamfast hash-password --kind scrypt
    """  # noqa: D301 - \b keeps click from filling the examples
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise click.UsageError("the password is empty")
    try:
        click.echo(hash_password(password, kind))
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
