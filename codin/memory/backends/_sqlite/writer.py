"""Who writes a memory's file: a thread, and for what is small the event loop, when nothing is in the way.

What waits while the thread commits shares the next commit; there is no timer.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar, TypeVarTuple

from codin.errors import MemoryFailed

if sys.platform == "linux":
    import resource

__all__ = ["Writer"]

A = TypeVarTuple("A")
T = TypeVar("T")

_SHARED: Final = 0.01
"""Seconds after which no other job joins a transaction, whose first one waits for its last."""
_SLOW: Final = 0.002
"""Seconds that a job may wait on the event loop."""
_AWAY: Final = 100
"""One that waited for longer sends all others to the thread, for so many times as long: a hundredth of the time."""
_RUN: Final = 100
"""Jobs on the event loop, and then one on the thread, which looks after the log."""


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
        connection: the thread's; nobody else uses it while the writer lives.
        here: that of `loop`, which waits for nobody, moves no log into the file, and flushes nothing in a commit.
            None when there is no such connection: everything is the thread's.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        here: sqlite3.Connection | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._path = path
        self._connection = connection
        self._here = here
        self._loop = loop
        self._last: asyncio.Future[Any] | None = None  # of the loop's jobs
        self._run = 0  # of them, in a row
        self._away = 0.0  # until then the loop does none
        self._put = self._done = 0  # of the thread's jobs
        self._seen = (-1, 0)  # how many of those, and when the file has changed
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

    def at_once(self, job: Callable[[sqlite3.Connection, *A], T], *arguments: *A) -> asyncio.Future[T]:
        """As `write`, of a job that is small: here, where it takes less than to wake the thread and to be woken.

        One in each round of the loop, so that many at once share a commit, and none for a while after a slow one. When
        another process writes, the thread waits for it.
        """
        with self._stopping:
            outcome = self._do_here(job, arguments)
        if outcome is None:
            return self.write(job, *arguments)
        self._last = outcome.future
        self._loop.call_soon(_settle, [outcome])
        return outcome.future

    def _is_free(self) -> bool:
        """Whether nothing is before a job that comes now, and its commit would not flush the disk.

        It would where it begins the log again, which somebody has moved into the file: the thread does. It moves it as
        well, in one of its own jobs, which is why it has one in so many; and it has what comes behind those of others,
        so that many who write at once stay together.
        """
        waiting = self._put != self._done or not (self._last is None or self._last.done())
        if waiting or self._stopped or asyncio.get_running_loop() is not self._loop:
            return False
        put, moved = self._put, _changed(self._path)
        if (put, moved) != self._seen or self._run == _RUN:
            self._seen, self._run = (put + 1, moved), 0
            return False
        self._run += 1
        return time.monotonic() >= self._away

    def _do_here(self, job: Callable[..., Any], arguments: tuple[Any, ...]) -> _Outcome | None:
        here = self._here
        if here is None or not self._is_free():
            return None
        begun, waits = time.monotonic(), _waits()
        try:
            here.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return None
        future = self._loop.create_future()
        try:
            with _transaction(here):
                return _Outcome(future, job(here, *arguments))
        except Exception as error:
            return _Outcome(future, None, error)
        finally:
            if (took := time.monotonic() - begun) > _SLOW and _waits() != waits:
                self._away = begun + took * _AWAY

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """What `work` gives, which is in no transaction."""
        return self._queued(work, (), bare=True)

    def _queued(self, work: Callable[..., T], arguments: tuple[Any, ...], *, bare: bool) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._stopping:
            if self._stopped:
                raise MemoryFailed("the memory has been closed")
            self._put += 1
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
        taken = 0
        going = True
        while going:
            some = [queue.get(), *(queue.get() for _ in range(queue.qsize()))]
            taken += len(some)
            going = some[-1] is not None
            jobs = deque(job for job in some if job is not None and not job.future.cancelled())
            self._done = taken - len(jobs)
            while jobs:
                outcomes = self._next(jobs)
                self._done = taken - len(jobs)  # before it is told: whoever hears it may have the next one
                _tell(outcomes)

    def _next(self, jobs: deque[_Job]) -> list[_Outcome]:
        """Do the first of the jobs, and what can share its transaction; each of them alone, when that fails."""
        done = [jobs.popleft()]
        work, arguments, future, bare = done[0]
        try:
            if bare:
                return [_Outcome(future, work(self._connection))]
            self._connection.execute("BEGIN IMMEDIATE")
            with _transaction(self._connection):
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


def _waits() -> float:
    """Another number when this thread has waited, as for a disk, and not only for its turn on a busy machine."""
    if sys.platform == "linux":
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    return time.monotonic()


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None]:
    """The rest of one that has begun."""
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
