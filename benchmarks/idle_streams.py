"""Memory of a stream that is open and silent, as a share of what the server's process grows by."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks.rig import calls, sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, Unavailable, interleave
from benchmarks.rig.process import Server

COUNT, QUICK_COUNT = 5_000, 500
WARM = 50
TARGET_KIB = 40
OPEN_LIMIT = 120.0
_AT_ONCE = 50
_SETTLE = 1.0
_TASK_ID = re.compile(rb'"id": ?"([0-9a-zA-Z-]{8,})"')


@dataclass(frozen=True, slots=True)
class Idle:
    """What many silent streams cost; `answer_ms` is one echo call beside them."""

    kib_each: float
    answer_ms: float

    @property
    def reading(self) -> Reading:
        return Reading(self.kib_each, self.kib_each)


def run(plan: Plan) -> Iterator[Figure]:
    """Compare with the official SDK: streams that each carry a running task, and many subscriptions to one task."""
    if not sys.platform.startswith("linux"):
        raise Unavailable("the memory of another process is read from /proc, which only Linux has")
    count = QUICK_COUNT if plan.quick else COUNT
    # Memory does not vary as time does: one round says it.
    once = Plan(1, plan.seconds, plan.quick)
    for name, subscribers in (("idle_streams", True), ("idle_streams.running", False)):
        reads = [partial(_read, side, count, subscribers) for side in (sides.codin(), sides.a2a_sdk())]
        ours, peer = interleave(once, name, reads)
        what = "subscriptions to one task" if subscribers else "send streams, each with its own running task"
        yield compare(
            name,
            "KiB/stream",
            [one.reading for one in ours],
            [one.reading for one in peer],
            bound=Bound("ours", "<=", TARGET_KIB),
            note=f"{count:,} {what}; GetTask beside them: {ours[0].answer_ms:.1f} ms, peer {peer[0].answer_ms:.1f} ms",
        )


def _read(side: sides.Side, count: int, subscribers: bool) -> Idle:
    with Server(side, "idle") as server:
        return asyncio.run(_measure(server, count, subscribers))


async def _measure(server: Server, count: int, subscribers: bool) -> Idle:
    """Open a few streams, note the memory, open the rest, note it again."""
    async with AsyncExitStack() as stack:
        first = await _open(stack, server, calls.send_streaming_message("idle"))
        task_id = _task_id(first)

        def body() -> bytes:
            return calls.subscribe(task_id) if subscribers else calls.send_streaming_message("idle")

        await _open_many(stack, server, [body() for _ in range(WARM)])
        await asyncio.sleep(_SETTLE)
        before = server.resident_bytes()
        await _open_many(stack, server, [body() for _ in range(count)])
        await asyncio.sleep(_SETTLE)
        grown = server.resident_bytes() - before
        begin = time.perf_counter()
        answer = await asyncio.to_thread(server.post, calls.get_task(task_id))
        answer_ms = (time.perf_counter() - begin) * 1e3
        if task_id.encode() not in answer:
            raise RuntimeError(f"{server.side.name} lost the task: {answer[:300]!r}")
    return Idle(grown / 1024 / count, answer_ms)


async def _open_many(stack: AsyncExitStack, server: Server, bodies: Sequence[bytes]) -> None:
    async with asyncio.timeout(OPEN_LIMIT):
        for start in range(0, len(bodies), _AT_ONCE):
            await asyncio.gather(*(_open(stack, server, body) for body in bodies[start : start + _AT_ONCE]))


async def _open(stack: AsyncExitStack, server: Server, body: bytes) -> bytes:
    """Open a stream, wait for its first event, leave it open and return what has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    stack.callback(writer.close)
    head = "".join(f"{name}: {value}\r\n" for name, value in calls.HEADERS.items())
    writer.write(f"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body)
    seen = b""
    while b"data:" not in seen or b"\n" not in seen.partition(b"data:")[2]:
        piece = await reader.read(65536)
        seen += piece
        if not piece or (b"\r\n\r\n" in seen and b"text/event-stream" not in seen):
            raise RuntimeError(f"{server.side.name} did not open the stream: {seen[:600]!r}\n{server.log()}")
    return seen


def _task_id(seen: bytes) -> str:
    data = seen.partition(b"data:")[2]
    found = _TASK_ID.search(data.partition(b'"task"')[2])
    if not found:
        raise RuntimeError(f"the stream does not begin with a task: {data[:300]!r}")
    return found.group(1).decode()
