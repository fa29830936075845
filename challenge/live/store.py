"""Where messages of the day outlive the server that took them.

A store keeps what messages tell, as it was told; the state is made of it. All processes of
a server share one, and each reads what the others have written.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

from challenge.errors import LiveStoreError
from challenge.live.messages import Report
from challenge.live.state import Pruned

SCHEMA_VERSION: Final = 1
# "flpr": says whose file it is.
_APPLICATION: Final = 0x666C7072
_BUSY_SECONDS: Final = 2
# Some megabytes.
READ_AT_ONCE: Final = 5_000
_SCHEMA: Final = f"""
    PRAGMA application_id = {_APPLICATION};
    PRAGMA user_version = {SCHEMA_VERSION};
    CREATE TABLE state (id TEXT NOT NULL);
    CREATE TABLE reports (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        received REAL NOT NULL,
        place INTEGER NOT NULL,
        told BLOB NOT NULL
    );
"""


class NewReport(NamedTuple):
    """A report that has no number yet; see `Report`."""

    at: int
    place: int
    told: bytes


class Position(NamedTuple):
    """How much of a store is known: all of a state up to the number of a report.

    Attributes:
        state: changes whenever the store is emptied.
        number: of the last report; 0 before the first.
    """

    state: str
    number: int


class Read(NamedTuple):
    """What a store has beyond a position, or the first of it.

    Attributes:
        position: up to which is known now.
        is_new: whether the store was emptied: what was known before holds no longer.
        reports: in the order in which they were received.
        heard: when the last of them was, in seconds since 1970; 0 without any.
        has_more: whether there is more.
    """

    position: Position
    is_new: bool
    reports: list[Report]
    heard: float
    has_more: bool


class LiveStore(Protocol):
    """A store. All methods raise LiveStoreError where it cannot be used at this time, and
    then nothing is changed."""

    def reader(self) -> Self:
        """The same store, to read it in another thread; or this one, if it can only be
        used by one."""

    def append(self, reports: Sequence[NewReport], received: float) -> None:
        """Keep reports; once this returns they outlive the process, and the machine if
        the store is durable.

        Args:
            reports: all or none are kept.
            received: when they were, in seconds since 1970.
        """

    def read(self, after: Position) -> Read:
        """What there is after a position."""

    def prune(self, pruned: Pruned) -> None:
        """Forget what need not be kept."""

    def reset(self) -> None:
        """Forget everything."""

    def probe(self) -> None:
        """See whether it can be written to, after it could not."""

    def close(self) -> None:
        """Give its resources back."""


class SQLiteStore:
    """A store in a file, or in memory; one thread at a time uses it.

    Args:
        path: the file, which is made if missing; None for memory.
        is_durable: whether what was kept outlives the machine, too.
    """

    def __init__(self, path: Path | None, is_durable: bool) -> None:
        self._path = path
        self._is_durable = is_durable
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._version = -1
        self._has_written = False
        self._is_replaced = False

    def reader(self) -> SQLiteStore:
        """The same for another thread, which does not wait where this one has to; that in
        memory itself."""
        if self._path is None:
            return self
        return SQLiteStore(self._path, self._is_durable)

    def append(self, reports: Sequence[NewReport], received: float) -> None:
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO reports (at, received, place, told) VALUES (?, ?, ?, ?)",
                [(one.at, received, one.place, one.told) for one in reports],
            )

    def read(self, after: Position) -> Read:
        with self._using() as connection:
            [(version,)] = connection.execute("PRAGMA data_version")
            if version == self._version and not self._has_written and after.state:
                return Read(after, False, [], 0.0, False)
            # One view of the file for both queries.
            connection.execute("BEGIN")
            [(state,)] = connection.execute("SELECT id FROM state")
            last = connection.execute("SELECT seq FROM sqlite_sequence").fetchone()
            # An older copy in place of what was read.
            is_older = (last[0] if last else 0) < after.number
            is_new = state != after.state or self._is_replaced or is_older
            number = 0 if is_new else after.number
            rows = connection.execute(
                "SELECT at, number, place, told, received FROM reports "
                "WHERE number > ? ORDER BY number LIMIT ?",
                (number, READ_AT_ONCE),
            ).fetchall()
            connection.execute("COMMIT")
        has_more = len(rows) == READ_AT_ONCE
        self._version = -1 if has_more else version
        self._has_written = self._is_replaced = False
        reports = [Report(*row[:4]) for row in rows]
        if reports:
            number = reports[-1].number
        heard = max((row[4] for row in rows), default=0.0)
        return Read(Position(state, number), is_new, reports, heard, has_more)

    def prune(self, pruned: Pruned) -> None:
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM reports WHERE number = ?",
                [(number,) for number in pruned.removed],
            )
            connection.executemany(
                "UPDATE reports SET told = ? WHERE number = ?",
                [(told, number) for number, told in pruned.merged.items()],
            )

    def reset(self) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM reports")
            connection.execute("UPDATE state SET id = ?", (_new_state(),))

    def probe(self) -> None:
        with self._transaction() as connection:
            connection.execute("UPDATE state SET id = id")

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self._has_written = True

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The connection; it is opened again after a fault."""
        try:
            if self._connection is None:
                self._connection = self._open()
            self._check_file()
            yield self._connection
        except (sqlite3.Error, OSError) as error:
            self.close()
            self._version = -1
            reason = getattr(error, "strerror", None) or str(error)
            raise LiveStoreError(self._name, reason) from error

    def _open(self) -> sqlite3.Connection:
        path = self._path
        if path is not None:
            # A file that was there, and is away, is not to be replaced by an empty one.
            if self._inode and not path.exists():
                raise FileNotFoundError(2, "No such file or directory")
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            ":memory:" if path is None else path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        if path is not None:
            self._inode = path.stat().st_ino
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables, unless they are there."""
        synchronous = "FULL" if self._is_durable else "OFF"
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        if self._has_tables(connection):
            return
        # Only now: it changes the file.
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        # Several processes may come at one time.
        connection.execute("BEGIN IMMEDIATE")
        if not self._has_tables(connection):
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute("INSERT INTO state VALUES (?)", (_new_state(),))
        connection.execute("COMMIT")

    @staticmethod
    def _has_tables(connection: sqlite3.Connection) -> bool:
        """Whether it is a store, and not an empty file."""
        [(application,)] = connection.execute("PRAGMA application_id")
        [(version,)] = connection.execute("PRAGMA user_version")
        [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_master")
        if not tables:
            return False
        if application != _APPLICATION:
            raise sqlite3.DatabaseError("it is the database of another program")
        if version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"its version {version} is not known")
        return True

    def _check_file(self) -> None:
        """Refuse to go on with a file that was removed or replaced: what is written to
        it would be lost."""
        if self._path is None:
            return
        inode = self._path.stat().st_ino
        if inode != self._inode:
            self.close()
            self._connection = self._open()
            # An older copy, perhaps, in which the same numbers tell something else.
            self._version, self._is_replaced = -1, True

    @property
    def _name(self) -> str:
        return "memory" if self._path is None else str(self._path)


def _new_state() -> str:
    return secrets.token_hex(8)
