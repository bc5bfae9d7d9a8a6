"""On a node of a Ray cluster: does one job, in a sandbox of the node or in the Ray worker itself.

Everything that goes back is made JSON and bytes here: the program that asked unpickles nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import signal
from collections.abc import Generator, Iterator
from typing import Any, cast

from codin.errors import CodinError, SandboxError
from codin.runtime._job import Sent
from codin.runtime._protocol import Emit, Event, Item, Outcome, Workload
from codin.runtime._ray.desk import at_desk
from codin.runtime._ray.wire import LAST, RayJob, framed, item_frame, outcome_frame, refusal_frame, unpacked
from codin.runtime.local import LocalRuntime
from codin.sandbox import Policy, sandbox_of

__all__ = ["do", "do_streaming", "missing"]

_libraries: dict[str, dict[str, bytes]] = {}
_have_sandbox: dict[tuple[str, ...], bool] = {}


def do(sent: bytes, library: Any) -> bytes:
    """A job in this worker, all that comes of it at once."""
    job = unpacked(sent)
    return b"".join(_pieces(at_desk(job, _library(job, library))))


def do_streaming(sent: bytes, library: Any) -> Iterator[bytes]:
    """A job, what comes of it as it comes."""
    job = unpacked(sent)
    boxed = job.demand == "required" or (job.demand == "preferred" and _sandbox_here(job))
    work = _in_runtime if job.endpoint is not None or boxed else at_desk
    return _pieces(work(job, _library(job, library)), LAST)


def missing(sent: bytes, library: Any) -> bytes:
    """Why this node cannot run a job."""
    job = unpacked(sent)
    return asyncio.run(_runtime(job).missing(_workload(job, {}))).encode()


def _pieces(coming: Generator[bytes, None, bytes], mark: bytes = b"") -> Iterator[bytes]:
    """What comes, and then what it ends with."""
    last = yield from coming
    yield mark + last


class _NodeRuntime(LocalRuntime):
    """The sandboxes of this node, one attempt at a time."""

    async def attempt(self, workload: Workload, emit: Emit) -> Outcome:
        return await self._execute(workload, emit)


def _in_runtime(job: RayJob, library: dict[str, bytes]) -> Generator[bytes, None, bytes]:
    loop = asyncio.new_event_loop()
    events: asyncio.Queue[Event] = asyncio.Queue(64)

    async def attempt() -> bytes:
        async with _runtime(job) as runtime:
            try:
                outcome = await runtime.attempt(_workload(job, library), events.put)
                return outcome_frame(outcome, json.dumps(outcome.value))
            except CodinError as error:
                return refusal_frame(error)

    async def some() -> bytes:
        """What there is, once there is something."""
        coming = asyncio.ensure_future(events.get())
        await asyncio.wait([coming, work], return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
        told = [_frame(coming.result())] if coming.done() and not coming.cancelled() else []
        while not events.empty():
            told.append(_frame(events.get_nowait()))
        return b"".join(told)

    work = loop.create_task(attempt())
    # Ray's word to stop is an interrupt that would not wake a loop which waits.
    loop.add_signal_handler(signal.SIGINT, work.cancel)
    try:
        while not work.done() or not events.empty():
            if told := loop.run_until_complete(some()):
                yield told
        if work.cancelled():
            raise KeyboardInterrupt
        return work.result()
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError, CodinError):
            loop.run_until_complete(work)
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _runtime(job: RayJob) -> _NodeRuntime:
    return _NodeRuntime(sandboxes=job.sandboxes, guard=job.guard)


def _workload(job: RayJob, library: dict[str, bytes]) -> Workload:
    if job.endpoint is not None:
        return job.endpoint
    assert job.call is not None
    return Sent(
        call=job.call,
        library=library,
        limits=job.limits,
        network=job.network,
        env=job.env,
        files=job.files,
        artifacts=job.artifacts,
        sandbox=job.demand,
    )


def _frame(event: Event) -> bytes:
    if isinstance(event, Item):
        return item_frame(json.dumps(event.value))
    return framed({"output": event.stream}, event.data)


def _library(job: RayJob, held: Any) -> dict[str, bytes]:
    """The sources that go with a job, fetched when this worker sees them for the first time."""
    if not job.library:
        return {}
    if job.library not in _libraries:
        import ray

        _libraries[job.library] = pickle.loads(cast("bytes", ray.get(held)))
    return _libraries[job.library]


def _sandbox_here(job: RayJob) -> bool:
    """Whether this node has one of the kinds, whatever it may not keep."""

    async def look() -> bool:
        for kind in job.sandboxes:
            with contextlib.suppress(SandboxError):
                await sandbox_of(kind, Policy(demands=frozenset())).check()
                return True
        return False

    if job.sandboxes not in _have_sandbox:
        _have_sandbox[job.sandboxes] = asyncio.run(look())
    return _have_sandbox[job.sandboxes]
