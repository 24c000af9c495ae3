import sqlite3
from contextlib import closing

from beamfast.journal.file import journal_file


def test_a_journal_is_checked(run, page, edit):
    edit(b"1", b"2")
    result = run("journal", "check", page.parent)
    assert result.exit_code == 0
    assert result.output == "1 documents, 2 entries, 0 faults\n"


def test_damage_is_told_with_an_exit_code(run, page, edit):
    edit(b"1", b"2")
    with closing(sqlite3.connect(journal_file(page.parent))) as connection:
        connection.execute("UPDATE log SET event = X'00' WHERE revision = 2")
        connection.commit()
    result = run("journal", "check", page.parent)
    assert result.exit_code == 1
    assert "/page.html: 2 does not continue" in result.output


def test_a_journal_is_compacted(run, page, edit):
    edit(*(b"x" * 10_000 for _ in range(20)))
    result = run("journal", "compact", page.parent)
    assert result.exit_code == 0
    assert " bytes became " in result.output
    assert run("journal", "check", page.parent).exit_code == 0


def test_a_database_that_is_none_is_a_failure(run, page):
    file = journal_file(page.parent)
    file.parent.mkdir()
    file.write_bytes(b"nothing" * 1000)
    for command in ("check", "compact"):
        result = run("journal", command, page.parent)
        assert result.exit_code == 1
        assert "journal" in result.output
