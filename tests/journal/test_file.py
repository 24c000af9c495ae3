"""The journal in SQLite: the contract, retention, bodies, sharing, failures."""

import asyncio
import hashlib
import os
import sqlite3
from contextlib import closing

import pytest

from beamfast.entry import Version
from beamfast.errors import AccessDenied, StorageError
from beamfast.journal import log
from beamfast.journal.contract import JournalContract
from beamfast.journal.file import FileJournal, journal_file
from beamfast.journal.journal import Behind, FileRecord, Reset

FILE = Version.of_file(b"")


@pytest.fixture
async def make(tmp_path):
    """Open journals of one root; all are closed."""
    opened = []

    def make(**options):
        opened.append(FileJournal(tmp_path, **options))
        return opened[-1]

    yield make
    for journal in opened:
        await journal.close()


@pytest.fixture
def database(tmp_path):
    def query(statement, *parameters):
        with closing(sqlite3.connect(journal_file(tmp_path))) as connection:
            rows = connection.execute(statement, parameters).fetchall()
            connection.commit()
            return rows

    return query


async def fill(journal, *events, document="/a", base=FILE, body=b"body"):
    """Commit events one by one; return the version before and after each."""
    versions = [base]
    for event in events:
        versions.append(await journal.commit(document, versions[-1], [event], body))
    return versions


class TestFileJournal(JournalContract):
    @pytest.fixture
    def journal(self, make):
        return make()


class TestRelaxedFileJournal(JournalContract):
    @pytest.fixture
    def journal(self, make):
        return make(durability="relaxed")


class TestSharedFileJournal(JournalContract):
    @pytest.fixture
    def journal(self, make, tmp_path):
        return make(turns=tmp_path / "turns")


async def test_nothing_is_made_before_the_first_event(make, tmp_path):
    journal = make()
    await journal.load("/a")
    await journal.replay("/a", FILE, 9)
    await journal.since(0)
    assert journal.health().state == "ok"
    assert list(tmp_path.iterdir()) == []
    await fill(journal, b"1")
    assert [path.name for path in tmp_path.iterdir()] == [".beam"]


async def test_everything_is_there_after_a_restart(make):
    first = make()
    versions = await fill(first, b"1", b"2")
    record = FileRecord(versions[2], b"digest", 1, 2, 3, 4)
    await first.set_files("/a", [record])
    await first.close()
    second = make()
    assert second.head() == 2
    assert (await second.load("/a")).version == versions[2]
    assert [one.event for one in await second.replay("/a", FILE, 9)] == [b"1", b"2"]
    assert await second.files("/a") == [record]


async def test_two_journals_of_one_root_see_each_other(make):
    one, other = make(), make()
    versions = await fill(one, b"1")
    assert other.head() == 1
    assert [logged.event for logged in await other.since(0)] == [b"1"]
    assert isinstance(await other.commit("/a", FILE, [b"x"], b""), Behind)
    versions += [await other.commit("/a", versions[1], [b"2"], b"")]
    assert (await one.positions(["/a"]))["/a"] == versions[2]
    assert isinstance(await one.commit("/a", versions[1], [b"x"], b""), Behind)


async def test_writers_of_two_journals_lose_nothing(make):
    journals = [make(), make()]

    async def write(number):
        events = [b"%d" % event for event in range(20)]
        await fill(journals[number % 2], *events, document=f"/{number}")

    await asyncio.gather(*map(write, range(8)))
    sequences = [logged.sequence for logged in await journals[0].since(0)]
    assert sequences == list(range(1, 161))


async def test_what_waits_shares_a_transaction(make, monkeypatch):
    journal = make()
    await fill(journal, b"1")
    sizes = []
    transact = journal._writer._transact
    monkeypatch.setattr(
        journal._writer,
        "_transact",
        lambda jobs: sizes.append(transact(jobs) or len(jobs)),
    )
    documents = [f"/{number}" for number in range(100)]
    await asyncio.gather(*(fill(journal, b"1", document=name) for name in documents))
    assert sum(sizes) == 100
    assert max(sizes) > 1


async def test_a_name_that_is_not_utf_8_is_a_document(make):
    journal = make()
    name = os.fsdecode(b"/caf\xe9.html")
    (_, version) = await fill(journal, b"1", document=name)
    assert (await journal.load(name)).version == version
    assert (await journal.since(0))[0].document == name


async def test_the_oldest_events_over_the_number_limit_are_forgotten(make):
    journal = make(retain_entries=2)
    versions = await fill(journal, b"1", b"2", b"3")
    assert isinstance(await journal.replay("/a", versions[0], 9), Reset)
    assert len(await journal.replay("/a", versions[1], 9)) == 2
    assert isinstance(await journal.commit("/a", versions[0], [b"x"], b""), Reset)
    assert isinstance(await journal.commit("/a", versions[1], [b"x"], b""), Behind)


async def test_the_oldest_events_over_the_byte_limit_are_forgotten(make):
    journal = make(retain_bytes=10)
    versions = await fill(journal, b"1" * 4, b"2" * 4, b"3" * 4)
    assert isinstance(await journal.replay("/a", versions[0], 9), Reset)
    assert len(await journal.replay("/a", versions[1], 9)) == 2


async def test_the_newest_event_is_never_forgotten(make):
    journal = make(retain_bytes=10)
    versions = await fill(journal, b"1" * 4, b"2" * 11)
    assert len(await journal.replay("/a", versions[1], 9)) == 1
    assert journal.head() == 2


async def test_the_log_is_never_trimmed_past_the_stored_body(make):
    journal = make(retain_entries=2)
    large = b"x" * (log.SMALL_BODY + 1)
    versions = await fill(journal, *(b"%d" % n for n in range(10)), body=large)
    snapshot = await journal.load("/a")
    assert snapshot.body_version == versions[1]
    assert [one.version for one in snapshot.tail] == versions[2:]


