"""Vectors as bits: close vectors have signs in common, and bits are compared a hundred times as fast as numbers."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["distances", "sign_codes"]

Floats = NDArray[numpy.float32]
Words = NDArray[numpy.uint64]
Counts = NDArray[numpy.uint16]


def sign_codes(vectors: Floats) -> NDArray[numpy.uint8]:
    """A bit for each number, in whole words of 64, after a rotation that gives every bit as much to say.

    The rotation is part of what is kept: it is two rounds of signs from a hash and of the cosine transform, which
    are the same on every machine, and not a library's random numbers.
    """
    width = vectors.shape[1]
    cosines, signs = _rotation(width)
    turned = ((vectors * signs[0]) @ cosines * signs[1]) @ cosines
    packed = numpy.packbits(turned > 0, axis=1)
    return numpy.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))


@lru_cache(maxsize=4)
def _rotation(width: int) -> tuple[Floats, NDArray[numpy.int8]]:
    steps = numpy.outer(2 * numpy.arange(width) + 1, numpy.arange(width)) % (4 * width)
    circle = numpy.cos(numpy.arange(4 * width) * (numpy.pi / (2 * width))) * (2 / width) ** 0.5
    cosines = circle.astype(numpy.float32)[steps]
    cosines[:, 0] *= 0.5**0.5
    bits = numpy.frombuffer(hashlib.shake_128(b"codin/signs/%d" % width).digest(2 * width), dtype=numpy.uint8) & 1
    return cosines, (bits.astype(numpy.int8) * 2 - 1).reshape(2, width)


def distances(codes: Words, code: Words) -> Counts:
    """In how many bits each of `codes` differs from `code`.

    Args:
        codes: a column for each vector: like words stand together, and are compared together.
    """
    total = numpy.zeros(codes.shape[1], dtype=numpy.uint16)
    for row, word in zip(codes, code, strict=True):
        total += _ones(row ^ word)
    return total


def _ones_by_table(words: Words) -> NDArray[numpy.uint8]:
    """For NumPy before 2.0."""
    return _table()[words.view(numpy.uint16)].reshape(-1, 4).sum(axis=1, dtype=numpy.uint8)


@lru_cache(maxsize=1)
def _table() -> NDArray[numpy.uint8]:
    numbers = numpy.arange(2**16, dtype=numpy.uint16)
    return sum((numbers >> bit & 1 for bit in range(16)), numpy.zeros_like(numbers)).astype(numpy.uint8)


_ones: Any = getattr(numpy, "bitwise_count", _ones_by_table)
