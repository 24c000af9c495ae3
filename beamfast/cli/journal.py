"""``beamfast journal check`` and ``compact``: look after the database of a folder."""

from __future__ import annotations

from pathlib import Path

import click

from beamfast.cli.history import root_of
from beamfast.errors import DocumentError
from beamfast.journal import audit
from beamfast.journal.file import journal_file


@click.group()
def journal() -> None:
    """Look after the journal of a folder."""


@journal.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """
    Read everything in the journal of the folder PATH, and say what is wrong.

    It may be served meanwhile. The exit code is 1 when something is wrong.
    """
    file = journal_file(root_of(path))
    try:
        report = audit.check(file)
    except DocumentError as error:
        raise click.ClickException(str(error)) from error
    for fault in report.faults:
        click.echo(fault)
    click.echo(
        f"{report.documents} documents, {report.entries} entries, "
        f"{len(report.faults)} faults"
    )
    if report.faults:
        raise SystemExit(1)


@journal.command()
@click.argument("path", type=click.Path(path_type=Path))
def compact(path: Path) -> None:
    """
    Give the room of what the journal of the folder PATH forgot back to the disk.

    The folder may be served meanwhile; edits wait until it is done.
    """
    file = journal_file(root_of(path))
    try:
        before, after = audit.compact(file)
    except DocumentError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{before:,} bytes became {after:,}")
