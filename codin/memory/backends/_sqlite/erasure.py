"""Erasure, retention and counts in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from codin.memory._protocol import Stats
from codin.memory.backends._sqlite.history import span
from codin.memory.backends._sqlite.records import drop, mark_stale

__all__ = ["clean", "forget", "merge", "stale", "stats", "trim"]

_BATCH: Final = 500
"""Records that one transaction takes; other writers go between two of them."""


def forget(connection: sqlite3.Connection, tenant: str, agent: str | None, caller: str | None) -> tuple[int, bool]:
    """Erase some of it: how many things, and whether there is more."""
    scopes = _scopes(connection, tenant, agent, caller)
    gone = 0
    if scopes:
        mark_stale(connection)
    for scope in scopes:
        sql = "SELECT id FROM records WHERE scope = ? LIMIT ?"
        ids = [row[0] for row in connection.execute(sql, (scope, _BATCH - gone))]
        drop(connection, ids)
        gone += len(ids)
        if gone == _BATCH:
            return gone, True
    for scope in scopes:
        for context in connection.execute("SELECT id FROM contexts WHERE scope = ?", (scope,)).fetchall():
            gone += connection.execute("DELETE FROM utterances WHERE key BETWEEN ? AND ?", span(context[0])).rowcount
        gone += connection.execute("DELETE FROM notes WHERE scope = ?", (scope,)).rowcount
        connection.execute("DELETE FROM contexts WHERE scope = ?", (scope,))
        connection.execute("DELETE FROM scopes WHERE id = ?", (scope,))
    return gone, False


def stale(connection: sqlite3.Connection) -> int:
    """A number that changes with what is deleted; 0 when nothing of it can be in the file."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'stale'").fetchone()
    return row[0] if row else 0


def clean(connection: sqlite3.Connection, number: int) -> None:
    """Nothing of what was deleted up to this number is in the file."""
    connection.execute("DELETE FROM meta WHERE name = 'stale' AND value = ?", (number,))


def merge(connection: sqlite3.Connection, pages: int) -> bool:
    """Do a piece of the work that makes the index of words one; whether there is more.

    A deleted record is only marked in the index, until the pieces that it consists of have been merged.

    Args:
        pages: how large the piece is; less than zero begins.
    """
    before = connection.total_changes
    connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
    # So FTS5 says that nothing is left: the call changed no more than itself.
    return connection.total_changes - before >= 2


def trim(connection: sqlite3.Connection, before: int, now: int) -> tuple[int, bool]:
    """Erase some of what is old: how many things, and whether there is more."""
    ids = [row[0] for row in connection.execute("SELECT id FROM records WHERE at < ? LIMIT ?", (before, _BATCH))]
    drop(connection, ids)
    utterances = connection.execute(
        "DELETE FROM utterances WHERE key IN (SELECT key FROM utterances WHERE at < ? LIMIT ?)", (before, _BATCH)
    ).rowcount
    notes = connection.execute(
        "DELETE FROM notes WHERE (scope, context, key) IN"
        " (SELECT scope, context, key FROM notes WHERE expires <= ? LIMIT ?)",
        (now, _BATCH),
    ).rowcount
    return len(ids) + utterances + notes, _BATCH in (len(ids), utterances, notes)


def stats(connection: sqlite3.Connection, tenant: str, agent: str | None, caller: str | None) -> Stats:
    """How much there is."""
    scopes = _scopes(connection, tenant, agent, caller)
    spaces: dict[str, int] = {}
    sql = "SELECT name, count(*) FROM codes JOIN spaces ON spaces.id = space WHERE scope = ? GROUP BY space"
    for scope in scopes:
        for name, count in connection.execute(sql, (scope,)):
            spaces[name] = spaces.get(name, 0) + count
    records = _count(connection, "SELECT count(*) FROM records WHERE scope = ?", scopes)
    if bare := records - sum(spaces.values()):
        spaces[""] = bare
    return Stats(
        contexts=_count(connection, "SELECT count(*) FROM contexts WHERE scope = ?", scopes),
        utterances=_count(
            connection,
            "SELECT count(*) FROM contexts AS c JOIN utterances AS u"
            " ON u.key BETWEEN c.id << 32 AND c.id << 32 | 4294967295 WHERE c.scope = ?",
            scopes,
        ),
        notes=_count(connection, "SELECT count(*) FROM notes WHERE scope = ?", scopes),
        records=records,
        spaces=spaces,
    )


def _count(connection: sqlite3.Connection, sql: str, scopes: Sequence[int]) -> int:
    return sum(connection.execute(sql, (scope,)).fetchone()[0] for scope in scopes)


def _scopes(connection: sqlite3.Connection, tenant: str, agent: str | None, caller: str | None) -> list[int]:
    rows = connection.execute(
        "SELECT id FROM scopes WHERE tenant = ?1 AND (?2 IS NULL OR agent = ?2) AND (?3 IS NULL OR caller = ?3)",
        (tenant, agent, caller),
    )
    return [row[0] for row in rows]
