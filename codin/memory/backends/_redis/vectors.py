"""Vectors that Redis keeps and this process compares, brought up to date before each search."""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING

from pydantic_core import from_json

from codin.errors import ConfigError
from codin.memory._protocol import Scope, Vector
from codin.memory.backends._redis import scripts as scripts
from codin.memory.backends._redis.server import Server

if TYPE_CHECKING:
    from codin.memory.backends._redis.matrix import Matrix

__all__ = ["KeptVectors", "packed"]

_PAGE = 1000


def packed(vector: Vector) -> bytes:
    """A vector as bytes: 32 bits for each number, the least first."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


class _Kept:
    """The vectors of one scope and space, as they were at a change."""

    def __init__(self, matrix: Matrix) -> None:
        self.change = 0
        self.matrix = matrix
        self.lock = asyncio.Lock()


class KeptVectors:
    """Copies of the vectors that were searched lately.

    Args:
        most: vectors that are kept; of what is searched, all are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[Scope, str], _Kept] = OrderedDict()

    async def nearest(
        self,
        server: Server,
        prefix: str,
        scope: Scope,
        space: str,
        vector: Vector,
        limit: int,
        among: Collection[str] | None,
    ) -> list[tuple[float, str]]:
        """The cosines and ids of the nearest, best first; among all, or some. Raises ConfigError without NumPy."""
        if (scope, space) not in self._kept:
            self._kept[scope, space] = _Kept(_matrix(len(vector)))
        kept = self._kept[scope, space]
        self._kept.move_to_end((scope, space))
        async with kept.lock:
            if await _catch_up(server, prefix, space, kept):
                self._make_room()
            if not kept.matrix:
                self._kept.pop((scope, space), None)
                return []
            return await asyncio.to_thread(kept.matrix.nearest, vector, limit, among)

    def forget(self, scope: Scope | None = None) -> None:
        """Let go of what is kept of a scope, or of everything."""
        for one in [one for one in self._kept if scope in (None, one[0])]:
            del self._kept[one]

    def _make_room(self) -> None:
        while len(self._kept) > 1 and sum(len(kept.matrix) for kept in self._kept.values()) > self._most:
            self._kept.popitem(last=False)


def _matrix(width: int) -> Matrix:
    try:
        from codin.memory.backends._redis.matrix import Matrix
    except ImportError as error:
        raise ConfigError("vectors in Redis are compared by NumPy", hint="pip install 'codin[redis]'") from error
    return Matrix(width)


async def _catch_up(server: Server, prefix: str, space: str, kept: _Kept) -> bool:
    """Fetch what has changed since. A change has one number for all time, so that equal numbers are one state.

    The number is asked for first: what changes between the questions is at worst fetched again.
    """
    async with server.asked() as client, client.pipeline(transaction=False) as together:
        together.hget(f"{prefix}changes", space)
        together.zcard(f"{prefix}changed:{space}")
        change, total = await together.execute()
    change = int(change or 0)
    if change == kept.change:
        return False
    # When it has fallen, all was forgotten, or the server has lost what was new: nothing here counts.
    since = kept.change if change > kept.change else 0
    new = await _changed(server, prefix, space, since)
    for at in range(0, len(new), _PAGE):
        page = new[at : at + _PAGE]
        there, vectors = await server.run(scripts.VECTORS, [prefix], [space, *page])
        gone = {id for id, letter in zip(page, there.decode(), strict=True) if letter == "0"}
        for id in gone:
            kept.matrix.drop(id)
        kept.matrix.put([id for id in page if id not in gone], vectors)
    if len(kept.matrix) != total:
        left = set(await _changed(server, prefix, space, 0))
        for id in set(kept.matrix.keys()) - left:
            kept.matrix.drop(id)
    kept.change = change
    return True


async def _changed(server: Server, prefix: str, space: str, since: int) -> list[str]:
    return list(from_json(await server.run(scripts.CHANGED, [prefix], [space, since])))
