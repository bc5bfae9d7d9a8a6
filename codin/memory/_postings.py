"""Which texts have which words, in this process."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Sequence

__all__ = ["Postings", "bm25"]

_K1, _B = 1.2, 0.75
"""How soon a word that comes again says nothing more, and how much long texts are held back: the usual values."""


def bm25(times: int, length: int, average: float, holding: int, total: int) -> float:
    """What one word adds to the score of one text. Robertson and Zaragoza, 2009.

    Args:
        times: how often the text has it.
        length: words of the text.
        average: words of a text on average.
        holding: texts that have it.
        total: texts.
    """
    rarity = math.log(1 + (total - holding + 0.5) / (holding + 0.5))
    return rarity * times * (_K1 + 1) / (times + _K1 * (1 - _B + _B * length / average))


class Postings:
    """Texts by their words."""

    def __init__(self) -> None:
        self._texts: dict[str, Counter[str]] = {}
        self._holding: dict[str, set[str]] = {}
        self._words = 0

    def put(self, key: str, terms: Sequence[str]) -> None:
        self.drop(key)
        counts = self._texts[key] = Counter(terms)
        self._words += len(terms)
        for term in counts:
            self._holding.setdefault(term, set()).add(key)

    def drop(self, key: str) -> None:
        counts = self._texts.pop(key, None)
        if counts is None:
            return
        self._words -= counts.total()
        for term in counts:
            self._holding[term].discard(key)
            if not self._holding[term]:
                del self._holding[term]

    def matching(self, terms: Sequence[str], limit: int, fits: Callable[[str], bool] | None) -> list[tuple[float, str]]:
        """The scores and keys of the texts that fit best, best first."""
        total = len(self._texts)
        scores: dict[str, float] = {}
        for term in terms:
            holding = self._holding.get(term, ())
            for key in holding:
                counts = self._texts[key]
                score = bm25(counts[term], counts.total(), self._words / total, len(holding), total)
                scores[key] = scores.get(key, 0.0) + score
        scored = ((score, key) for key, score in scores.items() if fits is None or fits(key))
        return heapq.nlargest(limit, scored)
