"""A SQLite file that several processes may have open: one thread that writes it, and some that read it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

from codin.errors import MemoryFailed, MemoryUnavailable, NotKept
from codin.memory.backends._sqlite.writer import Writer
from codin.task.stores._scripts import scripts_of

__all__ = ["MemoryFile"]

A = TypeVarTuple("A")
T = TypeVar("T")

_APPLICATION: Final = 0x636F646D
"""«codm» in the file's header: not the «codi» of a task store, whose tables have other shapes."""
_READERS: Final = 4
_WAIT: Final = 30.0  # seconds, for another process that writes
_LOG: Final = 4000  # pages of the write-ahead log, then it goes into the file


class MemoryFile:
    """Opens and migrates `path`. Blocks: made, and closed, on another thread than the loop's.

    Args:
        loop: that small things may be written on; see `Writer`.

    Raises:
        MemoryUnavailable: it cannot be opened, or another process does not let go of it.
        MemoryFailed: it is no database, another program's, or a newer codin's.
    """

    def __init__(self, path: Path, synchronous: str, loop: asyncio.AbstractEventLoop) -> None:
        self._path = str(path)
        self._synchronous = synchronous
        self._idle: list[sqlite3.Connection] = []
        self._here: sqlite3.Connection | None = None
        with self._explained():
            self._create()
            self._connection = self._connect()
            try:
                self._prepare()
                if synchronous == "normal":  # of the others, each commit flushes
                    self._here = self._connect_here()
            except BaseException:
                self._connection.close()
                raise
        self._writer = Writer(path, self._connection, self._here, loop)
        self._readers = ThreadPoolExecutor(_READERS, "codin-memory-read")

    def _create(self) -> None:
        """Make the file its owner's alone. SQLite gives its log beside it the same mode."""
        with contextlib.suppress(OSError):  # it is there, or it cannot be made, which SQLite says
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_WAIT, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def _prepare(self) -> None:
        """Processes that open a new file at once meet here; SQLite does not wait for all of its locks by itself."""
        end = time.monotonic() + _WAIT
        while True:
            try:
                self._migrate()
                mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > end:
                    raise
                time.sleep(0.02)
        if mode != "wal":
            raise MemoryFailed(
                f"{self._path!r} cannot have a write-ahead log (its journal mode stays {mode!r})",
                hint="put the file on a local disk",
            )
        self._let_write(self._connection)
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG}")
        self._connection.execute("PRAGMA journal_size_limit = 67108864")  # a long read lets the log grow

    def _let_write(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA secure_delete = ON")

    def _connect_here(self) -> sqlite3.Connection:
        """One that the event loop writes with: it waits for nobody, and moves no log into the file, which flushes."""
        connection = self._connect()
        self._let_write(connection)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def _migrate(self) -> None:
        known = scripts_of("codin.memory.backends._sqlite")
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE" if _version(connection) < len(known) else "BEGIN")
        try:
            version = _version(connection)
            application: int = connection.execute("PRAGMA application_id").fetchone()[0]
            if application != _APPLICATION and (
                version or connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            ):
                raise MemoryFailed(
                    f"{self._path!r} is the database of another program", hint="give the memory a file of its own"
                )
            if version > len(known):
                raise MemoryFailed(
                    f"{self._path!r} has schema version {version}, and this codin knows {len(known)}",
                    hint="a newer codin wrote it: upgrade, or use another file",
                )
            for number, script in enumerate(known[version:], version + 1):
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.rollback()

    async def beside(self, work: Callable[[*A], T], *arguments: *A) -> T:
        """What `work` gives, which needs no file and too much time for the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._beside, work, arguments)

    def _beside(self, work: Callable[[*A], T], arguments: tuple[*A]) -> T:
        with self._explained():
            return work(*arguments)

    async def read(self, query: Callable[[sqlite3.Connection, *A], T], *arguments: *A) -> T:
        """What `query` gives, from one state of the file."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, query, arguments)

    def _read(self, query: Callable[[sqlite3.Connection, *A], T], arguments: tuple[*A]) -> T:
        with self._explained():
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect_reader()
            try:
                connection.execute("BEGIN")
                return query(connection, *arguments)
            finally:
                connection.rollback()
                self._idle.append(connection)

    def _connect_reader(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    async def write(self, job: Callable[[sqlite3.Connection, *A], T], *arguments: *A) -> T:
        """What `job` gives, when its changes are stored: all of them, or none and an error."""
        with self._explained():
            return await self._writer.write(job, *arguments)

    async def write_small(self, job: Callable[[sqlite3.Connection, *A], T], *arguments: *A) -> T:
        """As `write`, a few rows of a few thousand letters in all: it may be done on the event loop."""
        with self._explained():
            return await self._writer.at_once(job, *arguments)

    async def rewrite(self) -> None:
        """Make the file again, of what is in it, without what was."""
        with self._explained():
            await self._writer.run(_rewrite)

    async def empty_log(self) -> None:
        """Move the write-ahead log into the file, and cut it to nothing: what was erased is in it still."""
        with self._explained():
            busy = await self._writer.run(_empty_log)
        if busy:
            raise MemoryUnavailable(
                f"what was erased is in the write-ahead log of {self._path!r} still: somebody is reading it",
                hint="erase again; what is gone already does no harm",
            )

    def close(self) -> None:
        """Finish what is queued and let go."""
        self._writer.stop()
        self._readers.shutdown()
        here = () if self._here is None else (self._here,)
        for connection in (*self._idle, *here, self._connection):  # the last one to go empties the write-ahead log
            connection.close()

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _memory_error(self._path, error) from error
        except UnicodeEncodeError as error:
            raise NotKept("there is half a character in a text, which no file takes", hint=str(error)[:200]) from error
        except OverflowError as error:
            raise NotKept(f"a number is too large: {error}") from error


def _rewrite(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA temp_store = FILE")  # a copy of it all
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Whether somebody was in the way. SQLite waits for readers by itself, and not for others who move the log."""
    end = time.monotonic() + _WAIT
    while busy := bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]):
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return busy


def _statements(script: str) -> Iterator[str]:
    """One by one: `executescript` would end the transaction that holds them together."""
    statement = ""
    for line in script.splitlines():
        statement += f"{line}\n"
        if ";" in line and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _memory_error(path: str, error: sqlite3.Error) -> MemoryFailed:
    """What a failure of SQLite means to whoever uses the memory."""
    failed = f"the memory {path!r} failed: {error}"
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return MemoryFailed(failed, hint="make room on the disk; nothing is kept half")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return MemoryUnavailable(failed, hint="another process has been writing for too long; nothing was done")
        case sqlite3.SQLITE_CANTOPEN:
            return MemoryUnavailable(failed, hint="its folder has to be there, and writable")
        case sqlite3.SQLITE_NOTADB:
            return MemoryFailed(failed, hint="it is no SQLite file: give the memory a file of its own")
        case _:
            return MemoryFailed(failed)
