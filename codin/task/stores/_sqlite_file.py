"""A SQLite file while it is open: its lock, its writer, and the threads that read it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

from codin.errors import StoreError
from codin.task.stores._file_lock import FileLock
from codin.task.stores._migrations import migrate
from codin.task.stores._sqlite_append import store_error
from codin.task.stores._sqlite_writer import Settled, Writer

__all__ = ["SQLiteFile"]

A = TypeVarTuple("A")
T = TypeVar("T")

_READERS: Final = 4
_STATEMENTS: Final = 256
_LOG: Final = (
    16_384_000  # bytes of the write-ahead log, then it goes into the file; SQLite's usual quarter is 150 small turns
)


class SQLiteFile:
    """Opens, locks and migrates `path`. Blocks: made, and closed, on another thread than the loop's.

    Raises:
        StoreInUse: another process, or another store object, has it open.
        StoreError: it cannot be opened, or belongs to another program or a newer codin.
    """

    def __init__(
        self, path: Path, synchronous: str, loop: asyncio.AbstractEventLoop, settle: Callable[[Settled, int], None]
    ) -> None:
        self.loop = loop
        self._path = str(path)
        self._idle: list[sqlite3.Connection] = []
        self._closing = threading.Lock()
        self._closed = False
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        try:
            self._create()
            self._connection = self._connect()
            try:
                self._prepare(synchronous)
                self.writer = Writer(self._connection, self._path, loop, settle)
            except BaseException:
                self._connection.close()
                raise
        except BaseException as error:
            self._lock.release()
            if isinstance(error, sqlite3.Error):
                raise store_error(self._path, error) from error
            raise
        self._readers = ThreadPoolExecutor(_READERS, "codin-store-read")

    def _create(self) -> None:
        """Make the file its owner's alone: every message is in it. SQLite gives its log beside it the same mode."""
        with contextlib.suppress(OSError):  # it is there, or it cannot be made, which SQLite says
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
        )
        # An INSERT of many rows keeps an undo list: in a file, or in blocks of 64 KB, it costs more than the rows.
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def _prepare(self, synchronous: str) -> None:
        connection = self._connection
        if synchronous == "full":
            # Of a new file. A commit flushes a dozen pages, most for a few bytes: half the size is half to wait for.
            connection.execute("PRAGMA page_size = 2048")
        migrate(connection, self._path)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"{self._path!r} cannot have a write-ahead log (its journal mode stays {mode!r})",
                hint="put the file on a local disk",
            )
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        page_size: int = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG // page_size}")
        connection.execute("PRAGMA journal_size_limit = 67108864")  # a long read lets the log grow; this shrinks it

    async def read(self, query: Callable[[sqlite3.Connection, *A], T], *arguments: *A) -> T:
        """What `query` gives, from one state of the file. Raises StoreError."""
        return await self.loop.run_in_executor(self._readers, self._read, query, arguments)

    def _read(self, query: Callable[[sqlite3.Connection, *A], T], arguments: tuple[*A]) -> T:
        try:
            try:
                connection = self._idle.pop()
            except IndexError:  # asked and taken in two steps, another thread would come between
                connection = self._connect_reader()
            try:
                connection.execute("BEGIN")
                return query(connection, *arguments)
            finally:
                connection.rollback()
                self._idle.append(connection)
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            raise store_error(self._path, error) from error

    def _connect_reader(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def close(self) -> None:
        """Finish what is queued and let go. Whoever calls it again waits until that is done."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self.writer.stop()
            self._readers.shutdown()
            for connection in (*self._idle, self._connection):  # the last one to go empties the write-ahead log
                connection.close()
            self._lock.release()
