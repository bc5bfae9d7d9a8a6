"""Vectors as bits: close vectors have signs in common, and bits are compared a hundred times as fast as numbers."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy
from numpy.typing import NDArray

__all__ = ["Asked", "Counts", "Words", "asked", "distances", "sign_codes"]

Floats = NDArray[numpy.float32]
Words = NDArray[numpy.uint64]
Counts = NDArray[numpy.unsignedinteger[Any]]

_SURE: Final = 2.0
"""Standard deviations of what signs say of a cosine."""
_AT_ONCE: Final = 16_384
"""Vectors whose codes, and what is reckoned with them, fit into a core's cache."""


class Asked(NamedTuple):
    """A query, of whose numbers more is kept than their signs: two bits for the size of each.

    Args:
        signs: as those of a code.
        once: the lower bit of each size.
        twice: the higher one.
        most: the largest distance, from a vector with all signs the other way.
        steep: by how much the distance falls when the cosine grows by 1.
        width: numbers in a vector.
    """

    signs: Words
    once: Words
    twice: Words
    most: int
    steep: float
    width: int

    def reach(self, cosine: float) -> float:
        """The distance from which on hardly any vector is as near as this."""
        return self.most / 2 - (cosine - _SURE * math.sqrt((math.pi / 2 - 1) / self.width)) * self.steep


def asked(vector: Floats) -> Asked:
    """A query as the codes are compared with it."""
    turned = _turned(vector[None, :])
    usual = float(numpy.sqrt(numpy.mean(turned**2))) or 1.0
    # In steps of half of what is usual: finer ones find no more.
    sizes = numpy.minimum(numpy.rint(numpy.abs(turned) * (2 / usual)), 3).astype(numpy.uint8)
    signs, once, twice = (_packed(bits)[0].view(numpy.uint64) for bits in (turned > 0, sizes & 1, sizes >> 1))
    width = vector.shape[0]
    length = math.sqrt(float(numpy.sum(sizes.astype(numpy.float64) ** 2)))
    return Asked(signs, once, twice, int(sizes.sum()), length * math.sqrt(width / (2 * math.pi)), width)


def sign_codes(vectors: Floats) -> NDArray[numpy.uint8]:
    """A bit for each number, in whole words of 64, after a rotation that gives every bit as much to say.

    The rotation is part of what is kept: it is two rounds of signs from a hash and of the cosine transform, which
    are the same on every machine, and not a library's random numbers.
    """
    return _packed(_turned(vectors) > 0)


def _turned(vectors: Floats) -> Floats:
    cosines, signs = _rotation(vectors.shape[1])
    return ((vectors * signs[0]) @ cosines * signs[1]) @ cosines


def _packed(bits: NDArray[Any]) -> NDArray[numpy.uint8]:
    packed = numpy.packbits(bits, axis=1)
    return numpy.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))


@lru_cache(maxsize=4)
def _rotation(width: int) -> tuple[Floats, NDArray[numpy.int8]]:
    steps = numpy.outer(2 * numpy.arange(width) + 1, numpy.arange(width)) % (4 * width)
    circle = numpy.cos(numpy.arange(4 * width) * (numpy.pi / (2 * width))) * (2 / width) ** 0.5
    cosines = circle.astype(numpy.float32)[steps]
    cosines[:, 0] *= 0.5**0.5
    bits = numpy.frombuffer(hashlib.shake_128(b"codin/signs/%d" % width).digest(2 * width), dtype=numpy.uint8) & 1
    return cosines, (bits.astype(numpy.int8) * 2 - 1).reshape(2, width)


def distances(codes: Words, query: Asked) -> Counts:
    """How far each of `codes` is from the query: the sizes of its numbers whose signs differ, in all.

    Args:
        codes: a column for each vector: like words stand together, and are compared together.
    """
    total = numpy.zeros(codes.shape[1], dtype=numpy.uint16 if query.most < 2**16 else numpy.uint32)
    for start in range(0, len(total), _AT_ONCE):
        part = total[start : start + _AT_ONCE]
        for row, sign, once, twice in zip(codes[:, start : start + _AT_ONCE], *query[:3], strict=True):
            differ = row ^ sign
            part += _ones(differ & once)
            part += _ones(differ & twice) << numpy.uint8(1)
    return total


def _ones_by_table(words: Words) -> NDArray[numpy.uint8]:
    """For NumPy before 2.0."""
    return _table()[words.view(numpy.uint16)].reshape(-1, 4).sum(axis=1, dtype=numpy.uint8)


@lru_cache(maxsize=1)
def _table() -> NDArray[numpy.uint8]:
    numbers = numpy.arange(2**16, dtype=numpy.uint16)
    return sum((numbers >> bit & 1 for bit in range(16)), numpy.zeros_like(numbers)).astype(numpy.uint8)


_ones: Any = getattr(numpy, "bitwise_count", _ones_by_table)
