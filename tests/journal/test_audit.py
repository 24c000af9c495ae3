"""Every kind of damage has its own sentence."""

import sqlite3
from contextlib import closing

import pytest

from beamfast.entry import Version
from beamfast.journal import audit
from beamfast.journal.file import FileJournal, journal_file

FILE = Version.of_file(b"")


@pytest.fixture
async def file(tmp_path):
    journal = FileJournal(tmp_path, durability="relaxed")
    for document in ("/a", "/b"):
        version = FILE
        for number in range(50):
            event = b"%d" % number
            version = await journal.commit(document, version, [event], event * 2000)
    await journal.close()
    return journal_file(tmp_path)


def damage(file, statement):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(statement)
        connection.commit()


async def test_a_sound_journal_has_no_faults(file):
    report = audit.check(file)
    assert (report.documents, report.entries, report.faults) == (2, 100, [])


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE log SET event = X'00' WHERE seq = 3", "/a: 3 does not continue"),
        ("DELETE FROM log WHERE seq = 50", "/a: the log ends at 49-"),
        ("UPDATE bodies SET body = X'00'", "/a: the body of 33 is damaged"),
        ("DELETE FROM bodies WHERE document = 2", "/b: there is no body"),
        ("UPDATE bodies SET chain = 'x'", "/b: the body of 33 is no version"),
    ],
)
async def test_each_kind_of_damage_is_named(file, statement, fault):
    damage(file, statement)
    assert any(one.startswith(fault) for one in audit.check(file).faults)


async def test_compacting_gives_room_back_and_changes_nothing(file):
    damage(file, "CREATE TABLE waste AS SELECT * FROM log, bodies")
    damage(file, "DROP TABLE waste")
    before, after = audit.compact(file)
    assert after < before
    assert audit.check(file).faults == []
