"""Erasure, retention and counts in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from codin.memory._protocol import Scope, Stats
from codin.memory.backends._sqlite import blobs
from codin.memory.backends._sqlite.history import span
from codin.memory.backends._sqlite.records import drop, mark_stale

__all__ = ["clean", "forget", "known", "merge", "stale", "stats", "trim"]

_BATCH: Final = 500
"""Records that one transaction takes; other writers go between two of them."""
_BLOBS: Final = "SELECT count(*) FROM shelves JOIN blobs ON shelf = shelves.id WHERE scope = ?"


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
            connection.execute("DELETE FROM trimmed WHERE context = ?", context)
        gone += connection.execute("DELETE FROM notes WHERE scope = ?", (scope,)).rowcount
        gone += blobs.drop_scope(connection, scope)
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
    utterances = _trim_utterances(connection, before)
    bytes_gone, more = blobs.trim(connection, before)
    notes = connection.execute(
        "DELETE FROM notes WHERE (scope, context, key) IN"
        " (SELECT scope, context, key FROM notes WHERE expires <= ? LIMIT ?)",
        (now, _BATCH),
    ).rowcount
    return len(ids) + utterances + bytes_gone + notes, more or _BATCH in (len(ids), utterances, notes)


def _trim_utterances(connection: sqlite3.Connection, before: int) -> int:
    """Erase some of them, and keep of each task how far it was erased."""
    old = connection.execute(
        "SELECT key, context, task_id, number FROM utterances WHERE at < ? LIMIT ?", (before, _BATCH)
    ).fetchall()
    connection.executemany(
        "INSERT INTO trimmed (context, task_id, number) VALUES (?, ?, ?)"
        " ON CONFLICT (context, task_id) DO UPDATE SET number = max(number, excluded.number)",
        [row[1:] for row in old if row[2]],
    )
    connection.executemany("DELETE FROM utterances WHERE key = ?", [row[:1] for row in old])
    return len(old)


def known(
    connection: sqlite3.Connection,
    tenant: str | None,
    agent: str | None,
    caller: str | None,
    after: Scope | None,
    limit: int,
) -> list[Scope]:
    """Whose things are kept, by name."""
    sql, bound = _of(tenant, agent, caller)
    if after is not None:
        sql, bound = f"{sql} AND (tenant, agent, caller) > (?, ?, ?)", [*bound, *after]
    order = "ORDER BY tenant, agent, caller LIMIT ?"
    rows = connection.execute(f"SELECT tenant, agent, caller FROM scopes WHERE {sql} {order}", (*bound, limit))
    return [Scope(*row) for row in rows]


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
        blobs=_count(connection, _BLOBS, scopes),
        spaces=spaces,
    )


def _count(connection: sqlite3.Connection, sql: str, scopes: Sequence[int]) -> int:
    return sum(connection.execute(sql, (scope,)).fetchone()[0] for scope in scopes)


def _scopes(connection: sqlite3.Connection, tenant: str, agent: str | None, caller: str | None) -> list[int]:
    sql, bound = _of(tenant, agent, caller)
    return [row[0] for row in connection.execute(f"SELECT id FROM scopes WHERE {sql}", bound)]


def _of(*names: str | None) -> tuple[str, Sequence[str]]:
    """The condition that a scope has these names, as far as they are given, and what is bound in it."""
    given = [(column, name) for column, name in zip(Scope._fields, names, strict=True) if name is not None]
    return " AND ".join(["true", *(f"{column} = ?" for column, _ in given)]), [name for _, name in given]
