"""Time of a search among 100,000 vectors of 384 numbers, beside an exact comparison with all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare, unmeasured
from benchmarks.rig.memories import MODULE, RECORDS, filled, needed
from benchmarks.rig.plan import Plan, Unavailable, interleave
from benchmarks.rig.process import child, cpu_reading

_LIMIT = 1.5
_FILTERED = 30.0  # ms
_RECALL = 0.95
_SPREADS = {
    "clustered": "many about few things",
    "skewed": "some directions matter more, as in the vectors of models",
    "random": "no order at all, which no texts have",
}
_PEERS = {"scan": "NumPy over the same file", "sqlite-vec": "sqlite-vec, called directly"}


def run(plan: Plan) -> Iterator[Figure]:
    """The best ten, with how many of them are among the ten that are nearest indeed; those that fit a filter."""
    folder = filled()
    yield from _filters(plan, folder)
    yield from _recalls()
    for peer, what in _PEERS.items():
        name = f"memory_vectors.{peer}"
        try:
            if peer == "sqlite-vec":
                needed("sqlite_vec", "pip install sqlite-vec")
            reads = [
                partial(child, sides.codin(), MODULE, "vectors", side, folder, str(plan.seconds))
                for side in ("codin", peer)
            ]
            ours, theirs = interleave(plan, name, reads)
        except (RuntimeError, Unavailable) as error:
            if peer == "scan":
                raise
            yield unmeasured(name, str(error).splitlines()[-1])
            continue
        yield compare(
            name,
            "ms",
            [cpu_reading(one) for one in ours],
            [cpu_reading(one) for one in theirs],
            direction="ours/peer",
            bound=Bound("ratio", "<=", _LIMIT),
            note=f"peer: {what}; recall@10 {ours[0]['recall']:.2f}",
        )


def _filters(plan: Plan, folder: str) -> Iterator[Figure]:
    keeps = ("hundredth", "half", "nothing")
    reads = [partial(child, sides.codin(), MODULE, "filter", each, folder, str(plan.seconds)) for each in keeps]
    for each, answers in zip(keeps, interleave(plan, "memory_vectors.filter", reads), strict=True):
        ours = min(answer["median"] for answer in answers)
        met = Bound("ours", "<=", _FILTERED).met(ours, 0)
        note = f"p50 with a filter that keeps {each.replace('hundredth', 'one in a hundred')}"
        yield Figure(f"memory_vectors.filter.{each}", ours, None, None, "ms", note, f"ours <= {_FILTERED:g}", met)


def _recalls() -> Iterator[Figure]:
    for spread, what in _SPREADS.items():
        with tempfile.TemporaryDirectory(prefix="codin-recall-") as folder:
            answer = child(sides.codin(), MODULE, "recall", spread, folder, str(RECORDS))
        note = f"recall@10 among {RECORDS:,} vectors: {what}; p50 {answer['median']:.1f} ms"
        name = f"memory_vectors.recall.{spread}"
        if spread == "random":
            yield Figure(name, answer["recall"], None, None, "", note)
        else:
            met = Bound("ours", ">=", _RECALL).met(answer["recall"], 0)
            yield Figure(name, answer["recall"], None, None, "", note, f"ours >= {_RECALL:g}", met)
