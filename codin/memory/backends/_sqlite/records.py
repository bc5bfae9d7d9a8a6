"""Records in SQLite, and the index of their words."""

from __future__ import annotations

import math
import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Sequence
from sys import byteorder
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from codin.errors import NotKept
from codin.memory._filter import Condition
from codin.memory._protocol import Found, Indexed, Record, Scope, Vector
from codin.memory.backends._sqlite.filters import condition_sql
from codin.memory.backends._sqlite.history import made_scope, scope_id, to_text

__all__ = ["Prepared", "add", "delete", "drop", "found", "mark_stale", "matching", "prepared", "records", "scopes_of"]

_RANKED: Final = 5000
"""Records that one ranking looks at. Each costs some 1.5 µs, and half of all records may have a word."""
_TOGETHER: Final = 64
"""Words of one ranking."""
_FIELDS: Final = "SELECT * FROM fields_of_records WHERE record"
_NO_FIELD: Final = (
    "DELETE FROM fields WHERE scope = ? AND key = ? AND kind = ? AND value = ? AND member = ? AND record = ?"
)


class Prepared(NamedTuple):
    """A record, all of it but the numbers that the file gives."""

    name: str
    at: int
    metadata: str
    text: str
    terms: Sequence[str]
    packed: bytes
    space: str
    dimensions: int
    vector: bytes
    code: bytes


def prepared(one: Indexed, code: bytes) -> Prepared:
    """Raises NotKept."""
    record, terms, space, vector = one
    if any(isinstance(value, float) and not math.isfinite(value) for value in record.metadata.values()):
        raise NotKept(f"the metadata of {record.id!r} has a number without end, which JSON does not have")
    packed = zlib.compress(" ".join(terms).encode(), 1)
    dimensions = 0 if vector is None else len(vector)
    plain = b"" if vector is None else floats(vector)
    return Prepared(
        record.id, record.at, to_text(dict(record.metadata)), record.text, terms, packed, space, dimensions, plain, code
    )


def floats(vector: Vector) -> bytes:
    """A vector as the file has it."""
    numbers = array("f", vector)
    if byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


# -- writing -----------------------------------------------------------------------------------------------------------


def add(connection: sqlite3.Connection, scope: Scope, new: Sequence[Prepared]) -> None:
    """Add records; those with a known name, or a name twice, take the place of the earlier one."""
    if not new:
        return
    number = made_scope(connection, scope)
    latest = {one.name: one for one in new}
    drop(connection, _ids(connection, number, latest))
    kinds = {(one.space, one.dimensions) for one in latest.values() if one.dimensions}
    spaces = {name: _space(connection, name, dimensions) for name, dimensions in kinds}
    first = connection.execute("SELECT ifnull(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'records'").fetchone()
    numbered = list(enumerate(latest.values(), first[0]))
    connection.executemany(
        "INSERT INTO records (id, scope, name, space, at, metadata, text, terms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (id, number, one.name, spaces[one.space] if one.dimensions else None, one.at, *one[2:4], one.packed)
            for id, one in numbered
        ),
    )
    span = (numbered[0][0], numbered[-1][0])
    connection.execute(f"INSERT OR IGNORE INTO fields {_FIELDS} BETWEEN ? AND ?", span)
    connection.executemany(
        "INSERT INTO words (rowid, terms) VALUES (?, ?)",
        ((id, _of_scope(number, one.terms)) for id, one in numbered if one.terms),
    )
    vectors = [(id, one) for id, one in numbered if one.dimensions]
    connection.executemany(
        "INSERT INTO vectors (record, vector) VALUES (?, ?)", ((id, one.vector) for id, one in vectors)
    )
    connection.executemany(
        "INSERT INTO codes (scope, space, record, code) VALUES (?, ?, ?, ?)",
        ((number, spaces[one.space], id, one.code) for id, one in vectors),
    )


def _of_scope(scope: int, terms: Iterable[str]) -> str:
    """Words as the index has them. Those of one scope stand together in it, and no search meets another's."""
    return " ".join(f"{scope}x{term}" for term in terms)


def _space(connection: sqlite3.Connection, name: str, dimensions: int) -> int:
    values = (name, dimensions)
    connection.execute("INSERT INTO spaces (name, dimensions) VALUES (?, ?) ON CONFLICT DO NOTHING", values)
    id, known = connection.execute("SELECT id, dimensions FROM spaces WHERE name = ?", (name,)).fetchone()
    if known != dimensions:
        raise NotKept(f"a vector of {name!r} has {known} numbers, and one of these has {dimensions}")
    return id


def _ids(connection: sqlite3.Connection, scope: int, names: Iterable[str]) -> list[int]:
    sql = "SELECT id FROM records WHERE scope = ? AND name = ?"
    rows = (connection.execute(sql, (scope, name)).fetchone() for name in names)
    return [row[0] for row in rows if row is not None]


def delete(connection: sqlite3.Connection, scope: Scope, names: Sequence[str]) -> int:
    """Remove records by name; how many there were."""
    number = scope_id(connection, scope)
    if number is None:
        return 0
    ids = _ids(connection, number, dict.fromkeys(names))
    drop(connection, ids)
    return len(ids)


