"""The driver: the process that is connected to the cluster. It passes jobs on, and what comes of them back.

It is a process of its own because Ray ends the process that is connected when its cluster has been gone for a while.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from ray import exceptions

from codin.runtime._ray import node
from codin.runtime._ray.wire import LAST, Channel, head_of, letter

__all__ = ["Driver", "main"]

ray: Any = import_module("ray")  # most of its types are unknown

_AHEAD = 64  # pieces that a job may be ahead of its reader
_LOOK = 1.0  # seconds between two looks at the nodes
_SOFT = 2.0  # seconds for a job to end of its own accord when it is cancelled
_DONE = letter({"end": "done"})
_CANCELLED = letter({"end": "cancelled"})
_PIECE = letter({})
_LOST: tuple[type[Exception], ...] = (
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.ObjectLostError,
    exceptions.RaySystemError,
    exceptions.RpcError,
)


def main() -> None:
    """Serve the program at the other end of the descriptor that is named, until it closes."""
    end = socket.socket(fileno=int(sys.argv[1]))
    options = json.loads(sys.argv[2])
    told: dict[str, Any] = {"end": "ready"}
    try:
        ray.init(**options, log_to_driver=False, logging_level="ERROR", configure_logging=True)
    except Exception as error:
        told = {"end": "refused", "error": f"{type(error).__name__}: {error}"}
    asyncio.run(_serve(end, told))
    os._exit(0)  # what Ray would still tidy up, the cluster does when the connection closes


async def _serve(end: socket.socket, told: Mapping[str, Any]) -> None:
    def heard(number: int, told: bytes, body: bytes) -> None:
        driver.do(number, told, body)

    lost = asyncio.Event()
    channel = Channel(end, heard, lost.set)
    driver = Driver(channel.write)
    channel.write(0, letter(told))
    if told["end"] == "ready":
        await lost.wait()
    await driver.close()


@dataclass(slots=True)
class _Job:
    """A job under way.

    Args:
        head: of its frame.
        task: what Ray gave for it.
        room: for how many pieces there is.
        passing: what passes the pieces of one that streams on.
        alone: since when no node has what it needs, by the monotonic clock.
    """

    head: Mapping[str, Any]
    task: Any = None
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AHEAD))
    passing: asyncio.Task[None] | None = None
    alone: float | None = None


class Driver:
    """The jobs under way, by their number. Who takes one out of them tells its end.

    Args:
        tell: passes on what comes of them. Threads of Ray's call it as well.
    """

    def __init__(self, tell: Callable[[int, bytes, bytes], object]) -> None:
        self._tell = tell
        self._libraries: dict[str, Any] = {}
        self._functions: dict[bytes, Any] = {}
        self._jobs: dict[int, _Job] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._watching = asyncio.create_task(self._watch())

    def do(self, number: int, told: bytes, body: bytes) -> None:
        head = head_of(told)
        match head["do"]:
            case "run":
                self._run(number, told, head, body)
            case "more" if (job := self._jobs.get(number)) is not None:
                for _ in range(head["pieces"]):
                    job.room.release()
            case "cancel":
                self._cancel(number, _CANCELLED)
            case "library":
                self._libraries[head["name"]] = body
            case _:
                pass

    async def close(self) -> None:
        self._watching.cancel()
        for number in list(self._jobs):
            self._cancel(number, _CANCELLED)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _run(self, number: int, told: bytes, head: Mapping[str, Any], body: bytes) -> None:
        job = self._jobs[number] = _Job(head)
        try:
            job.task = self._function(told).remote(body)
        except Exception as error:
            self._end(number, _ending(error))
            return
        if head["mode"] == "do_streaming":
            job.passing = asyncio.create_task(self._pass_on(number, job))
        else:
            # Told by the thread of Ray's that gets it: the loop would have to be woken up first.
            job.task.future().add_done_callback(partial(self._done, number))

    def _done(self, number: int, result: Future[bytes]) -> None:
        if (error := result.exception()) is None:
            self._end(number, _DONE, result.result())
        else:
            self._end(number, _ending(error))

    async def _pass_on(self, number: int, job: _Job) -> None:
        try:
            async for coming in job.task:
                await job.room.acquire()
                piece = await coming
                if piece.startswith(LAST):
                    self._end(number, _DONE, piece.removeprefix(LAST))
                    return
                self._tell(number, _PIECE, piece)
            self._end(number, _DONE)
        except Exception as error:
            self._end(number, _ending(error))

    def _end(self, number: int, end: bytes, body: bytes = b"") -> None:
        if self._jobs.pop(number, None) is not None:
            self._tell(number, end, body)

    def _cancel(self, number: int, end: bytes) -> None:
        if (job := self._jobs.pop(number, None)) is not None:
            task = asyncio.create_task(self._stop(number, job, end))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _stop(self, number: int, job: _Job, end: bytes) -> None:
        if job.passing is not None:
            job.passing.cancel()
            await asyncio.wait([job.passing])
        try:
            await _ended(job.task)
        except Exception as error:
            end = _ending(error)
        self._tell(number, end, b"")

    async def _watch(self) -> None:
        """End what no node could ever run, once it has waited long enough."""
        while True:
            await asyncio.sleep(_LOOK)
            if not self._jobs:
                continue
            if not ray.is_initialized():  # which can only be where the driver is somebody's program
                for number in list(self._jobs):
                    self._end(number, letter({"end": "lost", "error": "ray.shutdown was called"}))
                continue
            try:
                nodes = await asyncio.to_thread(ray.nodes)
            except Exception:
                continue  # a cluster that is away for a moment is looked at again
            alive: list[dict[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
            for number, job in list(self._jobs.items()):
                needs = job.head["needs"]
                wanted = {"CPU": needs["num_cpus"], "memory": needs["memory"], **needs["resources"]}
                if any(all(node.get(name, 0) >= least for name, least in wanted.items()) for node in alive):
                    job.alone = None
                    continue
                job.alone = job.alone or time.monotonic()
                if time.monotonic() - job.alone >= job.head["patience"]:
                    end = {"end": "nowhere", "error": f"no node of the cluster has {wanted}"}
                    self._cancel(number, letter(end))

    def _function(self, told: bytes) -> Any:
        """What Ray runs for jobs that begin with this letter."""
        if told not in self._functions:
            head = head_of(told)
            mode, library = head["mode"], head["library"]
            options: dict[str, Any] = {**head["needs"], "max_retries": 0}
            if mode == "do_streaming":
                options |= {"num_returns": "streaming", "_generator_backpressure_num_objects": _AHEAD}
            if isinstance(held := self._libraries.get(library), bytes):
                held = self._libraries[library] = ray.put(held)
            self._functions[told] = ray.remote(**options)(_bound(mode, held))
        return self._functions[told]


def _bound(mode: str, library: Any) -> Callable[[bytes], Any]:
    """What a node does, with the sources for it: each worker gets both once, and with every job only the job."""

    def once(sent: bytes) -> bytes:
        return getattr(node, mode)(sent, library)

    def streaming(sent: bytes) -> Iterator[bytes]:
        yield from node.do_streaming(sent, library)

    return streaming if mode == "do_streaming" else once


async def _ended(task: Any) -> None:
    """End a task on its node: first by a word, and then with its worker."""
    done = asyncio.ensure_future(_outlived(task))
    for force, patience in ((False, _SOFT), (True, 10.0)):
        ray.cancel(task, force=force)
        if (await asyncio.wait([done], timeout=patience))[0]:
            return
    done.cancel()


async def _outlived(task: Any) -> None:
    try:
        if hasattr(task, "__aiter__"):
            async for piece in task:
                await piece
        else:
            await task
    except Exception:
        return  # how it ended is of no interest any more


def _ending(error: BaseException) -> bytes:
    """How a task ended that gave no result, in a word."""
    if isinstance(error, exceptions.OutOfMemoryError):
        return letter({"end": "memory"})
    if isinstance(error, exceptions.WorkerCrashedError):
        return letter({"end": "crashed"})
    said = str(error).strip().rsplit("\n", 1)[-1][:500]
    if isinstance(error, _LOST):
        return letter({"end": "lost", "error": said})
    return letter({"end": "failed", "error": f"{type(error).__name__}: {said}"})


if __name__ == "__main__":
    main()
