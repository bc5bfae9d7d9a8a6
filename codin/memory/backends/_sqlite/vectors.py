"""Search by vectors in SQLite: their codes are kept in this process, what looks near is compared exactly."""

from __future__ import annotations

import heapq
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy
from numpy.typing import NDArray
from pydantic_core import to_json

from codin.errors import MemoryFailed
from codin.memory._filter import Condition
from codin.memory._protocol import Found, Indexed, Scope, Vector
from codin.memory.backends._sqlite.codes import Words, distances, sign_codes
from codin.memory.backends._sqlite.filters import condition_sql
from codin.memory.backends._sqlite.records import found, scopes_of

__all__ = ["Codes"]

_CANDIDATES: Final = 400
_DEEPER: Final = 20
"""Candidates for each result that is wanted."""
_BLOCK: Final = 65_536
_KEPT: Final = 256 * 2**20
"""Bytes of codes that a process keeps: 4.8 million vectors of 384 numbers. What is beyond is read each time."""
_EMPTY: Final = 1000  # bytes of a partition that has nothing

Ids = NDArray[numpy.int64]
_Partition = tuple[int, int]


class _Block(NamedTuple):
    """Some vectors of one scope and space.

    Args:
        ids: rising.
        codes: a row for each word of a code, a column for each vector.
    """

    ids: Ids
    codes: Words


class Codes:
    """What this process knows of the codes in a file.

    A record's number is never given twice and rises, so that what others have added is read from the last known
    number on. What others have removed is not found any more when its vector is asked for; when that happens often,
    the codes are read anew.
    """

    def __init__(self) -> None:
        self._partitions: OrderedDict[_Partition, list[_Block]] = OrderedDict()
        self._lock = threading.Lock()
        self._size = 0

    @staticmethod
    def of(records: Sequence[Indexed]) -> list[bytes]:
        """The code of each record's vector; empty for those without."""
        codes = [b""] * len(records)
        by_width: dict[int, list[int]] = {}
        for place, one in enumerate(records):
            if one.vector is not None and len(one.vector):
                by_width.setdefault(len(one.vector), []).append(place)
        for places in by_width.values():
            vectors = numpy.asarray([records[place].vector for place in places], dtype=numpy.float32)
            for place, code in zip(places, sign_codes(vectors), strict=True):
                codes[place] = code.tobytes()
        return codes

    def nearest(
        self,
        connection: sqlite3.Connection,
        scopes: Sequence[Scope],
        space: str,
        vector: Vector,
        where: Sequence[Condition],
        limit: int,
    ) -> list[Found]:
        """The records of a space with the largest cosine, best first."""
        row = connection.execute("SELECT id, dimensions FROM spaces WHERE name = ?", (space,)).fetchone()
        if row is None:
            return []
        number, dimensions = row
        if dimensions != len(vector):
            raise MemoryFailed(
                f"a vector of {space!r} has {dimensions} numbers, that of the query has {len(vector)}",
                hint="the server has another model than the one that the embedder is set to",
            )
        query = numpy.asarray(vector, dtype=numpy.float32)
        numbered = scopes_of(connection, scopes)
        best: list[tuple[float, int]] = []
        for scope in numbered:
            best += self._best(connection, (scope, number), query, where, limit)
        best.sort(reverse=True)
        return found(connection, numbered, [(id, score) for score, id in best[:limit]])

    def _best(
        self,
        connection: sqlite3.Connection,
        partition: _Partition,
        query: NDArray[numpy.float32],
        where: Sequence[Condition],
        limit: int,
    ) -> list[tuple[float, int]]:
        code = sign_codes(query[None, :])[0].view(numpy.uint64)
        near = _by_distance(self._blocks(connection, partition, len(code)), code)
        wanted = max(_CANDIDATES, _DEEPER * limit)
        candidates: list[tuple[int, bytes]] = []
        asked, size = 0, wanted
        while asked < len(near) and len(candidates) < wanted:
            candidates += _candidates(connection, near[asked : asked + size], where)
            asked, size = asked + size, size * 4
        if not where and len(candidates) * 2 < min(asked, len(near)):
            with self._lock:
                self._drop(partition)
        if not candidates:
            return []
        vectors = numpy.frombuffer(b"".join(blob for _, blob in candidates), dtype="<f4").reshape(-1, len(query))
        scores: list[float] = (vectors @ query).tolist()
        return heapq.nlargest(limit, ((score, id) for score, (id, _) in zip(scores, candidates, strict=True)))

    def _blocks(self, connection: sqlite3.Connection, partition: _Partition, words: int) -> Iterator[_Block]:
        """The codes of a partition: those that are kept, with what is new, and those that are too many to keep."""
        with self._lock:
            blocks = self._drop(partition)
            for block in _read(connection, partition, _last(blocks), words):
                if blocks and len(blocks[-1].ids) + len(block.ids) <= _BLOCK:
                    blocks[-1] = _joined(blocks[-1], block)
                else:
                    blocks.append(block)
                if _size(blocks) > _KEPT:
                    break
            self._partitions[partition] = blocks
            self._size += _size(blocks)
            while self._size > _KEPT and len(self._partitions) > 1:
                self._size -= _size(self._partitions.popitem(last=False)[1])
            blocks = list(blocks)
        yield from blocks
        yield from _read(connection, partition, _last(blocks), words)

    def _drop(self, partition: _Partition) -> list[_Block]:
        blocks = self._partitions.pop(partition, [])
        self._size -= _size(blocks) if blocks else 0
        return blocks


def _size(blocks: Sequence[_Block]) -> int:
    return _EMPTY + sum(block.ids.nbytes + block.codes.nbytes for block in blocks)


def _last(blocks: Sequence[_Block]) -> int:
    return int(blocks[-1].ids[-1]) if blocks else 0


def _joined(first: _Block, second: _Block) -> _Block:
    return _Block(numpy.concatenate((first.ids, second.ids)), numpy.concatenate((first.codes, second.codes), axis=1))


def _read(connection: sqlite3.Connection, partition: _Partition, after: int, words: int) -> Iterator[_Block]:
    rows = connection.execute(
        "SELECT record, code FROM codes WHERE scope = ? AND space = ? AND record > ? ORDER BY record",
        (*partition, after),
    )
    while part := rows.fetchmany(_BLOCK):
        ids = numpy.fromiter((id for id, _ in part), dtype=numpy.int64, count=len(part))
        codes = numpy.frombuffer(b"".join(code for _, code in part), dtype=numpy.uint64).reshape(-1, words)
        yield _Block(ids, numpy.ascontiguousarray(codes.T))


def _by_distance(blocks: Iterable[_Block], code: Words) -> Ids:
    each = [(block.ids, distances(block.codes, code)) for block in blocks]
    if not each:
        return numpy.empty(0, dtype=numpy.int64)
    far = numpy.concatenate([far for _, far in each])
    return numpy.concatenate([ids for ids, _ in each])[numpy.argsort(far, kind="stable")]


def _candidates(connection: sqlite3.Connection, ids: Ids, where: Sequence[Condition]) -> list[tuple[int, bytes]]:
    """Those of the records that are there and fit, with their vectors."""
    conditions, bound = condition_sql(where)
    join = " CROSS JOIN records AS r ON r.id = each.value" if where else ""
    sql = (
        f"SELECT v.record, v.vector FROM json_each(?) AS each{join}"
        f" CROSS JOIN vectors AS v ON v.record = each.value WHERE true{conditions}"
    )
    # In the order of the file, neighbours cost one look at their page.
    return connection.execute(sql, (to_json(numpy.sort(ids).tolist()).decode(), *bound)).fetchall()
