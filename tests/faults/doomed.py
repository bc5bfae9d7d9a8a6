"""A program that is going to be killed: two agents on one durable store.

The line on its standard input arms it: behind that many writes of its agents it kills itself with SIGKILL, in the
middle of whatever it is doing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from itertools import repeat

import codin
from codin.agent import agent
from codin.task import Limits, Task

_PACE = 0.002  # a run has to last a little, or nothing would be running when death comes
_deaths: list[Iterator[None]] = []


async def _write(task: Task, chunk: str) -> None:
    await task.write(chunk)
    if _deaths and next(_deaths[0], True):
        os.kill(os.getpid(), signal.SIGKILL)


async def _work(text: str, task: Task) -> None:
    """`count 5` writes five chunks, `endless` never ends, `ask` asks in the middle."""
    kind, _, size = text.partition(" ")
    count = 10**9 if kind == "endless" else int(size)
    for number in range(count):
        await _write(task, f"{number} ")
        await asyncio.sleep(_PACE)
    if kind == "ask":
        answer = (await task.ask("what?")).text
        await _write(task, f"<{answer}>")
        for _ in range(count):
            await _write(task, ".")
            await asyncio.sleep(_PACE)


@agent
async def steady(text: str, task: Task) -> None:
    """Fails when it is interrupted."""
    await _work(text, task)


@agent(rerunnable=True)
async def again(text: str, task: Task) -> None:
    """Runs again when it is interrupted."""
    await _work(text, task)


def _listen() -> None:
    _deaths.append(repeat(None, int(sys.stdin.readline())))


if __name__ == "__main__":
    threading.Thread(target=_listen, daemon=True).start()
    codin.serve(steady, again, port=0, limits=Limits(drain=0.1), **json.loads(sys.argv[1]))
