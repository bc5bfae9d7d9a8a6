"""Bytes by keys in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from codin.memory._protocol import Scope
from codin.memory.backends._sqlite.history import made_scope

__all__ = ["blobs", "drop", "drop_scope", "keys", "put", "shelves", "trim"]

_OF_SCOPE = "(SELECT id FROM scopes WHERE tenant = ? AND agent = ? AND caller = ?)"
_SHELF = f"(SELECT id FROM shelves WHERE scope = {_OF_SCOPE} AND name = ?)"
_SHELVES: Final = 20
"""Old ones that one transaction takes; each of them goes as a whole."""


def put(
    connection: sqlite3.Connection, scope: Scope, shelf: str, new: Mapping[str, bytes], at: int, replace: bool
) -> None:
    """Put bytes on a shelf."""
    row = connection.execute(
        "INSERT INTO shelves (scope, name, at) VALUES (?, ?, ?)"
        " ON CONFLICT (scope, name) DO UPDATE SET at = max(at, excluded.at) RETURNING id",
        (made_scope(connection, scope), shelf, at),
    ).fetchone()
    clash = "UPDATE SET value = excluded.value" if replace else "NOTHING"
    connection.executemany(
        f"INSERT INTO blobs (shelf, key, value) VALUES (?, ?, ?) ON CONFLICT (shelf, key) DO {clash}",
        [(row[0], key, value) for key, value in new.items()],
    )


def blobs(connection: sqlite3.Connection, scope: Scope, shelf: str, wanted: Sequence[str]) -> dict[str, bytes]:
    """What is there of some keys."""
    sql = f"SELECT value FROM blobs WHERE shelf = {_SHELF} AND key = ?"
    rows = ((key, connection.execute(sql, (*scope, shelf, key)).fetchone()) for key in wanted)
    return {key: row[0] for key, row in rows if row is not None}


def keys(
    connection: sqlite3.Connection, scope: Scope, shelf: str, prefix: str, before: str | None, limit: int
) -> list[str]:
    """Keys, the last first. No text has the byte FF, so that all which begin with `prefix` come before it with that."""
    rows = connection.execute(
        f"SELECT key FROM blobs WHERE shelf = {_SHELF} AND key >= ? AND key < ? || CAST(x'FF' AS TEXT)"
        " AND (? IS NULL OR key < ?) ORDER BY key DESC LIMIT ?",
        (*scope, shelf, prefix, prefix, before, before, limit),
    )
    return [row[0] for row in rows]


def drop(connection: sqlite3.Connection, scope: Scope, shelf: str, gone: Sequence[str] | None) -> int:
    """Remove some keys, or all."""
    row = connection.execute(f"SELECT {_SHELF}", (*scope, shelf)).fetchone()
    if gone is None:
        return _clear(connection, [row])
    sql = "DELETE FROM blobs WHERE shelf = ? AND key = ?"
    number = sum(connection.execute(sql, (row[0], key)).rowcount for key in gone)
    connection.execute(
        "DELETE FROM shelves WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM blobs WHERE shelf = ?1)", (row[0],)
    )
    return number


def shelves(connection: sqlite3.Connection, scope: Scope, after: str, limit: int) -> list[str]:
    """Shelves by name."""
    sql = f"SELECT name FROM shelves WHERE scope = {_OF_SCOPE} AND name > ? ORDER BY name LIMIT ?"
    return [row[0] for row in connection.execute(sql, (*scope, after, limit))]


def drop_scope(connection: sqlite3.Connection, scope: int) -> int:
    """Remove all of a scope; how many there were."""
    return _clear(connection, connection.execute("SELECT id FROM shelves WHERE scope = ?", (scope,)).fetchall())


def trim(connection: sqlite3.Connection, before: int) -> tuple[int, bool]:
    """Remove some shelves that are old: how many blobs, and whether there are more."""
    old = connection.execute("SELECT id FROM shelves WHERE at < ? LIMIT ?", (before, _SHELVES)).fetchall()
    return _clear(connection, old), len(old) == _SHELVES


def _clear(connection: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> int:
    gone = 0
    for number in numbers:
        gone += connection.execute("DELETE FROM blobs WHERE shelf = ?", number).rowcount
        connection.execute("DELETE FROM shelves WHERE id = ?", number)
    return gone
