"""Vectors without a model: by the hashes of words and of pieces of words."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

from codin.errors import ConfigError
from codin.memory._protocol import Vector
from codin.memory._words import terms_of
from codin.memory.embedders._protocol import Purpose

__all__ = ["HashingEmbedder"]

_PIECE = 3


class HashingEmbedder:
    """Needs nothing, and knows nothing of meaning: texts are close that share words, or pieces of words.

    It finds `searching` by `search`, and never `car` by `automobile`. It is the default so that everything works
    from the start; a model finds more.

    Args:
        dimensions: numbers of a vector, 64 to 4096.

    Raises:
        ConfigError: dimensions that are not in this range.
    """

    weight: float = 0.25
    """Its vectors find less than words do, and only help them."""

    def __init__(self, dimensions: int = 256) -> None:
        if not 64 <= dimensions <= 4096:
            raise ConfigError(f"a vector of {dimensions} numbers is not made", hint="64 to 4096")
        self.dimensions: int = dimensions
        self.space: str = f"hashing/{dimensions}"

    async def embed(self, texts: Sequence[str], /, *, purpose: Purpose) -> Sequence[Vector]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> Vector:
        vector = [0.0] * self.dimensions
        for feature, times in Counter(_features(text)).items():
            number = _hashed(feature)
            # The sign keeps two features that share a place from adding up on average.
            vector[(number >> 1) % self.dimensions] += (1 if number & 1 else -1) * (1 + math.log(times))
        return vector


def _features(text: str) -> Iterator[str]:
    for term in terms_of(text):
        yield term
        if len(term) > _PIECE:
            marked = f"<{term}>"
            yield from (f"#{marked[at : at + _PIECE]}" for at in range(len(marked) - _PIECE + 1))


@lru_cache(50_000)
def _hashed(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
