"""Time to append one message to a conversation in SQLite, beside a checkpoint of LangGraph with the same message."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.memories import MODULE, needed
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading


def run(plan: Plan) -> Iterator[Figure]:
    """Both as they come, in new files. Ours comes without a flush of the disk at each."""
    needed("langgraph.checkpoint.sqlite", "pip install langgraph-checkpoint-sqlite")
    flushes = "theirs flushes the disk each time, ours when its log is full"
    for name, work, ours, note in (
        ("memory_append", "append", "normal", f"one after the other; {flushes}"),
        ("memory_append.full", "append", "full", "one after the other; both flush the disk each time"),
        ("memory_append.crowd", "crowd", "normal", f"64 at once, to as many conversations; {flushes}"),
    ):
        reads = [partial(_read, work, side, plan) for side in (ours, "langgraph")]
        readings, peer = interleave(plan, name, reads)
        bound = Bound("ratio", ">=", 5) if name == "memory_append" else None
        said = f"peer: LangGraph's AsyncSqliteSaver; {note}"
        yield compare(name, "us/message", readings, peer, bound=bound, note=said)


def _read(work: str, side: str, plan: Plan) -> Reading:
    with tempfile.TemporaryDirectory(prefix="codin-append-") as folder:
        return cpu_reading(child(sides.codin(), MODULE, work, side, folder, str(plan.seconds)))
