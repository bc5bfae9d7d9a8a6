"""CPU of a tool's call through the executor beside a call of the function itself: looking up, checks, bounds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading

TARGET = 50.0  # microseconds
MODULE = "benchmarks.ours.tools"


def run(plan: Plan) -> Iterator[Figure]:
    """An async function in this process, without task and approval; for orientation a tool with a JSON Schema."""
    side = sides.codin()
    for name, tool in (("tool_call", "shout"), ("tool_call.schema", "theirs")):
        (answers,) = interleave(plan, name, [partial(child, side, MODULE, tool, "--seconds", str(plan.seconds))])
        yield compare(
            name,
            "us CPU/call",
            [cpu_reading(answer["codin"]) for answer in answers],
            [cpu_reading(answer["direct"]) for answer in answers],
            direction="ours/peer",
            bound=Bound("ours", "<=", TARGET) if tool == "shout" else None,
            note="peer: the same function, called directly",
        )
