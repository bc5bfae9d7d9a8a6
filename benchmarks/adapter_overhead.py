"""What an adapter adds to a run: the framework called directly, and through codin's task manager, in one process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare, unmeasured
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading

FRAMEWORKS = ("langchain", "langchain_bare", "langgraph", "adk", "pydantic_ai", "openai_agents", "agno", "crewai")
ALONE = {"crewai"}  # in an environment of its own
RATIO = 1.05
ADDED = 2.0  # milliseconds


def run(plan: Plan) -> Iterator[Figure]:
    """One figure for each framework. What is allowed is 5 % or 2 ms, whichever is more."""
    for framework in FRAMEWORKS:
        name = f"adapter_overhead.{framework}"
        side = _side(framework)
        if side is None:
            yield unmeasured(name, "no environment: make frameworks")
            continue
        measure = partial(child, side, "benchmarks.rig.adapter", framework, "--seconds", str(plan.seconds))
        (answers,) = interleave(plan, name, [measure])
        ours = [cpu_reading(answer["codin"]) for answer in answers]
        direct = [cpu_reading(answer["direct"]) for answer in answers]
        best = min(reading.best for reading in direct)
        yield compare(
            name,
            "ms CPU/run",
            ours,
            direct,
            direction="ours/peer",
            bound=Bound("ratio", "<=", max(RATIO, round(1 + ADDED / best, 3))),
            note=f"adds {min(reading.best for reading in ours) - best:.2f} ms; peer: the same object, called directly",
        )


def _side(framework: str) -> sides.Side | None:
    python = sys.executable
    if framework in ALONE:
        python = str(sides.ROOT / ".frameworks" / framework / "bin" / "python")
    return sides.Side(framework, python, "") if os.access(python, os.X_OK) else None
