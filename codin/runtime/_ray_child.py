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
from importlib import import_module
from typing import Any

from ray import exceptions

from codin.runtime import _ray_node
from codin.runtime._ray_wire import HEAD, framed

__all__ = ["main"]

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
    told: dict[str, Any] = {"ready": True}
    try:
        ray.init(**options, log_to_driver=False, logging_level="ERROR", configure_logging=True)
    except Exception as error:
        told = {"ready": False, "error": f"{type(error).__name__}: {error}"}
    channel.sendall(framed(told))
    if told["ready"]:
        asyncio.run(_serve(channel))
    os._exit(0)  # what Ray would still tidy up, the cluster does when the connection closes


async def _serve(channel: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=channel)
    driver = _Driver(writer)
    try:
        while True:
            told, size = HEAD.unpack(await reader.readexactly(HEAD.size))
            head = json.loads(await reader.readexactly(told))
            driver.do(head, await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        await driver.close()


class _Driver:
    """The jobs under way, by their number."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._libraries: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._room: dict[int, asyncio.Semaphore] = {}
        self._asked: dict[int, tuple[dict[str, float], float]] = {}
        self._nowhere: dict[int, str] = {}
        self._watching = asyncio.create_task(self._watch())

    def do(self, head: Mapping[str, Any], body: bytes) -> None:
        match head["do"]:
            case "library":
                self._libraries[head["name"]] = ray.put(body)
            case "run":
                number = head["id"]
                self._room[number] = asyncio.Semaphore(_AHEAD)
                needs = head["needs"]
                wanted = {"CPU": needs["num_cpus"], "memory": needs["memory"], **needs["resources"]}
                self._asked[number] = (wanted, head["patience"])
                self._running[number] = asyncio.create_task(self._run(number, head, body))
            case "more" if head["id"] in self._room:
                self._room[head["id"]].release()
            case "cancel" if head["id"] in self._running:
                self._running[head["id"]].cancel()
            case _:
                pass

    async def close(self) -> None:
        self._watching.cancel()
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run(self, number: int, head: Mapping[str, Any], body: bytes) -> None:
        end: dict[str, Any] = {"end": "done"}
        last = b""
        try:
            last = await self._attempt(number, head, body)
        except asyncio.CancelledError:
            why = self._nowhere.pop(number, None)
            end = {"end": "cancelled"} if why is None else {"end": "nowhere", "error": why}
        except Exception as error:
            end = _ending(error)
        del self._running[number], self._room[number], self._asked[number]
        self._writer.write(framed({"id": number, **end}, last))

    async def _attempt(self, number: int, head: Mapping[str, Any], body: bytes) -> bytes:
        task = self._function(head["mode"], head["needs"], head["library"]).remote(body)
        try:
            if head["mode"] != "do_streaming":
                return await task
            async for piece in task:
                await self._room[number].acquire()
                self._writer.write(framed({"id": number}, await piece))
                await self._writer.drain()
            return b""
        except asyncio.CancelledError:
            await _ended(task)
            raise

    async def _watch(self) -> None:
        """End what no node could ever run, once it has waited long enough."""
        since: dict[int, float] = {}
        while True:
            await asyncio.sleep(_LOOK)
            if not self._asked:
                continue
            nodes = await asyncio.to_thread(ray.nodes)
            alive: list[dict[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
            for number, (needs, patience) in self._asked.items():
                if any(all(node.get(name, 0) >= least for name, least in needs.items()) for node in alive):
                    since.pop(number, None)
                elif (
                    number not in self._nowhere
                    and time.monotonic() - since.setdefault(number, time.monotonic()) >= patience
                ):
                    self._nowhere[number] = f"no node of the cluster has {needs}"
                    self._running[number].cancel()

    def _function(self, mode: str, needs: Mapping[str, Any], library: str) -> Any:
        key = json.dumps([mode, needs, library], sort_keys=True)
        if key not in self._functions:
            options: dict[str, Any] = {
                **needs,
                "max_retries": 0,
                "num_returns": "streaming" if mode == "do_streaming" else 1,
            }
            if mode == "do_streaming":
                options["_generator_backpressure_num_objects"] = _AHEAD
            self._functions[key] = ray.remote(_bound(mode, self._libraries.get(library))).options(**options)
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


def _ending(error: Exception) -> dict[str, Any]:
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
