"""OpenAI embeddings: vectors made of the words themselves, so that texts with words in common are near."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from zlib import crc32

__all__ = ["embedded", "vector"]

_DIMENSIONS = 256
_WORD = re.compile(r"[^\W_]+")


def embedded(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to `POST …/embeddings`."""
    texts = _texts(sent["input"])
    vectors = [vector(text, sent.get("dimensions") or _DIMENSIONS) for text in texts]
    packed = sent.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(numbers) if packed else numbers}
        for index, numbers in enumerate(vectors)
    ]
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": sent.get("model", "local"), "usage": usage}


def vector(text: str, dimensions: int = _DIMENSIONS) -> list[float]:
    """A vector of length one. Every word has its place in it, and so has, with less weight, every three letters of one,
    which brings "lamp" and "lamps" together.

    Source: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """
    numbers = [0.0] * dimensions
    for feature, weight in _features(text):
        hashed = crc32(feature.encode())
        numbers[(hashed >> 1) % dimensions] += weight if hashed & 1 else -weight
    length = math.sqrt(sum(number * number for number in numbers))
    if not length:
        return [1.0, *numbers[1:]]
    return [number / length for number in numbers]


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in _WORD.findall(text.lower()):
        yield word, 1.0
        padded = f"<{word}>"
        for start in range(len(padded) - 2):
            yield padded[start : start + 3], 0.5


def _texts(given: Any) -> list[str]:
    """The texts to embed. Tokens, which some clients send instead of words, are words like any other."""
    if isinstance(given, str):
        return [given]
    items = cast("Sequence[Any]", given)
    if items and isinstance(items[0], int):
        return [" ".join(map(str, items))]
    return [item if isinstance(item, str) else " ".join(map(str, item)) for item in items]


def _packed(numbers: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
