"""Search by vectors in SQLite: their codes are kept in this process, what looks near is compared exactly."""

from __future__ import annotations

import heapq
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Final, NamedTuple

import numpy
from numpy.typing import NDArray
from pydantic_core import to_json

from codin.errors import MemoryFailed
from codin.memory._filter import Condition
from codin.memory._protocol import Found, Indexed, Scope, Vector
from codin.memory.backends._sqlite.codes import Asked, Counts, Words, asked, distances, sign_codes
from codin.memory.backends._sqlite.filters import condition_sql, fitting_sql
from codin.memory.backends._sqlite.records import found, scopes_of

__all__ = ["Codes"]

_FEWEST: Final = 400
"""Candidates that are compared exactly."""
_DEEPER: Final = 8
"""Candidates for each result that is wanted, at least."""
_MOST: Final = 1600
"""Candidates, where many may be as near as the best that were found."""
_FEW: Final = 4
"""When one of so many candidates, or less, fits a filter, what fits is read from the index of metadata."""
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
        best, many = self._among(connection, partition, query, where, limit, None)
        if many:
            return best
        if where:
            return self._among(connection, partition, query, (), limit, _fitting(connection, partition, where))[0]
        with self._lock:
            self._drop(partition)
        return self._among(connection, partition, query, (), limit, None)[0]

    def _among(
        self,
        connection: sqlite3.Connection,
        partition: _Partition,
        query: NDArray[numpy.float32],
        where: Sequence[Condition],
        limit: int,
        fitting: Ids | None,
    ) -> tuple[list[tuple[float, int]], bool]:
        """The best, and whether that is so; False when few of the candidates are there and fit `where`."""
        by = asked(query)
        fewest = max(_FEWEST, _DEEPER * limit)
        blocks = self._blocks(connection, partition, len(by.signs))
        ids, far = _nearest(blocks, by, max(_MOST, fewest), fitting)
        there = _compared(connection, query, ids[:fewest], where)
        best = heapq.nlargest(limit, there)
        if len(there) * _FEW <= fewest < len(ids):
            return best, False
        worst = best[-1][0] if len(best) == limit else -1.0
        near = int(numpy.searchsorted(far, by.reach(worst), "right"))
        return heapq.nlargest(limit, best + _compared(connection, query, ids[fewest:near], where)), True

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


def _nearest(blocks: Iterable[_Block], query: Asked, count: int, fitting: Ids | None) -> tuple[Ids, Counts]:
    """The numbers of the vectors that look nearest, in this order, and how far they look."""
    each = [_nearest_of(block if fitting is None else _kept(block, fitting), query, count) for block in blocks]
    if not each:
        return numpy.empty(0, dtype=numpy.int64), numpy.empty(0, dtype=numpy.uint16)
    ids, far = (numpy.concatenate(parts) for parts in zip(*each, strict=True))
    order = numpy.argsort(far, kind="stable")[:count]
    return ids[order], far[order]


def _nearest_of(block: _Block, query: Asked, count: int) -> tuple[Ids, Counts]:
    far = distances(block.codes, query)
    if len(far) <= count:
        return block.ids, far
    # Distances are small numbers: it is faster to count each than to sort them all.
    places = numpy.flatnonzero(far <= numpy.searchsorted(numpy.cumsum(numpy.bincount(far)), count))
    return block.ids[places], far[places]


def _kept(block: _Block, fitting: Ids) -> _Block:
    """What of a block fits. Both are rising."""
    first, last = numpy.searchsorted(fitting, (block.ids[0], block.ids[-1] + 1))
    places = numpy.searchsorted(block.ids, fitting[first:last])
    places = places[block.ids[places] == fitting[first:last]]
    return _Block(block.ids[places], block.codes[:, places])


def _fitting(connection: sqlite3.Connection, partition: _Partition, where: Sequence[Condition]) -> Ids:
    """The numbers of the records that fit, rising."""
    each = fitting_sql(partition[0], where)
    fit = [_numbers(connection, one.sql, one.bound) for one in each if one.fits]
    if not fit:
        fit = [_numbers(connection, "SELECT record FROM codes WHERE scope = ? AND space = ?", partition)]
    ids = reduce(numpy.intersect1d, fit)
    for one in each:
        if not one.fits:
            ids = numpy.setdiff1d(ids, _numbers(connection, one.sql, one.bound))
    return ids


def _numbers(connection: sqlite3.Connection, sql: str, bound: Sequence[str | int]) -> Ids:
    # As one text: for each row that it is given, Python would let other threads go first.
    (text,) = connection.execute(f"SELECT group_concat(record) FROM ({sql})", bound).fetchone()
    return numpy.unique(numpy.fromstring(text, dtype=numpy.int64, sep=",")) if text else numpy.empty(0, numpy.int64)


def _compared(
    connection: sqlite3.Connection, query: NDArray[numpy.float32], ids: Ids, where: Sequence[Condition]
) -> list[tuple[float, int]]:
    """The cosines of those of the records that are there and fit."""
    if not len(ids):
        return []
    conditions, bound = condition_sql(where)
    join = " CROSS JOIN records AS r ON r.id = each.value" if where else ""
    sql = (
        f"SELECT v.record, v.vector FROM json_each(?) AS each{join}"
        f" CROSS JOIN vectors AS v ON v.record = each.value WHERE true{conditions}"
    )
    # In the order of the file, neighbours cost one look at their page.
    rows = connection.execute(sql, (to_json(numpy.sort(ids).tolist()).decode(), *bound)).fetchall()
    vectors = numpy.frombuffer(b"".join(blob for _, blob in rows), dtype="<f4").reshape(-1, len(query))
    scores: list[float] = (vectors @ query).tolist()
    return [(score, id) for score, (id, _) in zip(scores, rows, strict=True)]
