"""The thread that writes a SQLite file. What arrives while it commits joins the next commit; there is no timer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from codin.errors import StoreError
from codin.task._protocol import Commit
from codin.task.stores._sqlite_append import Appender, store_error

__all__ = ["Settled", "Writer"]

T = TypeVar("T")

Settled = Sequence[tuple[asyncio.Future[Any], Any]]
"""Futures, each with its result or the StoreError that it ends with."""

_Job = Callable[[sqlite3.Connection], Any]

_GROUP: Final = 256


class Writer:
    """Commits in groups, and other work each in a transaction of its own, in the order of their coming.

    Args:
        connection: nobody else uses it while the writer lives.
        settle: called on `loop`, once for each group, with its futures and the position of the newest commit.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        loop: asyncio.AbstractEventLoop,
        settle: Callable[[Settled, int], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._loop = loop
        self._settle = settle
        self._appender = Appender(connection, path)
        self.position = self._appender.position
        self._queue: SimpleQueue[tuple[Commit | _Job, asyncio.Future[Any]] | None] = SimpleQueue()
        # A process that ends without closing its store must not hang on this thread: what is queued was not promised.
        self._thread = threading.Thread(target=self._work, name="codin-store-write", daemon=True)
        self._thread.start()

    def append(self, commit: Commit) -> asyncio.Future[int]:
        """The commit's position, when it is stored."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._queue.put((commit, future))
        return future

    def run(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """What `job` gives, when its changes are stored."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((job, future))
        return future

    def stop(self) -> None:
        """Finish what is queued, and end the thread. Blocks; called on another thread than the loop's."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        queue = self._queue
        going = True
        while going:
            works = [queue.get()]
            works += [queue.get() for _ in range(min(queue.qsize(), _GROUP))]
            group: list[tuple[Commit, asyncio.Future[Any]]] = []
            for item in works:
                if item is None:
                    going = False
                    continue
                work, future = item
                if isinstance(work, Commit):
                    group.append((work, future))
                else:
                    self._commit(group)
                    group = []
                    self._run(work, future)
            self._commit(group)

    def _commit(self, group: Sequence[tuple[Commit, asyncio.Future[Any]]]) -> None:
        if group:
            results = self._appender.append([commit for commit, _ in group])
            self._done([(future, result) for (_, future), result in zip(group, results, strict=True)])

    def _run(self, job: _Job, future: asyncio.Future[Any]) -> None:
        try:
            result = self._appender.transaction(job, self._connection)
        except Exception as error:
            result = error if isinstance(error, StoreError) else store_error(self._path, error)
        self._done([(future, result)])

    def _done(self, settled: Settled) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, settled, self._appender.position)
