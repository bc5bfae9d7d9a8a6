"""A function on a Ray cluster, by RayRuntime and by `ray.remote`, in turns: `python -m benchmarks.ours.ray ADDRESS`.

Prints medians in milliseconds: in the Ray worker, for a function whose package is sent along, streaming, and in a
sandbox of the node; and `over`, the median of what ours takes by what Ray takes, call by call.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any

from codin.runtime import Function
from codin.runtime.ray import RayRuntime

_ROUNDS = 200
_FEW = 20


def double(number: int) -> int:
    return 2 * number


def one(number: int) -> Iterator[int]:
    yield 2 * number


async def main() -> None:
    ray: Any = import_module("ray")
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
    bare = ray.remote(max_retries=0)(double)
    bare_stream = ray.remote(max_retries=0, num_returns="streaming")(one)
    packaged = import_module("benchmarks.ours.ray").double  # that of this program is sent as code
    async with RayRuntime(sys.argv[1]) as runtime:

        async def ours() -> None:
            await runtime.run(Function(double, [21], sandbox="off"))

        async def ours_packaged() -> None:
            await runtime.run(Function(packaged, [21], sandbox="off"))

        async def ours_stream() -> None:
            await runtime.run(Function(one, [21], sandbox="off"))

        async def sandboxed() -> None:
            await runtime.run(Function(double, [21], sandbox="required"))

        async def plain() -> None:
            await bare.remote(21)

        async def plain_stream() -> None:
            async for piece in bare_stream.remote(21):
                await piece

        took = await _took(_ROUNDS, ours=ours, ours_packaged=ours_packaged, plain=plain)
        took |= await _took(_ROUNDS, ours_stream=ours_stream, plain_stream=plain_stream)
        took |= await _took(_FEW, sandboxed=sandboxed)
    told = {name: statistics.median(each) for name, each in took.items()}
    for name, beside in (("ours", "plain"), ("ours_packaged", "plain"), ("ours_stream", "plain_stream")):
        pairs = zip(took[name], took[beside], strict=True)
        told[f"{name} over {beside}"] = statistics.median(mine / theirs for mine, theirs in pairs)
    print(json.dumps({name: round(value, 2) for name, value in told.items()}))


async def _took(rounds: int, **sides: Callable[[], Awaitable[None]]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + _FEW):
        for name, act in sides.items():
            began = time.perf_counter()
            await act()
            if number >= _FEW:  # the first ones start workers
                took[name].append((time.perf_counter() - began) * 1000)
    return took


if __name__ == "__main__":
    asyncio.run(main())
