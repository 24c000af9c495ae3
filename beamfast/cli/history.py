"""Where the history of a page on the command line is: its root, key and journal."""

from __future__ import annotations

from pathlib import Path

import click

from beamfast.entry import Version
from beamfast.journal.file import FileJournal, journal_file
from beamfast.journal.journal import Logged, Reset

#: More entries than any journal retains.
ALL = 2**31


def root_of(path: Path) -> Path:
    """
    Return the document root above ``path``, which has the journal.

    Raises:
        click.UsageError: nothing was ever edited there.
    """
    place = path.resolve()
    for root in (place, *place.parents):
        if journal_file(root).is_file():
            return root
    raise click.UsageError(f"{path} has no history: nothing was edited yet")


def key_of(root: Path, path: Path) -> str:
    """Return the key of the page ``path`` below ``root``."""
    place = path.resolve()
    if place.is_dir():
        place /= "index.html"
    return f"/{place.relative_to(root).as_posix()}"


async def entries_of(journal: FileJournal, key: str) -> tuple[Version, list[Logged]]:
    """
    Return the version before the retained entries of a page, and these.

    Raises:
        click.UsageError: the page was never edited.
    """
    start = await journal.start(key)
    logged = None if start is None else await journal.replay(key, start, ALL)
    if start is None or logged is None or isinstance(logged, Reset):
        raise click.UsageError(f"{key} has no history: it was not edited yet")
    return start, list(logged)
