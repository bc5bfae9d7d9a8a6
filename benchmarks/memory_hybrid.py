"""Time of a search among 100,000 records in SQLite by words and by vectors, without the embedding of the query."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure
from benchmarks.rig.memories import MODULE, filled
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child

_LIMIT = 15.0  # ms


def run(plan: Plan) -> Iterator[Figure]:
    """The middle value of one search for four words, the best of the rounds; for orientation each way alone."""
    folder = filled()
    hows = ("hybrid", "words", "vectors")
    reads = [partial(child, sides.codin(), MODULE, "hybrid", how, folder, str(plan.seconds)) for how in hows]
    for how, answers in zip(hows, interleave(plan, "memory_hybrid", reads), strict=True):
        best = min(answers, key=lambda answer: answer["median"])
        note = f"p50 of a search; p99 {best['p99']:.1f} ms"
        if how == "hybrid":
            met = Bound("ours", "<=", _LIMIT).met(best["median"], 0)
            yield Figure("memory_hybrid", best["median"], None, None, "ms", note, f"ours <= {_LIMIT:g}", met)
        else:
            yield Figure(f"memory_hybrid.{how}", best["median"], None, None, "ms", note)
