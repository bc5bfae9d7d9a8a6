"""How long a search among 10,000 agents takes: in a registry, in process, and in a list of cards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, processors

_MODULE = "benchmarks.ours.registry"
_LIMIT = 20.0  # ms
_NOTES = {
    "name": "one fits",
    "skill": "one in 40 fits",
    "tag": "all fit",
    "text": "two words, by relevance",
    "common": "two words that all have, by relevance",
}


def run(plan: Plan) -> Iterator[Figure]:
    """The 99th percentile of one search, 20 of whose results are answered."""
    for wish, note in _NOTES.items():
        reads = [partial(_read, where, wish, plan) for where in ("registry", "list")]
        ours, peer = interleave(plan, f"registry_search.{wish}", reads)
        bound = Bound("ours", "<=", _LIMIT)
        yield compare(f"registry_search.{wish}", "ms", ours, peer, bound=bound, note=f"p99; {note}; peer: codin's list")


def _read(where: str, wish: str, plan: Plan) -> Reading:
    answer = child(sides.codin(), _MODULE, where, wish, str(plan.seconds), processor=processors()[0])
    return Reading(answer["p99"], answer["median"])
