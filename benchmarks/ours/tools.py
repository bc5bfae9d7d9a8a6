"""A function, called by itself and as a tool: `python -m benchmarks.ours.tools KIND --seconds 2`."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from codin.tool import ToolExecutor, ToolSpec, tool

_BATCH = 100
_WARM = 3
_TEXT = "hello"


@tool
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


class Shout:
    """The same as somebody else's tool, which its JSON Schema checks."""

    name = "theirs"
    spec = ToolSpec(
        "Say it louder.",
        {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        {"type": "string"},
    )

    async def invoke(self, text: str) -> str:
        return text.upper()


def main() -> None:
    """Print the CPU of a call, in microseconds, on both ways."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=("shout", "theirs"))
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_measure(options.name, options.seconds))))


async def _measure(name: str, seconds: float) -> dict[str, Any]:
    executor = ToolExecutor([shout, Shout()])
    theirs = Shout()

    async def through_executor() -> str:
        return await executor.call(name, {"text": _TEXT})

    async def direct() -> str:
        return await (shout(_TEXT) if name == "shout" else theirs.invoke(_TEXT))

    if await through_executor() != await direct():
        raise RuntimeError("the tool does something else than the function")
    ours: list[float] = []
    peer: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(ours) < _WARM:
        peer.append(await _cost(direct))
        ours.append(await _cost(through_executor))
    return {"codin": _summary(ours), "direct": _summary(peer)}


async def _cost(call: Callable[[], Awaitable[str]]) -> float:
    before = time.process_time()
    for _ in range(_BATCH):
        await call()
    return (time.process_time() - before) * 1e6 / _BATCH


def _summary(costs: list[float]) -> dict[str, float]:
    return {"best": min(costs), "median": statistics.median(costs)}


if __name__ == "__main__":
    main()
