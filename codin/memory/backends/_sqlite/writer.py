"""The thread that writes a memory's file. What waits while it commits shares the next commit; there is no timer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar, TypeVarTuple

from codin.errors import MemoryFailed

__all__ = ["Writer"]

A = TypeVarTuple("A")
T = TypeVar("T")

_SHARED: Final = 0.01
"""Seconds after which no other job joins a transaction, whose first one waits for its last."""


class _Job(NamedTuple):
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: asyncio.Future[Any]
    bare: bool


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: Exception | None = None


class Writer:
    """Does jobs in the order of their coming.

    Args:
        connection: nobody else uses it while the writer lives.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._stopped = False
        self._stopping = threading.Lock()
        # A process that ends without closing its memory must not hang on this thread: what is queued was not promised.
        self._thread = threading.Thread(target=self._work, name="codin-memory-write", daemon=True)
        self._thread.start()

    def write(self, job: Callable[[sqlite3.Connection, *A], T], *arguments: *A) -> asyncio.Future[T]:
        """What `job` gives, when its changes are stored: all of them, or none and an error.

        It is done again when another one that shares its transaction fails.
        """
        return self._queued(job, arguments, bare=False)

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """What `work` gives, which is in no transaction."""
        return self._queued(work, (), bare=True)

    def _queued(self, work: Callable[..., T], arguments: tuple[Any, ...], *, bare: bool) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._stopping:
            if self._stopped:
                raise MemoryFailed("the memory has been closed")
            self._queue.put(_Job(work, arguments, future, bare))
        return future

    def stop(self) -> None:
        """Finish what is queued, and end the thread. Blocks; called on another thread than the loop's."""
        with self._stopping:
            self._stopped = True
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        queue = self._queue
        going = True
        while going:
            taken = [queue.get(), *(queue.get() for _ in range(queue.qsize()))]
            going = taken[-1] is not None
            jobs = deque(job for job in taken if job is not None and not job.future.cancelled())
            while jobs:
                _tell(self._next(jobs))

    def _next(self, jobs: deque[_Job]) -> list[_Outcome]:
        """Do the first of the jobs, and what can share its transaction; each of them alone, when that fails."""
        done = [jobs.popleft()]
        work, arguments, future, bare = done[0]
        try:
            if bare:
                return [_Outcome(future, work(self._connection))]
            with self._transaction():
                results = [work(self._connection, *arguments)]
                end = time.monotonic() + _SHARED
                while jobs and not jobs[0].bare and time.monotonic() < end:
                    done.append(jobs.popleft())
                    results.append(done[-1].work(self._connection, *done[-1].arguments))
        except Exception as error:
            if len(done) == 1:
                return [_Outcome(future, None, error)]
            return [outcome for job in done for outcome in self._next(deque([job]))]
        return [_Outcome(job.future, result) for job, result in zip(done, results, strict=True)]

    @contextmanager
    def _transaction(self) -> Generator[None]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.rollback()


def _tell(outcomes: Sequence[_Outcome]) -> None:
    for loop, told in groupby(outcomes, lambda outcome: outcome.future.get_loop()):
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, list(told))


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
