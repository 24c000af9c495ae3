import asyncio
import itertools
import logging

import pytest

from beamfast.commit import batch as module, keeper, sequencer
from beamfast.entry import Entry, Version
from beamfast.errors import (
    AccessDenied,
    Busy,
    DocumentNotFound,
    NoElementMatched,
    PreconditionFailed,
    StorageError,
    TooLarge,
)
from beamfast.journal.journal import Behind
from beamfast.journal.memory import MemoryJournal

PAGE = b"<!DOCTYPE html><title>t</title><p id=a>one</p><ul id=l></ul>"
EDITED = PAGE.replace(b"one", b"two")
TWO = b"<p id=a>two</p>"


class Clock:
    """The clock of a machine on which each look takes a while."""

    def __init__(self, step):
        self.ticks = itertools.count()
        self.step = step

    def monotonic(self):
        return next(self.ticks) * self.step

    def time_ns(self):
        return 1_700_000_000_000_000_000


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch):
    """Keep batches from being cut because this machine is busy."""
    monkeypatch.setattr(module, "time", Clock(0))


async def outcomes(futures):
    return await asyncio.gather(*futures, return_exceptions=True)


# One edit


async def test_an_edit_is_stored_logged_and_published_before_it_is_answered(site):
    outcome = await site.edit("PUT", "#a", TWO)
    site.steps.append("answer")
    assert (await site.file()) == EDITED
    site.steps.remove("file")
    assert site.steps == ["journal", "publish", "answer"]
    assert outcome.version == Version.of_file(PAGE).next(outcome.event)
    assert site.versions == [outcome.version]
    assert (await site.journal.positions(["/page.html"])) == {
        "/page.html": outcome.version
    }


async def test_an_entry_says_who_did_what(site):
    await site.edit("PUT", "#a", TWO)
    (entry,) = site.entries
    assert (entry.method, entry.url, entry.selector) == ("PUT", "/page.html", "#a")
    assert (entry.content, entry.user) == ('<p id="a">two</p>', "ann")
    assert entry.time == 1_700_000_000_000


async def test_an_edit_is_logged_for_people(site, caplog):
    with caplog.at_level(logging.INFO, "beamfast.commit"):
        await site.edit("PUT", "#a", TWO)
    assert caplog.messages == ["PUT /page.html #a \u2192 rev 1 \u2192 0 viewers"]


async def test_a_reader_sees_the_edit_and_its_version(site):
    outcome = await site.edit("PUT", "#a", TWO)
    document = site.committer.peek(site.location())
    assert (document.source, document.version) == (EDITED, outcome.version)
    assert document.version == outcome.version


async def test_a_document_that_nobody_edited_is_revision_0(site):
    first = Version.of_file(PAGE)
    assert site.committer.peek(site.location()).version == first


async def test_a_document_that_is_not_there_is_not_found(site):
    location = site.location("/new.html")
    with pytest.raises(DocumentNotFound):
        site.committer.peek(location)
    with pytest.raises(DocumentNotFound):
        await site.committer.current(location)


async def test_a_committer_that_rests_holds_nothing_back(site):
    await site.edit("PUT", "#a", TWO)
    with pytest.raises(NoElementMatched):
        await site.edit("PUT", "#b", TWO)
    await site.committer.flush()
    (keeper,) = site.keepers
    assert keeper.is_idle
    assert (keeper.document, keeper.candidates, keeper.timer) == (None, {}, None)


# Many edits


async def test_concurrent_appends_are_all_kept_in_one_order(site):
    done = await asyncio.gather(*(site.append(number) for number in range(100)))
    items = "".join(f"<li>{number}</li>" for number in range(100))
    assert (await site.file()) == PAGE.replace(
        b"<ul id=l>", b"<ul id=l>" + items.encode()
    )
    assert [outcome.version.revision for outcome in done] == list(range(1, 101))
    assert site.versions == [outcome.version for outcome in done]
    assert [entry.content for entry in site.entries] == [
        f"<li>{number}</li>" for number in range(100)
    ]


async def test_what_waits_becomes_one_write(site):
    with site.held():
        waiting = await site.begin(*(site.append(number) for number in range(20)))
    done = await asyncio.gather(*waiting)
    assert [outcome.version.revision for outcome in done] == list(range(1, 21))
    assert len(site.written) <= 2
    assert site.written[-1] == (await site.file())
    assert site.steps.count("publish") == 20


