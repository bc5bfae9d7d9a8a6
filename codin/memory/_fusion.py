"""Two rankings become one."""

from __future__ import annotations

from collections.abc import Sequence

from codin.memory._protocol import Found

__all__ = ["fused"]

_SMOOTH = 20
"""The larger, the more being in both rankings counts, and the less being far up in one. Cormack, Clarke and Büttcher,
SIGIR 2009, take 60 for many long rankings; of two short ones, 20 made more (benchmarks/memory_quality.py)."""


def fused(rankings: Sequence[Sequence[Found]], weights: Sequence[float], limit: int) -> list[Found]:
    """Reciprocal rank fusion: only the places count, so that scores of different kinds need no common measure."""
    scores: dict[tuple[object, str], float] = {}
    found: dict[tuple[object, str], Found] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, one in enumerate(ranking, 1):
            key = (one.scope, one.record.id)
            scores[key] = scores.get(key, 0.0) + weight / (_SMOOTH + rank)
            found.setdefault(key, one)
    best = sorted(scores, key=lambda key: -scores[key])[:limit]
    return [found[key]._replace(score=scores[key]) for key in best]
