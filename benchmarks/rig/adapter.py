"""Runs one framework's object, directly and through codin, turn by turn: `python -m benchmarks.rig.adapter NAME`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from codin import a2a
from codin.agent import as_agent
from codin.task import TaskManager
from codin.trust import ANONYMOUS

_WARM = 5


def main() -> None:
    """Print the CPU of a run, in milliseconds, on both ways."""
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    made = importlib.import_module(f"benchmarks.ours.{options.framework}")
    print(json.dumps(asyncio.run(_measure(made, options.seconds))))


async def _measure(made: Any, seconds: float) -> dict[str, Any]:
    agent = as_agent(made.build())
    manager = TaskManager(agent.handle, agent=agent.id)
    count = 0

    async def through_codin() -> None:
        nonlocal count
        count += 1
        message = a2a.Message(message_id=str(count), role=a2a.Role.USER, parts=[a2a.Part(text="go")])
        turn = await manager.submit(ANONYMOUS, a2a.SendMessageRequest(message=message), streaming=True)
        task = a2a.Task.from_json(await turn.outcome())
        if a2a.text_of(task.artifacts[0].parts) != made.TEXT:
            raise RuntimeError(f"the agent answered {task!r}")

    direct = made.direct()
    for _ in range(_WARM):
        await direct()
        await through_codin()
    ours: list[float] = []
    theirs: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(ours) < _WARM:
        theirs.append(await _cost(direct))
        ours.append(await _cost(through_codin))
    return {"codin": _summary(ours), "direct": _summary(theirs)}


async def _cost(run: Callable[[], Awaitable[None]]) -> float:
    before = time.process_time()
    await run()
    return (time.process_time() - before) * 1e3


def _summary(costs: list[float]) -> dict[str, float]:
    return {"best": min(costs), "median": statistics.median(costs)}


if __name__ == "__main__":
    main()
