"""Time of a search among 100,000 vectors of 384 numbers, beside an exact comparison with all of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare, unmeasured
from benchmarks.rig.memories import MODULE, filled, needed
from benchmarks.rig.plan import Plan, Unavailable, interleave
from benchmarks.rig.process import child, cpu_reading

_LIMIT = 1.5
_PEERS = {"scan": "NumPy over the same file", "sqlite-vec": "sqlite-vec, called directly"}


def run(plan: Plan) -> Iterator[Figure]:
    """The best ten, with how many of them are among the ten that are nearest indeed."""
    folder = filled()
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
