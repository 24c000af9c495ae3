"""``beamfast restore PATH VERSION``: make an earlier version the newest one."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import time
from pathlib import Path
from typing import Final

import click

from beamfast.cli.history import entries_of, key_of, root_of
from beamfast.commit.committer import Committer
from beamfast.documents.change import Origin, Removal, Replacement, carry_out, redo
from beamfast.documents.document import Document
from beamfast.documents.store import DocumentStore
from beamfast.entry import Entry, Version
from beamfast.errors import ConfigError, DocumentNotFound
from beamfast.journal.file import FileJournal
from beamfast.journal.journal import Snapshot
from beamfast.pubsub.hub import Hub
from beamfast.server.rundir import hold_roots

#: How often a server that edits the page meanwhile may be faster.
TRIES: Final = 20


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("version")
def restore(path: Path, version: str) -> None:
    """
    Make VERSION of the page PATH its newest version.

    VERSION is what "beamfast log" shows, or its number alone; 0 is the file
    before its first edit. Nothing is lost: the restored state is a new version.
    A server that runs shows it within two seconds.

    \b
    Examples:
      beamfast restore site/index.html 12
      beamfast restore site/index.html 12-3f1d0c9a8be24657
    """  # noqa: D301 - \b keeps click from filling the examples
    root = root_of(path)
    key = key_of(root, path)
    restored = asyncio.run(_append(root, key, version))
    try:
        with hold_roots([root]):
            asyncio.run(_write_file(root, key))
    except ConfigError:
        # The server has the page, and writes its file.
        click.echo(f"{key} is version {restored}; the running server shows it")
    else:
        click.echo(f"{key} is version {restored}")


async def _append(root: Path, key: str, wanted: str) -> Version:
    """Append the entry that makes the wanted version the newest."""
    journal = FileJournal(root)
    try:
        for _ in range(TRIES):
            version = await _version(journal, key, wanted)
            then = await journal.load(key, version)
            now = await journal.load(key)
            if then is None or now is None:
                raise click.UsageError(f"{wanted} of {key} is not kept any more")
            source = rebuilt(then)
            change = Removal() if source is None else Replacement(source, "restore")
            origin = Origin(key, getpass.getuser(), time=time.time_ns() // 1_000_000)
            outcome = carry_out(
                *(change, Document(rebuilt(now) or b""), now.version, origin),
                edit_limit=0,
            )
            answer = await journal.commit(key, now.version, [outcome.event], source)
            if isinstance(answer, Version):
                return answer
    finally:
        await journal.close()
    raise click.ClickException("the page is edited too fast to be restored")


async def _version(journal: FileJournal, key: str, wanted: str) -> Version:
    """Return the version that was asked for, by its text or by its number."""
    start, logged = await entries_of(journal, key)
    for version in (start, *(one.version for one in logged)):
        if wanted in (str(version), str(version.revision)):
            return version
    raise click.UsageError(f"{key} has no version {wanted}; see beamfast log")


def rebuilt(snapshot: Snapshot) -> bytes | None:
    """Return the bytes of a page at the version of a snapshot."""
    source = snapshot.body
    for logged in snapshot.tail:
        source = redo(Entry.from_event(logged.event), source)
    return source


async def _write_file(root: Path, key: str) -> None:
    """Do what a server does at its start: bring the file up to the journal."""
    loop = asyncio.get_running_loop()
    store = DocumentStore(root)
    committer = Committer(store, FileJournal(root), Hub(loop), loop)
    with contextlib.suppress(DocumentNotFound):
        await committer.current(store.resolve(key))
    await committer.close()
