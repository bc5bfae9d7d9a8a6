"""Vectors in the rows of one matrix, which grows and changes in place."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy
from numpy.typing import NDArray

from codin.memory._protocol import Vector

__all__ = ["Matrix"]

_ROWS = 64


class Matrix:
    """Vectors of one length, by a key.

    Args:
        width: numbers of a vector.
    """

    def __init__(self, width: int) -> None:
        self._rows = numpy.empty((_ROWS, width), dtype="<f4")
        self._keys: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def keys(self) -> Collection[str]:
        return self._places.keys()

    def put(self, keys: Sequence[str], vectors: bytes) -> None:
        """Add some, or replace them, each with its vector of those that stand one behind the other."""
        if not keys:
            return
        for key in (key for key in keys if key not in self._places):
            self._places[key] = len(self._keys)
            self._keys.append(key)
        while len(self._keys) > len(self._rows):
            self._rows = numpy.concatenate((self._rows, numpy.empty_like(self._rows)))
        self._rows[[self._places[key] for key in keys]] = numpy.frombuffer(vectors, "<f4").reshape(len(keys), -1)

    def drop(self, key: str) -> None:
        """Remove one that may be there: the last takes its place."""
        place = self._places.pop(key, None)
        if place is None:
            return
        last = self._keys.pop()
        if last != key:
            self._keys[place], self._places[last] = last, place
            self._rows[place] = self._rows[len(self._keys)]

    def nearest(self, vector: Vector, limit: int, among: Collection[str] | None) -> list[tuple[float, str]]:
        """The cosines and keys of the nearest, best first; among all, or some."""
        places = None if among is None else [self._places[key] for key in among if key in self._places]
        rows = self._rows[: len(self._keys)] if places is None else self._rows[places]
        cosines: NDArray[numpy.float32] = rows @ numpy.asarray(vector, dtype=numpy.float32)
        best = numpy.arange(len(cosines))
        if limit < len(cosines):
            best = numpy.argpartition(cosines, -limit)[-limit:]
        best = best[numpy.argsort(-cosines[best])]
        wanted: list[int] = best.tolist()
        keys = [self._keys[at if places is None else places[at]] for at in wanted]
        return list(zip(cosines[best].tolist(), keys, strict=True))
