"""What an embedder gives, held to what it promises."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codin.errors import EmbeddingFailed
from codin.memory._protocol import Vector
from codin.memory.embedders._protocol import Embedder, Purpose

__all__ = ["embedded"]


async def embedded(embedder: Embedder, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
    """A vector of length 1 for each text. Raises EmbeddingFailed when the embedder gives anything else."""
    vectors = await embedder.embed(texts, purpose=purpose)
    if len(vectors) != len(texts):
        raise EmbeddingFailed(f"{embedder.space!r} gave {len(vectors)} vectors for {len(texts)} texts")
    return [_of_length_one(vector, embedder) for vector in vectors]


def _of_length_one(vector: Vector, embedder: Embedder) -> list[float]:
    try:
        numbers = [float(number) for number in vector]
    except (TypeError, ValueError):
        raise EmbeddingFailed(f"{embedder.space!r} gave a vector with members that are no numbers") from None
    if len(numbers) != embedder.dimensions:
        raise EmbeddingFailed(
            f"{embedder.space!r} gave a vector of {len(numbers)} numbers, and should give {embedder.dimensions}",
            hint="the server has another model than the one that the embedder is set to",
        )
    length = math.hypot(*numbers)
    if not math.isfinite(length):
        raise EmbeddingFailed(f"{embedder.space!r} gave a vector with members that are no numbers")
    # A text without any meaning may have no direction: it is as far from all others as can be.
    return [number / length for number in numbers] if length else numbers