async def test_documents_do_not_wait_for_each_other(site):
    await site.write_by_hand(PAGE, "/other.html")
    with site.held():
        (first,) = await site.begin(site.append(1))
        second = asyncio.ensure_future(site.remove(path="/other.html"))
        await second
        assert not first.done()
    await first


@pytest.mark.parametrize(
    ("name", "value", "writes"),
    [("BATCH_CHANGES", 3, 4), ("BATCH_BYTES", 20, 5), ("BATCH_CHANGES", 64, 1)],
)
async def test_a_batch_is_bounded(site, monkeypatch, name, value, writes):
    monkeypatch.setattr(module, name, value)
    await asyncio.gather(*(site.append(number) for number in range(10)))
    assert len(site.written) == writes


async def test_a_batch_that_takes_long_is_stored(site, monkeypatch):
    monkeypatch.setattr(module, "time", Clock(0.004))
    await asyncio.gather(*(site.append(number) for number in range(9)))
    assert len(site.written) == 3


async def test_the_loop_has_a_turn_within_a_long_batch(site, monkeypatch):
    monkeypatch.setattr(module, "time", Clock(0.0026))
    lengths = []

    async def look_at_the_queue():
        while not site.written:
            lengths.extend(len(one.queue) for one in site.keepers)
            await asyncio.sleep(0)

    edits = [site.append(number) for number in range(3)]
    await asyncio.gather(*edits, look_at_the_queue())
    assert len(site.written) == 1
    assert 1 in lengths


class SlowJournal(MemoryJournal):
    """Lets others go first wherever a journal may wait."""

    async def commit(self, *arguments):
        await asyncio.sleep(0)
        answer = await super().commit(*arguments)
        for _ in range(3):
            await asyncio.sleep(0)
        return answer

    async def since(self, sequence):
        logged = await super().since(sequence)
        for _ in range(2):
            await asyncio.sleep(0)
        return logged


async def test_keepers_that_publish_for_each_other_publish_once_and_in_order(make_site):
    site = make_site(SlowJournal())
    paths = [f"/{number}.html" for number in range(4)]

    async def write(path, number):
        return await site.put_file(b"%d" % number, path=path)

    await asyncio.gather(
        *(write(path, number) for number in range(20) for path in paths)
    )
    for path in paths:
        mine = [one for _, one in site.published if one.url == path]
        assert [one.version.revision for one in mine] == list(range(1, 21))
        assert [one.source for one in mine] == [b"%d" % n for n in range(20)]


async def test_an_entry_is_published_once_however_many_catch_up(make_site):
    site = make_site(SlowJournal())
    await site.committer.current(site.location())
    size = len(PAGE)
    entry = Entry(method="PUT", url="/page.html", length_before=size, length_after=size)
    first = Version.of_file(PAGE)
    await site.journal.commit("/page.html", first, [entry.event()], b"")
    await asyncio.gather(*(site.committer.catch_up() for _ in range(3)))
    assert [one.entry for _, one in site.published] == [entry]
    assert site.versions == [first.next(entry.event())]


# Edits that fail


async def test_an_edit_that_fails_leaves_the_others_alone(site):
    with site.held():
        waiting = await site.begin(
            site.append(1), site.edit("PUT", "#none", TWO), site.append(2)
        )
    first, second, third = await outcomes(waiting)
    assert isinstance(second, NoElementMatched)
    assert (first.version.revision, third.version.revision) == (1, 2)
    assert b"<li>1</li><li>2</li>" in (await site.file())
    assert len(site.published) == 2


async def test_an_edit_of_a_missing_document_is_404(site):
    with pytest.raises(DocumentNotFound):
        await site.edit("PUT", "#a", TWO, path="/none.html")
    assert site.steps == []


async def test_a_document_over_the_limit_is_not_edited(site):
    site.store.edit_limit = 10
    with pytest.raises(TooLarge):
        await site.edit("PUT", "#a", TWO)
    assert (await site.file()) == PAGE


