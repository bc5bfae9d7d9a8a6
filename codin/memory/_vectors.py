"""Vectors in this process, compared one by one: exact, and quick enough for some ten thousand."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from operator import mul
from typing import Any

from codin.memory._protocol import Vector

__all__ = ["Vectors"]


class Vectors:
    """Vectors of length 1 by a key. With NumPy they are compared at once, without it one after the other."""

    def __init__(self) -> None:
        self._rows: dict[str, array[float]] = {}
        self._stacked: Any = None  # all rows as one matrix, until one changes

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, key: str, vector: Vector) -> None:
        self._rows[key] = array("f", vector)
        self._stacked = None

    def drop(self, key: str) -> None:
        if self._rows.pop(key, None) is not None:
            self._stacked = None

    def nearest(self, vector: Vector, limit: int, fits: Callable[[str], bool] | None) -> list[tuple[float, str]]:
        """The cosines and keys of the nearest, best first."""
        scored = zip(self._cosines(vector), self._rows, strict=True)
        return heapq.nlargest(limit, scored if fits is None else (one for one in scored if fits(one[1])))

    def _cosines(self, vector: Vector) -> Sequence[float]:
        if not _has_numpy():
            return [sum(map(mul, row, vector)) for row in self._rows.values()]
        import numpy

        if self._stacked is None:
            width = len(vector)
            joined = b"".join(row.tobytes() for row in self._rows.values())
            self._stacked = numpy.frombuffer(joined, dtype=numpy.float32).reshape(-1, width)
        return (self._stacked @ numpy.asarray(vector, dtype=numpy.float32)).tolist()


@cache
def _has_numpy() -> bool:
    return find_spec("numpy") is not None
