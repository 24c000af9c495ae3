"""
What the workers of one server share beside documents: buckets, tickets, sessions.

One SQLite file in the run directory, or memory for a single process. It goes with
the server, so nothing here waits for a disk; what one call does takes some ten
microseconds and is done on the loop.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from beamfast.errors import Busy

FILE: Final = "state.db"
#: Seconds after which an unused bucket is forgotten; it has long been full.
IDLE: Final = 3600.0
#: Buckets, and values of one kind, at most; beyond it the oldest go.
ROWS: Final = 100_000
#: Seconds between two looks for what has run out.
CLEANUP: Final = 60.0
#: Seconds that one call waits for the other workers.
PATIENCE: Final = 0.25
#: Seconds between two tries.
PAUSE: Final = 20e-6

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS buckets (
    key TEXT PRIMARY KEY, tokens REAL NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    expires REAL NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
"""


class Bucket:
    """
    Tokens of one client, which come back with time.

    Args:
        rate: tokens per second.
        capacity: tokens at most; so many at first.
        now: in seconds.
    """

    __slots__ = ("_capacity", "_rate", "tokens", "used")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self.tokens: float = float(capacity)
        self.used: float = now

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take ``cost`` tokens; return False, and take none, when there are less."""
        self._refill(now)
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def wait(self) -> int:
        """Return the seconds until there is a token, rounded up, at least 1."""
        return max(math.ceil((1.0 - self.tokens) / self._rate), 1)

    def fields(self, now: float) -> list[tuple[str, str]]:
        """Return the fields that tell a client how it stands."""
        self._refill(now)
        full = math.ceil((self._capacity - self.tokens) / self._rate)
        return [
            ("X-RateLimit-Limit", str(int(self._capacity))),
            ("X-RateLimit-Remaining", str(int(self.tokens))),
            ("X-RateLimit-Reset", str(full)),
        ]

    def _refill(self, now: float) -> None:
        # Processes read the same clock, but not in the order in which they write.
        earned = max(now - self.used, 0.0) * self._rate
        self.tokens = min(self.tokens + earned, float(self._capacity))
        self.used = max(now, self.used)


class RunState:
    """
    State that all workers see; a value that one stores the next finds.

    Args:
        folder: of what the workers share; None keeps everything in memory.
        clock: seconds that only grow, the same in every process.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_shared: bool = folder is not None
        self._clock = clock
        self._place: str | Path = ":memory:" if folder is None else folder / FILE
        self._opened: sqlite3.Connection | None = None
        self._cleaned = clock()

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def take(
        self, key: str, rate: float, capacity: float, cost: float = 1.0
    ) -> tuple[bool, Bucket]:
        """
        Take tokens from a bucket that all workers share.

        Args:
            key: whose bucket; made full when there is none.
            rate: tokens per second.
            capacity: tokens at most.
            cost: tokens to take.

        Returns:
            whether they were there, and the bucket afterwards.

        Raises:
            Busy: the others hold the file for too long.
        """
        with self._transaction() as database:
            bucket = self._load(database, key, rate, capacity)
            is_taken = bucket.take(self._clock(), cost)
            database.execute(
                "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)",
                (key, bucket.tokens, bucket.used),
            )
            self._clean(database)
        return is_taken, bucket

    def look(self, key: str, rate: float, capacity: float) -> Bucket:
        """Return a bucket without taking anything from it."""
        return self._load(self._database(), key, rate, capacity)

    def put(self, kind: str, key: str, value: str, lifetime: float) -> None:
        """
        Store a value; one of the same key is replaced.

        Args:
            kind: such as ``session``; keys of different kinds do not meet.
            key: who knows it may have the value, so let nobody guess it.
            value: anything.
            lifetime: seconds until it is gone.

        Raises:
            Busy: the others hold the file for too long.
        """
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
                (kind, key, value, self._clock() + lifetime),
            )
            self._clean(database)

    def get(self, kind: str, key: str) -> str | None:
        """Return a value, or None when there is none or it has run out."""
        row = (
            self._database()
            .execute(
                "SELECT value FROM entries WHERE kind = ? AND key = ? AND expires > ?",
                (kind, key, self._clock()),
            )
            .fetchone()
        )
        return None if row is None else str(row[0])

    def pop(self, kind: str, key: str) -> str | None:
        """
        Return a value and remove it: of many callers one gets it.

        Raises:
            Busy: the others hold the file for too long.
        """
        with self._transaction() as database:
            row = database.execute(
                "DELETE FROM entries WHERE kind = ? AND key = ? "
                "RETURNING value, expires",
                (kind, key),
            ).fetchone()
        return str(row[0]) if row is not None and row[1] > self._clock() else None

    @staticmethod
    def _load(
        database: sqlite3.Connection, key: str, rate: float, capacity: float
    ) -> Bucket:
        row = database.execute(
            "SELECT tokens, used FROM buckets WHERE key = ?", (key,)
        ).fetchone()
        bucket = Bucket(rate, capacity, 0.0)
        if row is not None:
            bucket.tokens, bucket.used = row
        return bucket

    def _clean(self, database: sqlite3.Connection) -> None:
        """Forget what has run out, and the oldest of what is too much."""
        now = self._clock()
        if now - self._cleaned < CLEANUP:
            return
        self._cleaned = now
        database.execute("DELETE FROM buckets WHERE used < ?", (now - IDLE,))
        database.execute("DELETE FROM entries WHERE expires <= ?", (now,))
        database.execute(
            "DELETE FROM buckets WHERE key IN (SELECT key FROM buckets "
            "ORDER BY used DESC LIMIT -1 OFFSET ?)",
            (ROWS,),
        )
        database.execute(
            "DELETE FROM entries WHERE (kind, key) IN (SELECT kind, key FROM ("
            "SELECT kind, key, row_number() OVER "
            "(PARTITION BY kind ORDER BY expires DESC) AS place FROM entries) "
            "WHERE place > ?)",
            (ROWS,),
        )

    def _database(self) -> sqlite3.Connection:
        """Open the file at the first use: most sites never need it."""
        if self._opened is None:
            # What waits is decided in _transaction: SQLite would sleep on the loop.
            database = sqlite3.connect(self._place, timeout=0, isolation_level=None)
            _retry(lambda: database.execute("PRAGMA journal_mode = WAL"))
            database.execute("PRAGMA synchronous = OFF")
            _retry(lambda: database.executescript(_SCHEMA))
            self._opened = database
        return self._opened

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._database()
        _retry(lambda: database.execute("BEGIN IMMEDIATE"))
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def _retry(attempt: Callable[[], object]) -> None:
    """
    Try until the other workers let go of the file.

    They hold it for some microseconds, so giving the processor away is enough;
    SQLite's own waiting would begin with a millisecond.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            attempt()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
            ):
                raise
            if time.monotonic() > deadline:
                raise Busy("The shared state of the workers is busy") from None
            time.sleep(PAUSE)
        else:
            return
