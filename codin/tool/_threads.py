"""Blocking code in a bounded set of threads, and generators that live in one of them."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

__all__ = ["Ended", "Pulled", "Threads"]

T = TypeVar("T")

_IDLE = 10.0  # seconds after which a thread without work goes


class Threads:
    """At most `size` threads, started when needed.

    A call whose waiter is gone keeps its thread until it returns: a thread cannot be stopped, and giving its slot away
    would make the bound a lie. One that has none yet goes with its waiter. Daemon threads, because a call that hangs
    must not keep a process from ending.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: OrderedDict[Future[Any], Callable[[], None]] = OrderedDict()
        self._queued: dict[Future[Any], Future[None]] = {}  # those without a thread; the other is done when it has one
        self._wake = threading.Condition()
        self._idle = 0
        self._started = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Call `work` in a thread, in a copy of the caller's context. Being canceled lets go of it at once."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """The same as a future, for callers that do not wait at once."""
        future: Future[T] = Future()
        context = copy_context()
        self._put(future, lambda: context.run(_settle, future, work))
        future.add_done_callback(self._drop)
        return future

    async def begun(self, future: Future[Any], wait: float | None) -> None:
        """Wait until what was submitted has a thread.

        Raises:
            TimeoutError: it has none after `wait` seconds, and is not called.
        """
        if (begins := self._queued.get(future)) is None:
            return
        try:
            async with asyncio.timeout(wait):
                await asyncio.wrap_future(begins)
        except TimeoutError:
            if future.cancel():
                raise
        except asyncio.CancelledError:
            future.cancel()
            raise

    def _drop(self, future: Future[Any]) -> None:
        if future.cancelled():
            with self._wake:
                self._jobs.pop(future, None)
                self._queued.pop(future, None)

    def _put(self, future: Future[Any], job: Callable[[], None]) -> None:
        with self._wake:
            self._jobs[future] = job
            if self._idle >= len(self._jobs):
                self._wake.notify()
            elif self._started >= self._size or not self._start():
                self._queued[future] = Future()

    def _start(self) -> bool:
        thread = threading.Thread(target=self._serve, name=f"codin-{self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more; the threads that run will come to it
            if not self._started:
                self._jobs.popitem()
                raise
            return False
        self._started += 1
        return True

    def _serve(self) -> None:
        while True:
            with self._wake:
                self._idle += 1
                found = self._wake.wait_for(lambda: self._jobs, _IDLE)
                self._idle -= 1
                if not found:
                    self._started -= 1
                    return
                future, job = self._jobs.popitem(last=False)
                begins = self._queued.pop(future, None)
            if begins is not None and begins.set_running_or_notify_cancel():
                begins.set_result(None)
            job()
            del future, job  # an idle thread holds on to nothing


def _settle(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except StopIteration as error:  # no future takes one, and its waiter would wait for ever
        future.set_exception(RuntimeError(f"the function raised {error!r}"))
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


class Ended(NamedTuple):
    """A generator has no more items; what it returned."""

    value: Any


class Pulled:
    """A generator that lives in one thread from its first item to its end, and makes one item for each `next`.

    One thread, because what a generator holds (a database connection, a lock) often belongs to a thread.
    """

    def __init__(self, threads: Threads, make: Callable[[], Generator[Any, Any, Any]]) -> None:
        self._threads = threads
        self._make = make
        self._generator: Generator[Any, Any, Any] | None = None
        self._wanted: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._life = threads.submit(self._live)

    async def begun(self, wait: float | None) -> None:
        """Wait until it has its thread. Raises TimeoutError: it has none after `wait` seconds, and is not begun."""
        await self._threads.begun(self._life, wait)

    async def next(self) -> Any:
        """The next item, or `Ended`."""
        item: Future[Any] = Future()
        self._wanted.put(item)
        return await asyncio.wrap_future(item)

    def close(self) -> None:
        """Let the generator end: at once if it waits to be asked, else when it has made the item it is at."""
        if not self._life.cancel():
            self._wanted.put(None)

    def _live(self) -> None:
        try:
            while (item := self._wanted.get()) is not None:
                _settle(item, self._step)
        finally:
            if self._generator is not None:
                self._generator.close()

    def _step(self) -> Any:
        if self._generator is None:
            self._generator = self._make()
        try:
            return next(self._generator)
        except StopIteration as end:
            return Ended(end.value)