async def test_a_condition_is_checked_when_it_is_the_edits_turn(site):
    tag = f'"{Version.of_file(PAGE)}"'
    edits = [site.append(number, if_match=tag) for number in range(5)]
    first, *others = await outcomes(edits)
    assert first.version.revision == 1
    assert {type(other) for other in others} == {PreconditionFailed}
    assert (await site.file()).count(b"<li>") == 1


async def test_only_one_of_several_can_create_a_document(site):
    creations = [
        site.put_file(b"%d" % number, path="/new.html", if_none_match="*")
        for number in range(3)
    ]
    first, *others = await outcomes(creations)
    assert first.is_new
    assert {type(other) for other in others} == {PreconditionFailed}
    assert (await site.file("/new.html")) == b"0"


async def test_a_failing_disk_fails_the_batch_and_changes_nothing(site, monkeypatch):
    await site.append(0)
    before = await site.file()
    version = site.committer.peek(site.location()).version

    async def fail(*arguments):
        raise StorageError("No space left", status=507)

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "commit", fail)
        failed = await outcomes(site.append(number) for number in range(1, 4))
    assert [error.status for error in failed] == [507, 507, 507]
    assert (await site.file()) == before
    document = site.committer.peek(site.location())
    assert (document.source, document.version) == (before, version)
    assert len(site.published) == 1
    assert (await site.append(4)).version.revision == 2
    assert (await site.file()).count(b"<li>") == 2


async def test_a_document_that_cannot_be_read_fails_all_that_wait(site, monkeypatch):
    def fail(location):
        raise AccessDenied("Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(site.store, "load", fail)
        failed = await outcomes(site.append(number) for number in range(3))
    assert {type(error) for error in failed} == {AccessDenied}
    assert (await site.append(1)).version.revision == 1


async def test_a_journal_that_fails_is_told_to_all_that_wait(site, monkeypatch):
    def fail(document):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "turn", fail)
        failed = await outcomes(site.append(number) for number in range(3))
    assert {type(error) for error in failed} == {ConnectionError}
    assert (await site.append(1)).version.revision == 1


async def test_who_is_always_too_late_is_busy(site, monkeypatch):
    tries = []

    async def behind(*_):
        tries.append(1)
        return Behind([])

    monkeypatch.setattr(sequencer, "PAUSE", 0)
    with monkeypatch.context() as patch:
        patch.setattr(site.journal, "commit", behind)
        with pytest.raises(Busy, match="faster"):
            await site.put_file(b"x")
    assert len(tries) == sequencer.TRIES == 20
    assert site.published == []
    assert (await site.put_file(b"x")).version.revision == 1


async def test_who_goes_away_does_not_disturb_the_others(site):
    with site.held():
        waiting = await site.begin(*(site.append(number) for number in range(4)))
        for number in (0, 2):
            waiting[number].cancel()
    first, second, third, fourth = await outcomes(waiting)
    assert {type(first), type(third)} == {asyncio.CancelledError}
    assert (second.version.revision, fourth.version.revision) == (2, 4)
    assert (await site.file()).count(b"<li>") == 4


async def test_an_edit_that_fails_when_nobody_waits_is_silent(site):
    with site.held():
        waiting = await site.begin(site.append(0), site.edit("PUT", "#none"))
        waiting[1].cancel()
    await outcomes(waiting)
    assert len(site.published) == 1


# Limits and shutdown


@pytest.mark.parametrize(("name", "value"), [("QUEUE_CHANGES", 3), ("QUEUE_BYTES", 33)])
async def test_a_full_queue_is_busy(site, monkeypatch, name, value):
    monkeypatch.setattr(keeper, name, value)
    with site.held():
        waiting = await site.begin(*(site.append(number) for number in range(1)))
        waiting += [asyncio.ensure_future(site.append(number)) for number in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    done = await outcomes(waiting)
    assert [isinstance(one, Busy) for one in done] == [False] * 4 + [True] * 2
    assert done[-1].status == 503
    assert (await site.file()).count(b"<li>") == 4


async def test_closing_finishes_what_waits_and_refuses_the_rest(site):
    with site.held():
        waiting = await site.begin(site.append(1), site.append(2))
        closing = asyncio.ensure_future(site.committer.close())
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="stopping"):
            await site.append(3)
        assert not closing.done()
    await closing
    assert [one.result().version.revision for one in waiting] == [1, 2]
    assert (await site.file()).count(b"<li>") == 2
    await site.committer.close()
