"""Records in PostgreSQL by their words, in about the same time however many have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from codin.memory._filter import Condition
from codin.memory.backends._postgres.filter import compiled
from codin.memory.backends._postgres.session import Connection

__all__ = ["Holders", "Room", "matching"]

_RANKED = 5000
"""Records that one ranking looks at."""
_FILTERED = 1000
"""The same where there is a filter, which reads them."""
_NEWEST = 10
"""Of the records with a frequent word, one in so many is looked at beside those with a rarer one."""
_SPARE = 50
"""So many more than are wanted get their whole score."""
_NARROW = 2000
"""Where a filter leaves so many records or fewer, only they are looked at."""
_REMEMBERED = 10_000

_HOLDING = """
SELECT term, (
    SELECT count(*) FROM (
        SELECT FROM codin_memory.word WHERE word.scope = $1 AND word.term = asked.term LIMIT $3
    ) AS counted
) AS holding
FROM unnest($2::text[]) AS asked (term)"""
_SCORE = "word.times * 2.2::float8 / (word.times + 1.2::float8 * (0.25::float8 + 0.75::float8 * word.words / $5))"


class Room(NamedTuple):
    """A scope that is there: its number, and how many records and words it has."""

    id: int
    records: int
    words: int


class Holders:
    """How many records have a word. Of frequent ones it is remembered until there are a tenth more records, or less."""

    def __init__(self) -> None:
        self._frequent: dict[tuple[int, str], tuple[int, int]] = {}

    def forget(self) -> None:
        self._frequent.clear()

    async def of(self, connection: Connection, room: Room, terms: Sequence[str]) -> Mapping[str, int]:
        """For each of the terms that any record has."""
        known = {term: self._remembered(room, term) for term in dict.fromkeys(terms)}
        counts = await _counted(connection, room, [term for term, count in known.items() if not count], _RANKED + 1)
        many = [term for term, count in counts.items() if count > _RANKED]
        if many:
            counts |= await _counted(connection, room, many, None)
            if len(self._frequent) > _REMEMBERED:
                self._frequent.clear()
            self._frequent |= {(room.id, term): (room.records, counts[term]) for term in many}
        return {term: found for term, count in known.items() if (found := count or counts.get(term, 0))}

    def _remembered(self, room: Room, term: str) -> int:
        records, count = self._frequent.get((room.id, term), (0, 0))
        return count if abs(room.records - records) * 10 <= records else 0


async def _counted(connection: Connection, room: Room, terms: Sequence[str], most: int | None) -> dict[str, int]:
    if not terms:
        return {}
    rows = await connection.fetch(_HOLDING, room.id, terms, most)
    return {row["term"]: row["holding"] for row in rows}


async def matching(
    connection: Connection, holders: Holders, room: Room, terms: Sequence[str], where: Sequence[Condition], limit: int
) -> Sequence[Mapping[str, Any]]:
    """The records of a scope that have any of some words, by BM25 (k1 = 1.2, b = 0.75).

    Of words that very many have, only those records are looked at that have a rarer one too, and the newest. In a scope
    of some thousand records nothing is left out.
    """
    held = sorted((count, term) for term, count in (await holders.of(connection, room, terms)).items())
    if not held:
        return []
    rarities = [math.log(1 + (room.records - count + 0.5) / (count + 0.5)) for count, _ in held]
    looked, left = list[int](), (most := _FILTERED if where else _RANKED)
    for count, _ in held:
        left -= count
        looked.append(most if left >= 0 or not looked else max(most // _NEWEST, limit))
    values: list[Any] = [room.id, [term for _, term in held], rarities, looked, max(1.0, room.words / room.records)]
    keys: list[int] | None = None
    if where and left < 0:
        bound: list[Any] = [room.id, _NARROW + 1]
        rows = await connection.fetch(_fitting(compiled(where, bound)), *bound)
        keys = [row["key"] for row in rows] if len(rows) <= _NARROW else None
    values += (limit + _SPARE, limit)
    if keys is not None:
        return await connection.fetch(_ranked(_AMONG), *values, keys)
    return await connection.fetch(_ranked(_looked_at(compiled(where, values))), *values)


def _fitting(where: str) -> str:
    return f"SELECT record.key FROM codin_memory.record WHERE record.scope = $1 {where} LIMIT $2"


_AMONG = """
SELECT word.record, word.times, word.words FROM codin_memory.word
WHERE word.scope = $1 AND word.term = asked.term AND word.record = ANY($8::bigint[]) OFFSET 0"""


def _looked_at(where: str) -> str:
    wanted = f"JOIN codin_memory.record ON record.key = word.record {where}" if where else ""
    return f"""
SELECT word.record, word.times, word.words FROM codin_memory.word {wanted}
WHERE word.scope = $1 AND word.term = asked.term ORDER BY word.record DESC LIMIT asked.looked"""


def _ranked(words: str) -> str:
    """What gives the best of `words`, which gives the records to look at for each word that was asked for."""
    return f"""
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($2::text[], $3::float8[], $4::bigint[]) AS asked (term, rarity, looked)
), likely AS MATERIALIZED (
    SELECT word.record FROM asked CROSS JOIN LATERAL ({words}) AS word
    GROUP BY word.record ORDER BY sum(asked.rarity * {_SCORE}) DESC LIMIT $6
), best AS MATERIALIZED (
    SELECT likely.record, (
        SELECT sum(asked.rarity * {_SCORE}) FROM asked JOIN codin_memory.word
        ON word.scope = $1 AND word.term = asked.term AND word.record = likely.record
    ) AS score
    FROM likely ORDER BY score DESC LIMIT $7
)
SELECT record.scope, record.id, record.text, record.metadata, record.at, best.score
FROM best JOIN codin_memory.record ON record.key = best.record
ORDER BY best.score DESC, record.id"""
