"""Search by meaning: vectors from a function that somebody hands in, compared one by one."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from array import array
from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import mul
from typing import TypeAlias

__all__ = ["Embed", "Meaning"]

_logger = logging.getLogger("codin.mesh")

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
"""Makes one vector of each text, all of one length."""


class Meaning:
    """The vectors of what is registered. They are made anew after a restart, and kept in memory."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._vectors: dict[str, array[float]] = {}

    async def add(self, texts: Sequence[tuple[str, str]]) -> None:
        """Take up registrations, each a key and its text. One that cannot be embedded is found by its words only."""
        try:
            vectors = await self._embed([text for _, text in texts])
        except Exception as error:
            _logger.warning("%d agents have no vector: %s: %s", len(texts), type(error).__name__, error)
            return
        for (key, _), vector in zip(texts, vectors, strict=True):
            self._vectors[key] = _unit(vector)

    def drop(self, key: str) -> None:
        """Forget one."""
        self._vectors.pop(key, None)

    async def near(self, text: str, limit: int) -> list[str]:
        """The keys of the registrations whose text means the most similar, the nearest first."""
        wanted = _unit((await self._embed([text]))[0])
        return await asyncio.to_thread(_nearest, wanted, list(self._vectors.items()), limit)


def _unit(vector: Iterable[float]) -> array[float]:
    values = array("f", vector)
    length = math.sqrt(sum(map(mul, values, values))) or 1.0
    return array("f", (value / length for value in values))


def _nearest(wanted: array[float], vectors: list[tuple[str, array[float]]], limit: int) -> list[str]:
    scored = ((sum(map(mul, wanted, vector)), key) for key, vector in vectors)
    return [key for _, key in heapq.nlargest(limit, scored)]
