"""Registrations in SQLite: in a file, or in memory. One connection, and one thread that uses it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from time import time
from typing import Final, TypeVar

from codin.errors import StoreError, StoreInUse
from codin.mesh.registry import _sqlite_search as searching
from codin.mesh.registry._protocol import Holder, Labels, Page, Query, Registration

__all__ = ["SQLiteRegistryStore"]

T = TypeVar("T")

_APPLICATION: Final = 0x636F6472  # «codr» in the file's header
_VERSION: Final = 1
_COLUMNS: Final = searching.NAMES
_SCHEMA: Final = """
CREATE TABLE registrations (
    row INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    url TEXT NOT NULL,
    kid TEXT,
    identity TEXT,
    jwk TEXT,
    verified INTEGER NOT NULL,
    ttl REAL NOT NULL,
    registered REAL NOT NULL,
    seen REAL NOT NULL,
    said REAL NOT NULL,
    load REAL,
    latency REAL,
    failed INTEGER NOT NULL,
    card BLOB NOT NULL,
    until REAL GENERATED ALWAYS AS (seen + 2 * ttl) VIRTUAL
);
CREATE INDEX by_agent ON registrations (agent, row);
CREATE INDEX by_owner ON registrations (owner);
CREATE TABLE labels (
    kind TEXT, label TEXT, agent TEXT, row INTEGER, PRIMARY KEY (kind, label, agent, row)
) WITHOUT ROWID;
CREATE INDEX labels_of ON labels (row);
CREATE TABLE names (name TEXT PRIMARY KEY, kid TEXT, jwk TEXT, owner TEXT NOT NULL, used REAL NOT NULL);
CREATE INDEX names_of ON names (owner);
CREATE VIRTUAL TABLE words USING fts5 (
    name, skills, text, prefix = '2 3 4 5', detail = column, tokenize = 'unicode61 remove_diacritics 0'
);
"""
_PUT: Final = f"""
INSERT INTO registrations ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" * len(_COLUMNS))})
ON CONFLICT (key) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "key")}
RETURNING row
"""


class SQLiteRegistryStore:
    """Keeps what is registered over a restart, so that nobody is lost while agents wait for their next heartbeat.

    Args:
        path: the file; None keeps everything in memory.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Open the file.

        Raises:
            StoreInUse: another process has it open.
            StoreError: it cannot be opened, or is another program's, or a newer codin's.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "codin-registry")
            try:
                await self._run(self._connect)
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Let go of the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
            thread.shutdown()

    def _connect(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):  # it is there, or it cannot be made, which SQLite says
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._connection = connection = sqlite3.connect(
            self._path or ":memory:", isolation_level=None, check_same_thread=False, timeout=0
        )
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # the lock of the kernel goes with the process
        connection.execute("PRAGMA synchronous = NORMAL")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        application: int = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != _APPLICATION and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StoreError(f"{str(self._path)!r} is another database", hint="give the registry a file of its own")
        if version > _VERSION:
            raise StoreError(f"{str(self._path)!r} was written by a newer codin", hint="upgrade, or use another file")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")  # takes the lock now
        if not version:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise StoreError("the registry's store is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            words = f"the registry's store {str(self._path or 'in memory')!r} "
            raise (
                StoreInUse(words + "is held by another process") if busy else StoreError(f"{words}fails: {error}")
            ) from error

    def _opened(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    async def put(self, registration: Registration, *, names: Iterable[str], labels: Labels) -> None:
        """Add or replace a registration, and give its names to its owner."""

        def work() -> None:
            with _transaction(self._opened()) as connection:
                row: int = connection.execute(_PUT, astuple(registration)).fetchone()[0]
                _index(connection, row, registration, labels)
                connection.executemany(
                    "INSERT OR REPLACE INTO names (name, kid, jwk, owner, used) VALUES (?, ?, ?, ?, ?)",
                    [(name, registration.kid, registration.jwk, registration.owner, time()) for name in names],
                )

        await self._run(work)

    async def get(self, key: str) -> Registration | None:
        """One registration."""
        statement = f"SELECT {', '.join(_COLUMNS)} FROM registrations WHERE key = ?"
        row = await self._run(lambda: self._opened().execute(statement, (key,)).fetchone())
        return None if row is None else searching.registration_of(row)

    async def beat(self, key: str, *, seen: float, said: float, load: float | None) -> None:
        """It was heard of."""
        statement = "UPDATE registrations SET seen = ?, said = ?, load = ? WHERE key = ?"
        await self._run(lambda: self._opened().execute(statement, (seen, said, load, key)))

    async def look(self, key: str, *, latency: float | None, failed: bool) -> None:
        """The registry has looked at its card."""
        statement = "UPDATE registrations SET latency = ?, failed = ? WHERE key = ?"
        await self._run(lambda: self._opened().execute(statement, (latency, failed, key)))

    async def drop(self, key: str) -> None:
        """Forget a registration; its names stay held."""

        def work() -> None:
            with _transaction(self._opened()) as connection:
                _forget(
                    connection, connection.execute("SELECT row FROM registrations WHERE key = ?", (key,)).fetchall()
                )

        await self._run(work)

    async def search(self, query: Query) -> Page:
        """The registrations that fit."""
        return await self._run(lambda: searching.search(self._opened(), query))

    async def holders(self, names: Iterable[str]) -> dict[str, Holder]:
        """Whose these names are, of those that are held."""
        wanted = list(names)
        statement = f"SELECT name, kid, jwk, owner FROM names WHERE name IN ({', '.join('?' * len(wanted))})"
        rows = await self._run(lambda: self._opened().execute(statement, wanted).fetchall())
        return {name: Holder(*rest) for name, *rest in rows}

    async def counts(self, owner: str) -> tuple[int, int, int]:
        """All registrations, those of an owner, and the names that the owner holds."""
        statement = (
            "SELECT (SELECT count(*) FROM registrations), (SELECT count(*) FROM registrations WHERE owner = :owner), "
            "(SELECT count(*) FROM names WHERE owner = :owner)"
        )
        return await self._run(lambda: self._opened().execute(statement, {"owner": owner}).fetchone())

    async def sweep(self, *, gone_before: float, names_before: float) -> Sequence[Registration]:
        """Forget, and tell, what was gone before one time; and the names not used since the other."""

        def work() -> list[Registration]:
            with _transaction(self._opened()) as connection:
                gone = connection.execute(
                    f"SELECT row, {', '.join(_COLUMNS)} FROM registrations WHERE until < ?", (gone_before,)
                ).fetchall()
                _forget(connection, [(row[0],) for row in gone])
                unused = "NOT EXISTS (SELECT 1 FROM labels WHERE kind = 'name' AND label = names.name)"
                connection.execute(f"DELETE FROM names WHERE used < ? AND {unused}", (names_before,))
                return [searching.registration_of(row[1:]) for row in gone]

        return await self._run(work)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _index(connection: sqlite3.Connection, row: int, registration: Registration, labels: Labels) -> None:
    """What it is found by, instead of what it was found by before."""
    _unindex(connection, [(row,)])
    found_by = [("name", registration.agent), ("name", registration.name)]
    found_by += [("skill", skill) for skill in labels.skills] + [("tag", tag) for tag in labels.tags]
    connection.executemany(
        "INSERT OR IGNORE INTO labels (kind, label, agent, row) VALUES (?, ?, ?, ?)",
        [(kind, label.casefold(), registration.agent, row) for kind, label in found_by],
    )
    skills = " ".join(sorted(labels.skills | labels.tags))
    connection.execute(
        "INSERT INTO words (rowid, name, skills, text) VALUES (?, ?, ?, ?)",
        (row, f"{registration.agent} {registration.name}".casefold(), skills.casefold(), labels.text.casefold()),
    )


def _unindex(connection: sqlite3.Connection, rows: Sequence[tuple[int]]) -> None:
    connection.executemany("DELETE FROM labels WHERE row = ?", rows)
    connection.executemany("DELETE FROM words WHERE rowid = ?", rows)


def _forget(connection: sqlite3.Connection, rows: Sequence[tuple[int]]) -> None:
    theirs = "SELECT label FROM labels WHERE row = ? AND kind = 'name'"
    connection.executemany(f"UPDATE names SET used = ? WHERE name IN ({theirs})", [(time(), *row) for row in rows])
    _unindex(connection, rows)
    connection.executemany("DELETE FROM registrations WHERE row = ?", rows)