def drop(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Remove records, from every index too."""
    for id in ids:
        scope, space, packed = connection.execute(
            "SELECT scope, space, terms FROM records WHERE id = ?", (id,)
        ).fetchone()
        if terms := _of_scope(scope, zlib.decompress(packed).decode().split()):
            connection.execute("INSERT INTO words (words, rowid, terms) VALUES ('delete', ?, ?)", (id, terms))
        connection.executemany(_NO_FIELD, connection.execute(f"{_FIELDS} = ?", (id,)).fetchall())
        if space is not None:
            connection.execute("DELETE FROM vectors WHERE record = ?", (id,))
            connection.execute("DELETE FROM codes WHERE scope = ? AND space = ? AND record = ?", (scope, space, id))
        connection.execute("DELETE FROM records WHERE id = ?", (id,))
    if ids:
        mark_stale(connection)


def mark_stale(connection: sqlite3.Connection) -> None:
    """From now on, what was deleted may be in the file still."""
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('stale', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"
    )


# -- reading -----------------------------------------------------------------------------------------------------------


def records(
    connection: sqlite3.Connection, scope: Scope, where: Sequence[Condition], after: str, limit: int
) -> list[Record]:
    """Records by name."""
    number = scope_id(connection, scope)
    sql, bound = condition_sql(where)
    rows = connection.execute(
        "SELECT r.name, r.text, r.metadata, r.at FROM records AS r"
        f" WHERE r.scope = ? AND r.name > ?{sql} ORDER BY r.name LIMIT ?",
        (number, after, *bound, limit),
    )
    return [_record(row) for row in rows]


def _record(row: Sequence[Any]) -> Record:
    name, text, metadata, at = row
    return Record(name, text, from_json(metadata), at)


def scopes_of(connection: sqlite3.Connection, scopes: Sequence[Scope]) -> dict[int, Scope]:
    """Those of the scopes that have something, by their numbers."""
    numbered = ((scope_id(connection, scope), scope) for scope in scopes)
    return {number: scope for number, scope in numbered if number is not None}


def found(
    connection: sqlite3.Connection, scopes: dict[int, Scope], ranking: Sequence[tuple[int, float]]
) -> list[Found]:
    """Records by their numbers, in this order."""
    sql = "SELECT scope, name, text, metadata, at FROM records WHERE id = ?"
    rows = ((connection.execute(sql, (id,)).fetchone(), score) for id, score in ranking)
    return [Found(scopes[row[0]], _record(row[1:]), score) for row, score in rows if row is not None]


def matching(
    connection: sqlite3.Connection,
    scopes: Sequence[Scope],
    terms: Sequence[str],
    where: Sequence[Condition],
    limit: int,
) -> list[Found]:
    """What fits some words best.

    Words that very many records have are left out where rarer ones are there; what is missing up to `limit` then comes
    from the newest of those many. In a scope of some thousand records nothing is left out.
    """
    numbered = scopes_of(connection, scopes)
    each = (" OR ".join(f'"{_of_scope(number, [term])}"' for number in numbered) for term in dict.fromkeys(terms))
    ranking: dict[int, float] = {}
    for expression in _attempts(connection, [one for one in each if one]):
        if len(ranking) >= limit:
            break
        worst = min(ranking.values(), default=math.inf)
        for id, score in _ranked(connection, expression, where, limit):
            ranking.setdefault(id, min(score, worst))
    return found(connection, numbered, list(ranking.items())[:limit])


def _attempts(connection: sqlite3.Connection, words: Sequence[str]) -> list[str]:
    """What is asked for, one after the other, until there is enough."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
    counted = ((connection.execute(sql, (word, _RANKED + 1)).fetchone()[0], word) for word in words)
    held = sorted((holders, word) for holders, word in counted if holders)
    rare: list[str] = []
    total = 0
    for holders, word in held[:_TOGETHER]:
        total += holders
        if total > _RANKED:
            break
        rare.append(word)
    rest = [word for _, word in held[len(rare) :]]
    attempts = [" OR ".join(rare)] if rare else [" AND ".join(f"({word})" for word in rest[:_TOGETHER])] if rest else []
    return [*attempts, " OR ".join(rest)] if rest else attempts


def _ranked(
    connection: sqlite3.Connection, expression: str, where: Sequence[Condition], limit: int
) -> list[tuple[int, float]]:
    """The best among the newest that fit, with scores that are larger for what fits better."""
    conditions, bound = condition_sql(where)
    join = " CROSS JOIN records AS r ON r.id = words.rowid" if where else ""
    sql = (
        "SELECT id, -score FROM (SELECT words.rowid AS id, bm25(words) AS score"
        f" FROM words{join} WHERE words MATCH ?{conditions} ORDER BY words.rowid DESC LIMIT ?)"
        " ORDER BY score LIMIT ?"
    )
    return connection.execute(sql, (expression, *bound, _RANKED, limit)).fetchall()
