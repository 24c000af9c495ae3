"""Lost replies, other processes, changes by hand while the file is behind."""

import asyncio

import pytest

from beamfast.entry import Entry
from beamfast.errors import DocumentNotFound, OutcomeUnknown, StorageError

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"
HAND = b"<p id=a>by hand<ul id=l></ul>"


def lose_replies(site, *, after):
    """Fail the next commit, after it was done or instead of it."""
    commit = site.journal.commit

    async def lose(*arguments):
        site.journal.commit = commit
        if after:
            await commit(*arguments)
        raise OutcomeUnknown("the line went dead")

    site.journal.commit = lose


async def test_a_lost_reply_to_a_commit_that_happened_is_a_success(site):
    lose_replies(site, after=True)
    outcome = await site.append(1)
    assert outcome.version.revision == 1
    assert (await site.file()).count(b"<li>") == 1
    assert len(site.published) == 1


async def test_a_lost_reply_to_a_commit_that_did_not_happen_is_a_failure(site):
    lose_replies(site, after=False)
    with pytest.raises(StorageError):
        await site.append(1)
    assert await site.file() == PAGE
    assert (await site.append(2)).version.revision == 1


async def test_a_reset_by_the_journal_loads_the_document_anew(make_site):
    first = make_site()
    await first.append(1)
    # As after a backup: the log knows another history than this process.
    (keeper,) = first.keepers
    await first.committer.flush()
    keeper.version = keeper.version._replace(chain="0" * 16)
    outcome = await first.append(2)
    assert outcome.version.revision == 2
    assert (await first.file()).count(b"<li>") == 2


async def overtake(site, data):
    """Edit, and change the file by hand before it could follow."""
    stage = site.store.stage

    def stage_too_late(location, source, **options):
        staged = stage(location, source, **options)
        (site.root / "page.html").write_bytes(data)
        return staged

    site.store.stage = stage_too_late
    outcome = await site.append(1)
    await site.committer.flush()
    site.store.stage = stage
    await site.committer.flush()
    return outcome


async def test_a_change_by_hand_over_an_unwritten_edit_keeps_both(site):
    await overtake(site, HAND)
    document = await site.committer.current(site.location())
    assert (document.source, document.version.revision) == (HAND, 2)
    assert await site.file() == HAND
    kept = (site.root / ".beam" / "conflicts" / "page.html.1.html").read_bytes()
    assert kept == PAGE.replace(b"<ul id=l>", b"<ul id=l><li>1</li>")
    assert site.committer.conflicts == 1
    assert [entry.method for entry in site.entries] == ["POST", "import"]
    assert [path.name for path in site.root.glob(".beamfast-*")] == []


async def test_a_file_deleted_while_it_is_edited_is_gone(site):
    await site.append(1)
    (site.root / "page.html").unlink()
    await site.committer.flush()
    with pytest.raises(DocumentNotFound):
        await site.committer.current(site.location())
    again = await site.put_file(PAGE)
    assert again.version.revision == 3
    assert [entry.method for entry in site.entries] == ["POST", "gone", "file"]


async def test_edits_wait_for_their_turn_and_the_log_names_the_writer(site):
    await asyncio.gather(*(site.append(number) for number in range(5)))
    logged = await site.journal.since(0)
    entries = [Entry.from_event(one.event) for one in logged]
    assert {entry.user for entry in entries} == {"ann"}
    assert len({entry.operation_id for entry in entries}) == 5
