"""A function on a Ray cluster, by RayRuntime and by `ray.remote`, in turns: `python -m benchmarks.ours.ray ADDRESS`.

Prints medians in milliseconds: in the Ray worker, for a function whose package is sent along, streaming, the same with
this program as the driver (`here`), and in a sandbox of the node; and `over`, the median of what ours takes by what Ray
takes, call by call.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from codin.runtime import Function, SandboxDemand
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
    async with RayRuntime(sys.argv[1]) as runtime, RayRuntime(driver="here") as here:

        async def call(where: RayRuntime, function: Callable[..., Any], sandbox: SandboxDemand = "off") -> None:
            await where.run(Function(function, [21], sandbox=sandbox))

        async def plain() -> None:
            await bare.remote(21)

        async def plain_stream() -> None:
            async for piece in bare_stream.remote(21):
                await piece

        took: dict[str, list[float]] = {}
        beside: dict[str, str] = {}
        for name, function, theirs in (
            ("ours", double, plain),
            ("packaged", packaged, plain),
            ("stream", one, plain_stream),
        ):
            sides = {name: partial(call, runtime, function), f"{name}_here": partial(call, here, function)}
            beside |= dict.fromkeys(sides, f"{name}_plain")
            took |= await _took(_ROUNDS, **sides, **{f"{name}_plain": theirs})
        took |= await _took(_FEW, sandboxed=partial(call, runtime, double, "required"))
    told = {name: statistics.median(each) for name, each in took.items()}
    for mine, theirs in beside.items():
        pairs = zip(took[mine], took[theirs], strict=True)
        told[f"{mine} over plain"] = statistics.median(ours / other for ours, other in pairs)
    print(json.dumps({name: round(value, 2) for name, value in told.items()}))


async def _took(rounds: int, **sides: Callable[[], Awaitable[None]]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + _FEW):
        # There and back, so that each follows itself as often as another: what ran last has left its worker warm.
        for name, act in sides.items() if number % 2 else reversed(sides.items()):
            began = time.perf_counter()
            await act()
            if number >= _FEW:  # the first ones start workers
                took[name].append((time.perf_counter() - began) * 1000)
    return took


if __name__ == "__main__":
    asyncio.run(main())
