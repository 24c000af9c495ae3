import errno
import sqlite3
from contextlib import closing

import pytest

from beamfast.errors import AccessDenied, StorageError
from beamfast.journal import database


@pytest.fixture
def file(tmp_path):
    (tmp_path / ".beam").mkdir()
    return tmp_path / ".beam" / "journal.db"


def test_a_new_database_is_complete_when_it_has_its_name(file):
    database.create(file)
    with closing(database.connect(file)) as connection:
        assert connection.execute("SELECT schema FROM beamfast").fetchall() == [(1,)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    with closing(database.connect(file, "relaxed")) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_what_a_crash_left_half_made_is_made_again(file):
    file.with_name("journal.db.new").write_bytes(b"half")
    database.create(file)
    database.connect(file).close()
    assert [path.name for path in file.parent.iterdir()] == ["journal.db"]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
def test_a_file_that_is_no_database_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(StorageError):
        database.connect(file)


def test_a_missing_database_is_not_made_by_looking(file):
    with pytest.raises(StorageError):
        database.connect(file)
    assert not file.exists()


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [
        (errno.ENOSPC, StorageError, 507),
        (errno.EDQUOT, StorageError, 507),
        (errno.EROFS, AccessDenied, 403),
        (errno.EACCES, AccessDenied, 403),
        (errno.EIO, StorageError, 500),
    ],
)
def test_a_failure_of_the_file_system_asks_for_its_answer(number, kind, status):
    with pytest.raises(kind) as caught, database.as_storage_error():
        raise OSError(number, "why")
    assert caught.value.status == status
    assert "why" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (sqlite3.SQLITE_FULL, 507, "storage-full"),
        (sqlite3.SQLITE_IOERR_WRITE, 507, "storage-full"),
        (sqlite3.SQLITE_READONLY | 1 << 8, 403, "journal-read-only"),
        (sqlite3.SQLITE_CORRUPT, 500, "journal-damaged"),
        (sqlite3.SQLITE_IOERR, 500, "journal"),
    ],
)
def test_a_failure_of_sqlite_asks_for_its_answer(number, status, code):
    error = sqlite3.OperationalError("why")
    error.sqlite_errorcode = number
    refusal = database.refusal(error)
    assert (refusal.status, refusal.code) == (status, code)
