"""The writer's thread: order, groups, and replies that are lost."""

import asyncio
import sqlite3

import pytest

from beamfast.errors import OutcomeUnknown, StorageError
from beamfast.journal.writer import Writer


@pytest.fixture
async def writer(tmp_path):
    writer = Writer(tmp_path / ".beam" / "journal.db", "relaxed")
    yield writer
    await writer.close()


def insert(number):
    return lambda connection: connection.execute(
        "INSERT INTO bodies VALUES (?, 0, '', '', '')", (number,)
    )


def numbers(connection):
    rows = connection.execute("SELECT document FROM bodies ORDER BY document")
    return [number for (number,) in rows]


class FailsToCommit:
    """A connection whose commit fails after it was done, or instead."""

    def __init__(self, connection, *, after):
        self.connection = connection
        self.after = after

    def execute(self, statement, *parameters):
        if statement != "COMMIT":
            return self.connection.execute(statement, *parameters)
        if self.after:
            self.connection.execute(statement)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    @property
    def in_transaction(self):
        return self.connection.in_transaction

    def close(self):
        self.connection.close()


async def test_work_is_done_in_the_order_it_was_asked_for(writer):
    order = []
    await asyncio.gather(
        *(
            writer.run(lambda _, number=number: order.append(number))
            for number in range(50)
        )
    )
    assert order == list(range(50))


async def test_who_gives_up_does_not_stop_the_others(writer):
    tasks = [asyncio.create_task(writer.run(insert(number))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert await writer.run(numbers) == [0, 1, 2]


@pytest.mark.parametrize("after", [False, True], ids=["not-done", "done"])
async def test_a_commit_that_fails_has_an_unknown_outcome(writer, after):
    await writer.run(insert(1))
    writer._connection = FailsToCommit(writer._connection, after=after)
    with pytest.raises(OutcomeUnknown):
        await writer.run(insert(2))
    assert writer.failure
    assert await writer.run(numbers) == ([1, 2] if after else [1])
    assert not writer.failure


async def test_a_failure_is_told_to_everybody_in_the_group(writer, monkeypatch):
    monkeypatch.setattr(
        "beamfast.journal.database.create", lambda file: (_ for _ in ()).throw(OSError)
    )
    answers = await asyncio.gather(
        *(writer.run(insert(number)) for number in range(3)), return_exceptions=True
    )
    assert len(answers) == 3
    assert all(isinstance(answer, Exception) for answer in answers)
    monkeypatch.undo()
    await writer.run(insert(9))
    assert await writer.run(numbers) == [9]


async def test_a_piece_of_work_that_is_refused_leaves_nothing(writer):
    def refused(connection):
        insert(1)(connection)
        raise StorageError("no")

    with pytest.raises(StorageError):
        await writer.run(refused)
    assert await writer.run(numbers) == []


async def test_closing_finishes_what_was_asked_for(tmp_path):
    writer = Writer(tmp_path / ".beam" / "journal.db", "relaxed")
    tasks = [asyncio.create_task(writer.run(insert(number))) for number in range(9)]
    await asyncio.sleep(0)
    await writer.close()
    await asyncio.gather(*tasks)
    assert await writer.run(numbers) == list(range(9))
    await writer.close()
