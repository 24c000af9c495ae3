"""
Topics that have one order in all workers, and remember what was said last.

A plain topic is ordered for each worker that publishes; two workers may see the
messages of a third and a fourth in different orders. Here a log gives every
message its number, and each worker publishes in the order of the log: the log is
the queue, the bus is a doorbell. The log is for the life of the server, in the
folder that its workers share, or in memory when there is only one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

#: Seconds to wait for another worker that is writing; it takes microseconds.
WAIT: Final = 5.0
#: Messages that are kept for workers that have not read them yet.
UNREAD: Final = 1000

_SCHEMA: Final = """
create table if not exists said (
    number integer primary key autoincrement,
    topic text not null,
    message text not null,
    is_kept integer not null
);
create index if not exists said_topic on said (topic, number);
"""


class Said(NamedTuple):
    """One message with its place in the order of all topics."""

    number: int
    message: str


class SequenceLog:
    """
    The log of all ordered topics of a server.

    Args:
        path: of the file that the workers share; None for a log in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._database = sqlite3.connect(
            ":memory:" if path is None else path, timeout=WAIT, isolation_level=None
        )
        if path is not None:
            self._database.execute("pragma journal_mode = wal")
        # It does not outlive the server, so a power cut takes nothing from it.
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_SCHEMA)

    def append(self, topic: str, message: str, keep: int, *, is_kept: bool) -> int:
        """
        Add a message and return its number.

        Args:
            topic: that it is said on.
            message: any text.
            keep: messages of the topic that are not forgotten now.
            is_kept: newcomers may be told.
        """
        database = self._database
        with database:
            database.execute("begin immediate")
            number = database.execute(
                "insert into said (topic, message, is_kept) values (?, ?, ?)",
                (topic, message, is_kept),
            ).lastrowid
            database.execute(
                "delete from said where topic = ? and number <= "
                "(select number from said where topic = ?"
                " order by number desc limit 1 offset ?)",
                (topic, topic, keep),
            )
        assert number is not None
        return number

    def between(self, topic: str, after: int, limit: int) -> list[Said]:
        """Return what was said after number ``after``, in order, ``limit`` at most."""
        rows = self._database.execute(
            "select number, message from said"
            " where topic = ? and number > ? order by number limit ?",
            (topic, after, limit),
        )
        return [Said(*row) for row in rows]

    def newest(self, topic: str, upto: int, limit: int) -> list[Said]:
        """Return the newest up to number ``upto`` that are kept, in order."""
        rows = self._database.execute(
            "select number, message from said"
            " where topic = ? and number <= ? and is_kept"
            " order by number desc limit ?",
            (topic, upto, limit),
        )
        return [Said(*row) for row in rows][::-1]

    def last(self, topic: str) -> int:
        """Return the number of the newest message, 0 when there is none."""
        row = self._database.execute(
            "select max(number) from said where topic = ?", (topic,)
        ).fetchone()
        return row[0] or 0

    def close(self) -> None:
        """Free the file."""
        self._database.close()


class Sequence:
    """
    One ordered topic as one worker sees it.

    Args:
        log: that orders it.
        topic: its name.
        keep: messages that newcomers can be told.
        deliver: called with each message, once and in order, and with what
            :meth:`say` was given beside it in this worker, else None.
        ring: tells the other workers that there is something new.
    """

    def __init__(
        self,
        log: SequenceLog,
        topic: str,
        *,
        keep: int,
        deliver: Callable[[Said, Any], None],
        ring: Callable[[], None],
    ) -> None:
        self._log = log
        self._topic = topic
        self._keep = keep
        self._deliver = deliver
        self._ring = ring
        self._seen = log.last(topic)

    def say(self, message: str, mark: object = None, *, is_kept: bool = True) -> int:
        """
        Give ``message`` its number, and deliver what is new up to it.

        Args:
            message: any text.
            mark: handed to ``deliver`` with this message, in this worker only.
            is_kept: newcomers may be told.

        Returns:
            the number.
        """
        keep = max(self._keep, UNREAD)
        number = self._log.append(self._topic, message, keep, is_kept=is_kept)
        self._catch_up(number, mark)
        self._ring()
        return number

    def catch_up(self) -> None:
        """Deliver what the other workers have said."""
        self._catch_up(0, None)

    def _catch_up(self, own: int, mark: object) -> None:
        while new := self._log.between(self._topic, self._seen, UNREAD):
            for said in new:
                self._seen = said.number
                self._deliver(said, mark if said.number == own else None)

    def recent(self) -> list[Said]:
        """Return the last kept messages that were delivered, ``keep`` at most."""
        return self._log.newest(self._topic, self._seen, self._keep)
