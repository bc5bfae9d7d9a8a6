"""Functions on the nodes of a Ray cluster: what they give is JSON, what they yield comes as they yield it.

    ray start --head
    RAY_ADDRESS=127.0.0.1:6379 python examples/runtime_ray.py

The cluster's nodes need codin, too: pip install 'codin[ray]'.
"""

import asyncio
import os
from collections.abc import Iterator

from codin.runtime import Function, Item
from codin.runtime.ray import RayRuntime


def primes(start: int, end: int) -> list[int]:
    return [n for n in range(max(2, start), end) if all(n % d for d in range(2, n))]


def countdown(start: int) -> Iterator[int]:
    yield from range(start, 0, -1)


async def main() -> None:
    async with RayRuntime() as runtime:
        parts = [runtime.run(Function(primes, [start, start + 10])) for start in (0, 10, 20)]
        print("primes:", [done.value for done in await asyncio.gather(*parts)])
        running = await runtime.run(Function(countdown, [3]), stream=True)
        print("items:", [event.value async for event in running if isinstance(event, Item)])
        print("held by:", running.sandbox)


if __name__ == "__main__":
    if "RAY_ADDRESS" in os.environ:
        asyncio.run(main())
    else:
        print("RAY_ADDRESS names no cluster: ray start --head")
