"""The one interface of all runtimes. A back-end adds two methods; time, retries and streams are written once."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import ClassVar, Self

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from codin.errors import ConfigError, NoRuntime, RuntimeUnavailable, WorkloadFailed
from codin.runtime._protocol import Emit, Event, Kind, Outcome, Workload
from codin.runtime._result import Record, RuntimeResult, work_of
from codin.sandbox._to_its_end import to_its_end

__all__ = ["Runtime"]

_BUFFER = 64  # events that wait for a reader, before the workload waits for it
_PAUSE = 0.2  # seconds before the first repeat; twice as long before each further one
_MARGIN = 300.0  # seconds for a back-end to make ready, such as to fetch an image, and to take away


class Runtime(ABC):
    """A place where workloads run. It runs on asyncio.

    Attributes:
        name: its name in settings and results.
        kinds: the kinds of workloads it can run.
        named_by: the variable of the environment without which nobody means it who does not name it; empty where it
            can always be meant.

    Example:
        async with LocalRuntime() as runtime:
            done = await runtime.run(Command(["echo", "hello"]))
            print(done.text)
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[Kind]]
    named_by: ClassVar[str] = ""
    _margin: float = _MARGIN
    _is_left: bool = False

    async def __aenter__(self) -> Self:
        self._is_left = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_left = True
        await self.close()

    async def run(self, workload: Workload, /, *, stream: bool = False) -> RuntimeResult:
        """Run a workload to its end, or with `stream` begin it and give its result while it runs.

        Cancelling this call, or `RuntimeResult.cancel`, ends the workload and leaves nothing behind. So does `close`,
        what streams.

        Raises:
            ConfigError: its block has been left.
            NoRuntime: this back-end cannot run it, or not under its policy; names those that can.
            RuntimeUnavailable: the back-end is not there, or went away.
            WorkloadFailed: the workload failed: an exception, an exit code other than 0, memory, output.
            WorkloadTimeout: it took longer than `limits.time`.
            FileRefused: its files or artifacts have no room in `limits.disk`, or cannot be written as they are named.
        """
        self._check_open()
        if checked(workload).kind not in self.kinds:
            raise NoRuntime(f"{self.name!r} runs no {workload.kind}", able=able(workload.kind), hint=_hint(workload))
        record = Record(self.name, workload.limits)
        if not stream:
            return await self._attempts(workload, record, None)
        send, coming = anyio.create_memory_object_stream[Event](_BUFFER)
        work = asyncio.create_task(self._attempts(workload, record, send))
        work.add_done_callback(lambda _: send.close())  # also of one that is ended before it has begun
        return self._kept(RuntimeResult(record, coming, work))

    def run_sync(self, workload: Workload, /) -> RuntimeResult:
        """`run` for programs without an event loop.

        Raises:
            ConfigError: there is one; await `run`.
        """
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            raise ConfigError("run_sync is for programs without an event loop", hint="await run(workload)")

        async def run() -> RuntimeResult:
            try:  # and no block, which another thread may have left by now
                return await self.run(workload)
            finally:
                await self.close()

        return asyncio.run(run())

    @abstractmethod
    async def missing(self, workload: Workload, /) -> str:
        """Why it cannot run this workload here and now, one sentence; empty when it can. Leaves nothing behind."""

    @abstractmethod
    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        """One attempt: hand over what comes, and say how it ended. Being cancelled ends the workload.

        It keeps `limits.time` itself, from when the workload begins; making ready does not count.

        Raises:
            RuntimeUnavailable: the back-end is not there, or went away.
            NoRuntime: it cannot run this workload under its policy.
        """

    async def close(self) -> None:
        """End what still streams in this event loop, and give back what the back-end holds: connections, pools.

        A back-end that holds something does so after `super().close()`.
        """
        await to_its_end(self._end_streams)

    def _check_open(self) -> None:
        if self._is_left:
            raise ConfigError(f"the runtime {self.name!r} is closed", hint="run it inside its `async with`")

    @cached_property
    def _running(self) -> dict[asyncio.Task[RuntimeResult], RuntimeResult]:
        return {}  # not made by __init__, which a back-end of somebody else need not call

    def _kept(self, running: RuntimeResult) -> RuntimeResult:
        """What streams, to be ended with this runtime; a task that nobody keeps is nobody's to end."""
        if (work := work_of(running)) is not None:
            self._running[work] = running
            work.add_done_callback(self._running.pop)
        return running

    async def _end_streams(self) -> None:
        loop = asyncio.get_running_loop()
        running = [one for work, one in self._running.items() if work.get_loop() is loop]
        await asyncio.gather(*(one.cancel() for one in running))

    async def _attempts(
        self, workload: Workload, record: Record, send: MemoryObjectSendStream[Event] | None
    ) -> RuntimeResult:
        # What a reader has seen cannot be taken back, so that a stream is not tried again once it has begun.
        seen = False

        async def emit(event: Event) -> None:
            nonlocal seen
            record.note(event)
            if send is not None:
                seen = True
                await send.send(event)

        began = time.perf_counter()
        pause = _PAUSE
        while True:
            record.begin()
            try:
                record.outcome = await self._bounded(workload, emit)
                record.seconds = time.perf_counter() - began
                return RuntimeResult(record).check()
            except (WorkloadFailed, RuntimeUnavailable):
                if seen or record.attempts > workload.retries:
                    raise
            await asyncio.sleep(pause)
            pause *= 2

    async def _bounded(self, workload: Workload, emit: Emit) -> Outcome:
        """One attempt; a back-end that never ends is cut off."""
        limit = workload.limits.time
        bound = asyncio.timeout(None if limit is None else limit + self._margin)
        try:
            async with bound:
                return await self._execute(workload, emit)
        except TimeoutError:
            if not bound.expired():
                raise
            return Outcome(exit_code=-9, ended="time", error=f"it did not end within {limit} s")


def checked(workload: object) -> Workload:
    """The workload, if it is one. Raises ConfigError."""
    if not isinstance(workload, Workload):
        raise ConfigError(f"{workload!r} is no workload", hint='Function(work, [1]), or Command(["ls"])')
    return workload


def able(kind: Kind) -> tuple[str, ...]:
    """The names of all back-ends that can run a kind of workload, wherever they are installed."""
    from codin.runtime._kinds import runtimes_for

    return runtimes_for(kind)


def _hint(workload: Workload) -> str:
    return f"a {workload.kind} runs on: {', '.join(able(workload.kind))}"
