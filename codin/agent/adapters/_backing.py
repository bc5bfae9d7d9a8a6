"""Which memory, and on which event loop, the object is backed by that a framework keeps things in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import wait
from typing import Any, TypeVar

from codin.errors import ConfigError, MemoryUnavailable
from codin.memory import Memories, Memory, Scope
from codin.task import Task, current_task
from codin.task._task import run_of

__all__ = ["Backing", "running_loop"]

T = TypeVar("T")
Work = Callable[[Memory], Coroutine[Any, Any, T]]

_LOOK = 1.0  # seconds between looks whether anybody is there to wait for


class Backing:
    """In a task it is the memory of the task's agent and caller, whatever the framework says; elsewhere what is given.

    Frameworks call from threads and from event loops of their own. The work is done on the loop of the task, on the
    one that the memory was opened on, or on the one that ran when this was made: a memory's connections belong to one
    loop.

    Args:
        memories: None is those of the server whose task it is, and nothing outside of tasks.
        outside: whose memory it is outside of tasks; None refuses. So a thread that has lost its task finds nothing.
        alone: in a program without a coroutine, begin a thread that has an event loop, and open the memory there.
    """

    def __init__(self, memories: Memories | None, outside: Scope | None = None, *, alone: bool = False) -> None:
        if memories is None and outside is not None:
            raise ConfigError("outside of tasks there is no server to have a memory", hint="give memories as well")
        self._memories = memories
        self._outside = outside
        self._loop = running_loop()
        self._alone = alone and self._loop is None and memories is not None
        self._own: _OwnLoop | None = None
        self._beginning = threading.Lock()

    @property
    def of_server(self) -> bool:
        """Whether it is the memory of the server, which has to have one."""
        return self._memories is None

    async def run(self, work: Work[T], *, outside: Scope | None = None) -> T:
        """What `work` gives for the memory of whoever calls."""
        task = current_task()
        memory, loop = self._memory(task, outside), self._home(task)
        if loop is None or loop is asyncio.get_running_loop():
            return await work(memory)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(memory), loop))

    def wait(self, work: Work[T]) -> T:
        """The same, and block until it is there.

        Raises:
            ConfigError: it would block the event loop that it waits for, or there is none.
            MemoryFailed: the memory cannot be opened, or the event loop ended meanwhile.
        """
        task = current_task()
        memory, loop = self._memory(task, None), self._home(task)
        if loop is None and self._alone and task is None:
            loop = self._begun()
        if loop is None:
            raise ConfigError(
                "this memory waits for an event loop, and none runs that it knows",
                hint="make it in a coroutine, as in `async with Memories(…)`, and call what blocks in a thread",
            )
        if loop is running_loop():
            raise ConfigError(
                "this memory would block the event loop that it waits for", hint="await its asynchronous methods"
            )
        future = asyncio.run_coroutine_threadsafe(work(memory), loop)
        while not wait([future], timeout=_LOOK).done:
            if not loop.is_running():  # what it was given is never done, and its process would not end for this thread
                future.cancel()
                raise MemoryUnavailable("the event loop of this memory has ended")
        return future.result()

    def close(self) -> None:
        """End the event loop, and close the memory, that this has begun and opened by itself."""
        with self._beginning:
            own, self._own = self._own, None
        if own is not None:
            own.close()

    def _begun(self) -> asyncio.AbstractEventLoop:
        with self._beginning:
            if self._own is None:
                assert self._memories is not None
                self._own = _OwnLoop(self._memories)
            return self._own.loop

    def _memory(self, task: Task | None, outside: Scope | None) -> Memory:
        if task is not None:
            return task.use(Memory) if self._memories is None else self._memories.in_task(task)
        if self._memories is None:
            raise ConfigError("outside of tasks there is no server to have a memory", hint="give memories to it")
        scope = outside or self._outside
        if scope is None:
            raise ConfigError(
                "outside of tasks it is not known whose memory this is", hint="give outside=Scope(agent=…, caller=…)"
            )
        return self._memories.of(tenant=scope.tenant, agent=scope.agent, caller=scope.caller)

    def _home(self, task: Task | None) -> asyncio.AbstractEventLoop | None:
        worker = None if task is None else run_of(task).worker
        opened = None if self._memories is None else self._memories.loop
        loops = (None if worker is None else worker.get_loop(), opened, self._loop)
        return next((loop for loop in loops if loop is not None and loop.is_running()), None)


class _OwnLoop:
    """An event loop in a thread, on which a memory is open. The thread does not keep the program from ending."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="codin-memory", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(memories.__aenter__(), self.loop).result()
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._memories.close(), self.loop).result()
        self._end()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that we are in, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
