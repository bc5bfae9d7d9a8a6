"""The clock of the in-process figures: CPU time of this process over many short batches."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable

WARM_UP = 5


async def cpu_batches(batch: Callable[[], Awaitable[float]], seconds: float) -> dict[str, float]:
    """Repeat a batch for a while and return the least, median and mean CPU time per unit, in microseconds.

    CPU time is not charged for the time other processes run. What is left of their noise (cold caches, a shared core)
    only ever adds, so the minimum over many short batches comes near the true cost. Garbage collection does not show in
    a minimum; it shows in the mean.

    Args:
        batch: Does the work, measures it, and returns CPU seconds per unit.
    """
    for _ in range(WARM_UP):
        await batch()
    costs: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not costs:
        costs.append(await batch())
    return {
        "best": min(costs) * 1e6,
        "median": statistics.median(costs) * 1e6,
        "mean": statistics.fmean(costs) * 1e6,
        "batches": len(costs),
    }


def report(**values: object) -> None:
    """Hand the result of a child process to its parent."""
    print(json.dumps(values), flush=True)
