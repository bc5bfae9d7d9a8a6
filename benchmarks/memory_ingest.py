"""What it takes to read 1,000 documents into a memory on SQLite: time, time when nothing has changed, and memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child

_MODULE = "benchmarks.ours.memory_ingest"
_DOCUMENTS = 1000


def run(plan: Plan) -> Iterator[Figure]:
    """A first run, a second one, and by how much the process grows with ten times the documents."""
    reads = [
        partial(_read, _DOCUMENTS, "hashing"),
        partial(_read, _DOCUMENTS, "none"),
        partial(_read, _DOCUMENTS // 10, "hashing"),
    ]
    ours, bare, few = interleave(plan, "memory_ingest", reads)
    rated = partial(compare, direction="ours/peer")
    note = f"{_DOCUMENTS} documents of 5,000 letters, in 6 chunks each; peer: without vectors"
    yield rated("memory_ingest", "s", _of(ours, "first"), _of(bare, "first"), note=note)
    note = "the same, when nothing has changed; peer: the first run"
    bound = Bound("ratio", "<=", 0.1)
    yield rated("memory_ingest.again", "s", _of(ours, "again"), _of(ours, "first"), bound=bound, note=note)
    note = f"by how much the process grows at its peak; peer: {_DOCUMENTS // 10} documents"
    bound = Bound("ours", "<=", 64)
    yield rated("memory_ingest.memory", "MiB", _of(ours, "grown"), _of(few, "grown"), bound=bound, note=note)


def _of(read: list[dict[str, float]], what: str) -> list[Reading]:
    return [Reading(one[what], one[what]) for one in read]


def _read(documents: int, embedder: str) -> dict[str, float]:
    return child(sides.codin(), _MODULE, str(documents), embedder)
