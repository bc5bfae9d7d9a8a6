"""What came of a workload, or comes while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from codin.errors import WorkloadFailed, WorkloadTimeout
from codin.runtime._protocol import Event, Item, Outcome, Raised
from codin.sandbox import Limits, Stream

__all__ = ["Record", "RuntimeResult", "work_of"]

_CANCELLED = Outcome(exit_code=-9, ended="killed", error="it was cancelled")


@dataclass(slots=True)
class Record:
    """What is kept of a workload while it runs, by the runtime that runs it."""

    runtime: str
    limits: Limits
    attempts: int = 0
    seconds: float = 0.0
    items: list[Any] = field(default_factory=list[Any])
    written: dict[Stream, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    outcome: Outcome | None = None

    def begin(self) -> None:
        """Another attempt: forget what the one before had written."""
        self.attempts += 1
        self.items.clear()
        for kept in self.written.values():
            kept.clear()

    def note(self, event: Event) -> None:
        """Keep what came, within the bound on output."""
        if isinstance(event, Item):
            self.items.append(event.value)
        else:
            kept = self.written[event.stream]
            kept += event.data[: max(0, self.limits.output - len(kept))]


class RuntimeResult:
    """The result of a workload. With `stream=True` it is given while the workload runs: iterate over it for what
    comes, then read it.
    """

    def __init__(
        self,
        record: Record,
        coming: MemoryObjectReceiveStream[Event] | None = None,
        work: asyncio.Task[RuntimeResult] | None = None,
    ) -> None:
        self._record = record
        self._coming = coming
        self._work = work
        self._is_cancelled = False

    @property
    def runtime(self) -> str:
        """The name of the back-end."""
        return self._record.runtime

    @property
    def attempts(self) -> int:
        return self._record.attempts

    @property
    def seconds(self) -> float:
        """From start to end, all attempts together."""
        return self._record.seconds

    @property
    def value(self) -> Any:
        """What the function gave, or the body of an endpoint's answer."""
        return self._outcome.value

    @property
    def items(self) -> list[Any]:
        """What a generator yielded, or the pieces of an endpoint's answer."""
        return self._record.items

    @property
    def exit_code(self) -> int:
        return self._outcome.exit_code

    @property
    def ended(self) -> Literal["exited", "files", "killed", "memory", "output", "time"]:
        """By itself, or what ended it."""
        return self._outcome.ended

    @property
    def error(self) -> str:
        """Why it failed, one line; empty when it did not."""
        return self._outcome.error

    @property
    def raised(self) -> Raised | None:
        """What a function or module raised, where it failed by that."""
        return self._outcome.raised

    @property
    def stdout(self) -> bytes:
        return bytes(self._record.written["stdout"])

    @property
    def stderr(self) -> bytes:
        return bytes(self._record.written["stderr"])

    @property
    def last(self) -> Mapping[Stream, bytes]:
        """By stream, the end of what a command wrote behind what is kept of it: 128 KiB at most. Nothing where the
        back-end does not know it, as on Kubernetes.
        """
        return self._outcome.last

    @property
    def text(self) -> str:
        """stdout as text; what is no UTF-8 becomes U+FFFD."""
        return self.stdout.decode(errors="replace")

    @property
    def artifacts(self) -> Mapping[str, bytes]:
        """The files that the workload's patterns name, by path."""
        return self._outcome.artifacts

    @property
    def sandbox(self) -> str | None:
        """The kind of the sandbox that held it."""
        return self._outcome.sandbox

    @property
    def unenforced(self) -> frozenset[str]:
        """What that sandbox did not keep, by the words of `codin.sandbox.Guarantee`."""
        return self._outcome.unenforced

    async def __aiter__(self) -> AsyncGenerator[Event]:
        """What the workload writes and yields, as it comes.

        Raises:
            WorkloadError: at the end, if the workload failed.
        """
        async with aclosing(self._events()) as events:
            async for event in events:
                yield event
        await self.wait()

    async def wait(self) -> RuntimeResult:
        """The result itself, when the workload has ended. Raises as `Runtime.run` does."""
        async for _ in self._events():
            pass
        if self._work is not None:
            try:
                await self._work
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._is_cancelled or (task is not None and task.cancelling()):
                    raise
                return self.check()  # it is the workload that was cancelled, and not who waits for it
        return self

    async def cancel(self) -> None:
        """End the workload, and wait until nothing of it runs any more. Does nothing when it has ended."""
        if self._work is not None:
            if not self._is_cancelled and not self._work.done():
                self._is_cancelled = True
                self._work.cancel()
            await asyncio.wait([self._work])
            if not self._work.cancelled():
                self._work.exception()  # it is nobody's any more, and asyncio would say so
        if self._coming is not None:
            self._coming.close()

    def check(self) -> RuntimeResult:
        """The result itself when the workload succeeded. Raises WorkloadFailed or WorkloadTimeout."""
        outcome = self._outcome
        if not outcome.error and outcome.exit_code == 0 and outcome.ended == "exited":
            return self
        error, hint = outcome.error or f"exit code {outcome.exit_code}", None
        if outcome.ended == "time":
            limit = self._record.limits.time
            took = "longer than it may" if limit is None else f"longer than {limit:g} s"
            raise WorkloadTimeout(f"the workload took {took} on {self.runtime!r}: {error}", result=self)
        if outcome.ended == "memory":
            error, hint = f"it took more memory than it may ({error})", "raise limits.memory of the workload"
        elif outcome.ended == "output":
            error, hint = f"it wrote too much ({error})", "raise limits.output of the workload"
        elif outcome.ended == "files":
            error, hint = f"it made more files than it may ({error})", "raise limits.files of the workload"
        raise WorkloadFailed(f"the workload failed on {self.runtime!r}: {error}", result=self, hint=hint)

    async def _events(self) -> AsyncGenerator[Event]:
        """What is still to come, for whoever asks first."""
        if self._coming is not None:
            with suppress(anyio.EndOfStream, anyio.ClosedResourceError):
                while True:
                    yield await self._coming.receive()
            self._coming.close()

    @property
    def _outcome(self) -> Outcome:
        if self._record.outcome is None:
            if self._is_cancelled and self._work is not None and self._work.cancelled():
                return _CANCELLED
            if self._work is not None and self._work.done():
                self._work.result()  # raises why there is none
            raise RuntimeError("the workload still runs: iterate over the result, or await its wait()")
        return self._record.outcome


def work_of(running: RuntimeResult) -> asyncio.Task[RuntimeResult] | None:
    """The task that a stream comes from; None of what is not streamed."""
    return running._work  # pyright: ignore[reportPrivateUsage] - of this module
