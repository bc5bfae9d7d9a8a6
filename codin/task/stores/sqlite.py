"""Task logs in one SQLite file: durable, read and written beside the event loop, open in one process at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from codin import a2a
from codin.errors import ConfigError, StoreError
from codin.task._entry import Entry
from codin.task._protocol import Claim, Commit, Lease, ListQuery, Owner, Page, Stored
from codin.task.stores import _sqlite_queries as queries
from codin.task.stores._leases import Leases, check_lease
from codin.task.stores._sqlite_file import SQLiteFile
from codin.task.stores._sqlite_writer import Settled

__all__ = ["SQLiteStore"]

_BATCH: Final = 100
"""Tasks that retention takes in one transaction; commits go between two of them."""


class SQLiteStore:
    """Several managers of one process may share one store: each opens and closes it.

    Args:
        path: the file; `<path>.lock` beside it says which process has it open.
        synchronous: "normal" keeps what was committed when the process dies, however it dies; "full" also when the
            machine loses power.

    Raises:
        ConfigError: there is no path, or no such level.
    """

    durable = True

    def __init__(self, path: str | os.PathLike[str], synchronous: str = "normal") -> None:
        name = os.fspath(path)
        if not name or name == ":memory:":
            raise ConfigError("a SQLite store needs a file", hint="sqlite:///tasks.db, or memory:// to keep nothing")
        if synchronous not in ("normal", "full"):
            raise ConfigError(f"synchronous={synchronous!r} is not known", hint="normal or full")
        self._path = Path(name)
        self._synchronous = synchronous
        self._file: SQLiteFile | None = None
        self._old: SQLiteFile | None = None  # let go of, and perhaps still finishing
        self._users = 0
        self._opening = threading.Lock()
        self._leases = Leases()
        self._position = 0
        self._waiting: list[asyncio.Future[None]] = []

    # -- life ----------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Lock the file, and bring it to the shape this code knows.

        Raises:
            StoreInUse: another process has it open.
            StoreError: it cannot be opened, or is another program's, or a newer codin's.
            ConfigError: this store is open on another event loop.
        """
        loop = asyncio.get_running_loop()
        if self._file is not None and self._file.loop is not loop:
            if not self._file.loop.is_closed():
                raise ConfigError(f"the store {str(self._path)!r} is open on another event loop")
            self._old, self._file, self._users = self._file, None, 0  # its loop ended and did not close it
        self._users += 1
        try:
            await asyncio.to_thread(self._ready, loop)
        except BaseException:
            self._users -= 1
            await asyncio.to_thread(self._undone)  # who is called off leaves a thread that opens it
            raise

    def _undone(self) -> None:
        with self._opening:
            if not self._users and self._file is not None:
                file, self._file = self._file, None
                file.close()

    def _ready(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._opening:
            if self._old is not None:
                self._old.close()
                self._old = None
            if self._file is None and self._users:  # who was called off may be gone already
                file = SQLiteFile(self._path.resolve(), self._synchronous, loop, self._settled)
                self._position = file.writer.position
                self._file = file

    async def close(self) -> None:
        """Finish what is queued and let go, when everybody who has opened it has closed it."""
        self._users = max(0, self._users - 1)
        if self._users or self._file is None:
            return
        file = self._old = self._file
        self._file = None  # from here on nothing is queued
        await asyncio.to_thread(file.close)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_exception(self._not_open())

    def _opened(self) -> SQLiteFile:
        if self._file is None:
            raise self._not_open()
        return self._file

    def _not_open(self) -> StoreError:
        return StoreError(f"the store {str(self._path)!r} is not open")

    # -- writing -------------------------------------------------------------------------------------------------------

    def lease(self, owner: Owner, context_id: str, holder: str) -> Lease:
        """Take the turn lock of a context. One process has the file open, so its memory is the place for it."""
        return self._leases.take(owner, context_id, holder)

    def release(self, owner: Owner, lease: Lease) -> None:
        """Give the turn lock back."""
        self._leases.release(owner, lease)

    def append(self, commit: Commit) -> asyncio.Future[int]:
        """Append all entries or none.

        Raises:
            LeaseLost: at once.
            Conflict: when awaited, as every other StoreError.
        """
        check_lease(commit.lease)
        return self._opened().writer.append(commit)

    def _settled(self, settled: Settled, position: int) -> None:
        self._position = position
        for future, result in settled:
            if future.done():
                continue
            if isinstance(result, StoreError):
                future.set_exception(result)
            else:
                future.set_result(result)
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def load(self, owner: Owner, task_id: str) -> Stored | None:
        """The newest fold and the entries behind it."""
        return await self._opened().read(queries.load, owner, task_id)

    async def read(self, owner: Owner, task_id: str, after: int = 0) -> Sequence[Entry]:
        """The entries above `after` that are still kept."""
        return await self._opened().read(queries.read, owner, task_id, after)

    async def list(self, owner: Owner, query: ListQuery) -> Page:
        """One page of this owner's tasks, newest status first."""
        return await self._opened().read(queries.page, owner, query)

    async def claim(self, owner: Owner, key: str) -> Claim | None:
        """What an idempotency key was used for."""
        return await self._opened().read(queries.claim, owner, key)

    async def unfinished(self, agent: str) -> Sequence[tuple[Owner, str, a2a.TaskState]]:
        """The tasks of one agent that are not terminal, oldest first."""
        return await self._opened().read(queries.unfinished, agent)

    # -- feed ----------------------------------------------------------------------------------------------------------

    async def feed(self, after: int, limit: int = 256) -> Sequence[Commit]:
        """The commits above `after`, without their fold and their lease, and without what retention took."""
        return await self._opened().read(queries.feed, after, limit)

    async def changed(self, after: int) -> None:
        """Wait until the feed has something above `after`. Raises StoreError when the store is closed meanwhile."""
        while self._position <= after:
            future: asyncio.Future[None] = self._opened().loop.create_future()
            self._waiting.append(future)
            await future

    async def cursor(self, consumer: str) -> int:
        """How far a consumer of the feed has come."""
        return await self._opened().read(queries.cursor, consumer)

    async def advance(self, consumer: str, position: int) -> None:
        """Store a consumer's cursor."""
        await self._opened().writer.run(partial(queries.advance, consumer=consumer, position=position))

    async def cursors(self, prefix: str) -> Sequence[tuple[str, int]]:
        """The consumers whose names begin so, and how far each has come."""
        return await self._opened().read(queries.cursors, prefix)

    async def forget(self, consumer: str) -> None:
        """Drop a consumer's cursor."""
        await self._opened().writer.run(partial(queries.forget, consumer=consumer))

    # -- retention -----------------------------------------------------------------------------------------------------

    async def trim(self, *, chunks_before: int, tasks_before: int) -> None:
        """Retention of ended tasks, in pieces between which commits go on."""
        whole, chunks = await self._opened().read(queries.ended, chunks_before, tasks_before)
        for drop, tasks in ((queries.drop_tasks, whole), (queries.drop_chunks, chunks)):
            for start in range(0, len(tasks), _BATCH):
                await self._opened().writer.run(partial(drop, tasks=tasks[start : start + _BATCH]))
