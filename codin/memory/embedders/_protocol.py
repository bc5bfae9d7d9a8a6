"""What a memory needs of whatever turns texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from codin.memory._protocol import Vector

__all__ = ["Embedder", "Purpose"]

Purpose = Literal["document", "query"]


class Embedder(Protocol):
    """Turns texts into vectors whose cosine says how close the texts are in meaning.

    It may have a `weight`: how many times as much as the ranking by words the one by its vectors counts, where both are
    made one. Without it that is 2, which is right for a model.
    """

    @property
    def space(self) -> str:
        """The name of its vectors' kind, such as "minilm-l6-v2/384"; only vectors of one space are compared."""
        ...

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        ...

    async def embed(self, texts: Sequence[str], /, *, purpose: Purpose) -> Sequence[Vector]:
        """A vector for each text, in order; of any length but 0. Raises EmbeddingFailed."""
        ...
