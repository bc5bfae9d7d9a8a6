"""Vectors that Redis keeps and this process compares, brought up to date before each search."""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections import OrderedDict
from typing import Any

from codin.memory._protocol import Scope, Vector
from codin.memory._vectors import Vectors

__all__ = ["KeptVectors", "packed"]

_PAGE = 1000


def packed(vector: Vector) -> bytes:
    """A vector as bytes: 32 bits for each number, the least first."""
    return _native(array("f", vector)).tobytes()


def _unpacked(vector: bytes) -> array[float]:
    return _native(array("f", vector))


def _native(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class _Kept:
    """The vectors of one scope and space, as they were at a change."""

    def __init__(self) -> None:
        self.change = 0
        self.vectors = Vectors()
        self.ids: set[str] = set()
        self.lock = asyncio.Lock()

    def put(self, key: str, vector: bytes | None) -> None:
        if vector is None:
            self.drop(key)
        else:
            self.ids.add(key)
            self.vectors.put(key, _unpacked(vector))

    def drop(self, key: str) -> None:
        self.ids.discard(key)
        self.vectors.drop(key)


class KeptVectors:
    """Copies of the vectors that were searched lately.

    Args:
        most: vectors that are kept; of what is searched, all are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[Scope, str], _Kept] = OrderedDict()

    async def nearest(
        self, client: Any, prefix: str, scope: Scope, space: str, vector: Vector, limit: int
    ) -> list[tuple[float, str]]:
        """The cosines and ids of the nearest, best first."""
        kept = self._kept.setdefault((scope, space), _Kept())
        self._kept.move_to_end((scope, space))
        async with kept.lock:
            if await _catch_up(client, prefix, space, kept):
                self._make_room()
            if not kept.ids:
                self._kept.pop((scope, space), None)
                return []
            return await asyncio.to_thread(kept.vectors.nearest, vector, limit, None)

    def forget(self, scope: Scope | None = None) -> None:
        """Let go of what is kept of a scope, or of everything."""
        for one in [one for one in self._kept if scope in (None, one[0])]:
            del self._kept[one]

    def _make_room(self) -> None:
        while len(self._kept) > 1 and sum(len(kept.ids) for kept in self._kept.values()) > self._most:
            self._kept.popitem(last=False)


async def _catch_up(client: Any, prefix: str, space: str, kept: _Kept) -> bool:
    """Fetch what has changed since. A change has one number for all time, so that equal numbers are one state.

    The number is asked for first: what changes between the questions is at worst fetched again.
    """
    changed = f"{prefix}changed:{space}"
    async with client.pipeline(transaction=False) as together:
        together.hget(f"{prefix}changes", space)
        together.zrangebyscore(changed, f"({kept.change}", "+inf")
        together.zcard(changed)
        change, new, total = await together.execute()
    change = int(change or 0)
    if change == kept.change:
        return False
    if change < kept.change:  # forgotten, or the server has lost what was new: nothing here counts
        new = await client.zrange(changed, 0, -1)
    for at in range(0, len(new), _PAGE):
        page = new[at : at + _PAGE]
        for id, vector in zip(page, await client.hmget(f"{prefix}vectors:{space}", page), strict=True):
            kept.put(id.decode(), vector)
    if len(kept.ids) != total:
        left = {id.decode() for id in await client.zrange(changed, 0, -1)}
        for id in kept.ids - left:
            kept.drop(id)
    kept.change = change
    return True
