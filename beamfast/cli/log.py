"""``beamfast log PATH``: who changed what in a page, and when."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import click

from beamfast.cli.history import entries_of, key_of, root_of
from beamfast.entry import Entry
from beamfast.journal.file import FileJournal
from beamfast.journal.journal import Logged


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "--number",
    type=click.IntRange(1),
    help="Show only so many, the newest ones.",
)
def log(path: Path, number: int | None) -> None:
    """
    Show the edits of the page PATH, the newest last.

    \b
    Examples:
      beamfast log site/index.html
      beamfast log site/index.html -n 20
    """  # noqa: D301 - \b keeps click from filling the examples
    root = root_of(path)
    for logged in asyncio.run(_read(root, key_of(root, path)))[-(number or 0) :]:
        click.echo(line_of(logged))


async def _read(root: Path, key: str) -> list[Logged]:
    journal = FileJournal(root)
    try:
        return (await entries_of(journal, key))[1]
    finally:
        await journal.close()


def line_of(logged: Logged) -> str:
    """Return one entry as a line for people."""
    entry = Entry.from_event(logged.event)
    moment = datetime.fromtimestamp(entry.time / 1000).astimezone()
    grown = entry.length_after - entry.length_before
    parts = [
        str(logged.version),
        moment.isoformat(sep=" ", timespec="seconds"),
        entry.user or "-",
        entry.method,
        f"{grown:+d} B",
        entry.selector or "(whole file)",
    ]
    return "  ".join(parts)
