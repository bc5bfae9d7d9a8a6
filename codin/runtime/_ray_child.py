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

from codin.runtime import _ray_node
from codin.runtime._ray_wire import LAST, Channel, framed

__all__ = ["Driver", "main"]

ray: Any = import_module("ray")  # most of its types are unknown

_AHEAD = 64  # pieces that a job may be ahead of its reader
_LOOK = 1.0  # seconds between two looks at the nodes
_SOFT = 2.0  # seconds for a job to end of its own accord when it is cancelled
_LOST: tuple[type[Exception], ...] = (
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.ObjectLostError,
    exceptions.RaySystemError,
    exceptions.RpcError,
)


def main() -> None:
    """Serve the program at the other end of the descriptor that is named, until it closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    options = json.loads(sys.argv[2])
    told: dict[str, Any] = {"end": "ready"}
    try:
        ray.init(**options, log_to_driver=False, logging_level="ERROR", configure_logging=True)
    except Exception as error:
        told = {"end": "refused", "error": f"{type(error).__name__}: {error}"}
    channel.sendall(framed({"id": 0, **told}))
    if told["end"] == "ready":
        asyncio.run(_serve(channel))
    os._exit(0)  # what Ray would still tidy up, the cluster does when the connection closes


async def _serve(end: socket.socket) -> None:
    def heard(head: dict[str, Any], body: bytes) -> None:
        driver.do(head, body)

    lost = asyncio.Event()
    driver = Driver(Channel(end, heard, lost.set).write)
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

    def __init__(self, tell: Callable[[dict[str, Any], bytes], object]) -> None:
        self._tell = tell
        self._libraries: dict[str, Any] = {}
        self._functions: dict[tuple[object, ...], Any] = {}
        self._jobs: dict[int, _Job] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._watching = asyncio.create_task(self._watch())

    def do(self, head: Mapping[str, Any], body: bytes) -> None:
        match head["do"]:
            case "run":
                self._run(head["id"], head, body)
            case "more" if (job := self._jobs.get(head["id"])) is not None:
                for _ in range(head["pieces"]):
                    job.room.release()
            case "cancel":
                self._cancel(head["id"], {"end": "cancelled"})
            case "library":
                self._libraries[head["name"]] = body
            case _:
                pass

    async def close(self) -> None:
        self._watching.cancel()
        for number in list(self._jobs):
            self._cancel(number, {"end": "cancelled"})
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _run(self, number: int, head: Mapping[str, Any], body: bytes) -> None:
        job = self._jobs[number] = _Job(head)
        try:
            job.task = self._function(head["mode"], head["library"], head["needs"]).remote(body)
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
            self._end(number, {"end": "done"}, result.result())
        else:
            self._end(number, _ending(error))

    async def _pass_on(self, number: int, job: _Job) -> None:
        try:
            async for coming in job.task:
                await job.room.acquire()
                piece = await coming
                if piece.startswith(LAST):
                    self._end(number, {"end": "done"}, piece.removeprefix(LAST))
                    return
                self._tell({"id": number}, piece)
            self._end(number, {"end": "done"})
        except Exception as error:
            self._end(number, _ending(error))

    def _end(self, number: int, end: dict[str, Any], body: bytes = b"") -> None:
        if self._jobs.pop(number, None) is not None:
            self._tell({"id": number, **end}, body)

    def _cancel(self, number: int, end: dict[str, Any]) -> None:
        if (job := self._jobs.pop(number, None)) is not None:
            task = asyncio.create_task(self._stop(number, job, end))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _stop(self, number: int, job: _Job, end: dict[str, Any]) -> None:
        if job.passing is not None:
            job.passing.cancel()
            await asyncio.wait([job.passing])
        try:
            await _ended(job.task)
        except Exception as error:
            end = _ending(error)
        self._tell({"id": number, **end}, b"")

    async def _watch(self) -> None:
        """End what no node could ever run, once it has waited long enough."""
        while True:
            await asyncio.sleep(_LOOK)
            if not self._jobs:
                continue
            if not ray.is_initialized():  # which can only be where the driver is somebody's program
                for number in list(self._jobs):
                    self._end(number, {"end": "lost", "error": "ray.shutdown was called"})
                continue
            nodes = await asyncio.to_thread(ray.nodes)
            alive: list[dict[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
            for number, job in list(self._jobs.items()):
                needs = job.head["needs"]
                wanted = {"CPU": needs["num_cpus"], "memory": needs["memory"], **needs["resources"]}
                if any(all(node.get(name, 0) >= least for name, least in wanted.items()) for node in alive):
                    job.alone = None
                    continue
                job.alone = job.alone or time.monotonic()
                if time.monotonic() - job.alone >= job.head["patience"]:
                    self._cancel(number, {"end": "nowhere", "error": f"no node of the cluster has {wanted}"})

    def _function(self, mode: str, library: str, needs: Mapping[str, Any]) -> Any:
        key = (mode, library, needs["num_cpus"], needs["memory"], *needs["resources"].items())
        if key not in self._functions:
            options: dict[str, Any] = {**needs, "max_retries": 0}
            if mode == "do_streaming":
                options |= {"num_returns": "streaming", "_generator_backpressure_num_objects": _AHEAD}
            if isinstance(held := self._libraries.get(library), bytes):
                held = self._libraries[library] = ray.put(held)
            self._functions[key] = ray.remote(**options)(_bound(mode, held))
        return self._functions[key]


def _bound(mode: str, library: Any) -> Callable[[bytes], Any]:
    """What a node does, with the sources for it: each worker gets both once, and with every job only the job."""

    def once(sent: bytes) -> bytes:
        return getattr(_ray_node, mode)(sent, library)

    def streaming(sent: bytes) -> Iterator[bytes]:
        yield from _ray_node.do_streaming(sent, library)

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


def _ending(error: BaseException) -> dict[str, Any]:
    """How a task ended that gave no result, in a word."""
    if isinstance(error, exceptions.OutOfMemoryError):
        return {"end": "memory"}
    if isinstance(error, exceptions.WorkerCrashedError):
        return {"end": "crashed"}
    said = str(error).strip().rsplit("\n", 1)[-1][:500]
    if isinstance(error, _LOST):
        return {"end": "lost", "error": said}
    return {"end": "failed", "error": f"{type(error).__name__}: {said}"}


if __name__ == "__main__":
    main()