async def test_a_large_body_is_stored_now_and_then(make, database):
    journal = make()
    large = b"x" * (log.SMALL_BODY + 1)
    events = [b"%d" % number for number in range(log.BODY_REVISIONS + 2)]
    await fill(journal, *events, body=large)
    stored = database("SELECT revision FROM bodies ORDER BY revision")
    assert stored == [(1,), (log.BODY_REVISIONS + 1,)]
    await fill(journal, b"1", b"y" * log.BODY_LOG_BYTES, document="/b", body=large)
    assert database("SELECT max(revision) FROM bodies WHERE document = 2") == [(2,)]


@pytest.mark.parametrize("size", [10, log.SMALL_BODY + 1], ids=["small", "large"])
async def test_earlier_versions_can_be_rebuilt(make, database, size):
    journal = make()
    original, versions = b"0" * size, [FILE]
    for number in range(1, 101):
        body, event = b"%d" % (number % 10) * size, b"%d" % number
        answer = await journal.commit(
            *("/a", versions[-1], [event], body), original=original
        )
        versions.append(answer)
    for number, version in enumerate(versions):
        snapshot = await journal.load("/a", version)
        start = snapshot.body_version.revision
        assert snapshot.body == b"%d" % (start % 10) * size
        assert [one.version for one in snapshot.tail] == versions[
            start + 1 : number + 1
        ]
    assert await journal.load("/a", versions[5]._replace(chain="0" * 16)) is None
    # One body every so many revisions is enough for that.
    ((count,),) = database("SELECT count(*) FROM bodies")
    assert count <= 2 + 100 // log.BODY_REVISIONS + 1


async def test_bodies_of_forgotten_versions_are_forgotten(make, database):
    journal = make(retain_entries=10)
    versions = await fill(journal, *(b"%d" % number for number in range(200)))
    assert await journal.load("/a", versions[100]) is None
    ((count,),) = database("SELECT count(*) FROM bodies")
    assert count <= 2


async def test_the_room_for_earlier_bodies_is_bounded(make, database):
    journal = make(retain_bytes=2**20)
    body = b"x" * (log.SMALL_BODY * 4)
    await fill(journal, *(b"%d" % number for number in range(300)), body=body)
    ((size,),) = database("SELECT sum(length(body)) FROM bodies")
    assert size <= 2**20 + len(body)


async def test_a_damaged_body_is_noticed(make, database):
    journal = make()
    await fill(journal, b"1")
    database("UPDATE bodies SET body = X'00'")
    with pytest.raises(StorageError, match="damaged") as caught:
        await journal.load("/a")
    assert caught.value.code == "journal-damaged"


async def test_a_body_has_its_digest_beside_it(make, database):
    await fill(make(), b"1")
    assert database("SELECT sha256 FROM bodies") == [
        (hashlib.sha256(b"body").digest(),)
    ]


async def test_a_database_of_another_version_is_left_alone(make, database):
    await fill(make(), b"1")
    database("UPDATE beamfast SET schema = 99")
    other = make()
    for question in (other.load("/a"), other.commit("/a", FILE, [b"1"], b"")):
        with pytest.raises(StorageError, match="schema 99"):
            await question
    assert other.health().state == "down"


async def test_a_full_disk_is_507_and_passes(make, database):
    journal = make()
    versions = await fill(journal, b"1")
    await journal._writer.run(lambda it: it.execute("PRAGMA max_page_count = 20"))
    with pytest.raises(StorageError) as caught:
        await journal.commit("/a", versions[1], [b"x" * 2**20], b"")
    assert (caught.value.status, caught.value.code) == (507, "storage-full")
    assert journal.health().state == "down"
    assert (await journal.load("/a")).version == versions[1]
    # The next transaction has a connection of its own, without the limit.
    assert isinstance(await journal.commit("/a", versions[1], [b"2"], b""), Version)
    assert journal.health().state == "ok"


async def test_a_root_that_cannot_be_written_refuses_edits(make, tmp_path, monkeypatch):
    def refuse(self, **options):
        raise PermissionError(13, "no")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    journal = make()
    with pytest.raises(AccessDenied, match="journal"):
        await journal.commit("/a", FILE, [b"1"], b"")
    assert await journal.load("/a") is None


async def test_a_commit_needs_an_event(make):
    journal = make()
    with pytest.raises(ValueError, match="without events"):
        await journal.commit("/a", FILE, [], b"")


async def test_one_refused_piece_of_work_does_not_take_the_others_with_it(make):
    journal = make()

    def refuse(connection):
        log.set_files(connection, "/b", [FileRecord(FILE)])
        raise StorageError("no")

    answers = await asyncio.gather(
        journal.commit("/a", FILE, [b"1"], b""),
        journal._writer.run(refuse),
        journal.set_files("/c", [FileRecord(FILE)]),
        return_exceptions=True,
    )
    assert answers[0] == FILE.next(b"1")
    assert isinstance(answers[1], StorageError)
    assert await journal.files("/b") == []
    assert await journal.files("/c") == [FileRecord(FILE)]


async def test_no_reader_keeps_the_write_ahead_log_growing(make, tmp_path):
    journal = make(durability="relaxed")
    versions = [FILE]
    for number in range(400):
        versions += (await fill(journal, b"%d" % number * 3000, base=versions[-1]))[1:]
        await journal.since(number)
        if number % 20 == 0:
            await journal.load("/a")
    # A checkpoint is due at 1,000 pages of 4 KiB; a reader that stood still would
    # have kept all of them.
    size = (tmp_path / ".beam" / "journal.db-wal").stat().st_size
    assert size < 12 * 2**20
