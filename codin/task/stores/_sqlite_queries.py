"""What is asked of a SQLite store. Reads run in a thread and see one state of the file; changes run in the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from codin import a2a
from codin.task._entry import Entry, decode_entry
from codin.task._fold import Fold
from codin.task._protocol import Claim, Commit, Lease, ListQuery, Owner, Page, Stored
from codin.task.stores._sqlite_append import place

__all__ = [
    "advance",
    "claim",
    "cursor",
    "cursors",
    "drop_chunks",
    "drop_tasks",
    "ended",
    "feed",
    "forget",
    "load",
    "page",
    "read",
    "unfinished",
]

_OWNED: Final = "tenant = ? AND agent = ? AND caller = ?"
_ENDED: Final = "('TASK_STATE_COMPLETED', 'TASK_STATE_FAILED', 'TASK_STATE_CANCELED', 'TASK_STATE_REJECTED')"
_NUMBER: Final = place(1, 0) - 1


def load(connection: sqlite3.Connection, owner: Owner, task_id: str) -> Stored | None:
    row = connection.execute(
        "SELECT id, context_id, state, tasks.changed, trimmed, folds.last, folds.changed, body"
        f" FROM tasks LEFT JOIN folds ON task = id WHERE task_id = ? AND {_OWNED}",
        (task_id, *owner),
    ).fetchone()
    if row is None:
        return None
    task, context_id, state, changed, trimmed, last, fold_changed, body = row
    fold = Fold(task_id, context_id) if body is None else Fold.restore(last, fold_changed, body)
    tail = _entries(connection, task, fold.last)
    return Stored(owner, task_id, context_id, fold, tail, a2a.TaskState(state), changed, trimmed)


def read(connection: sqlite3.Connection, owner: Owner, task_id: str, after: int) -> Sequence[Entry]:
    row = connection.execute(f"SELECT id FROM tasks WHERE task_id = ? AND {_OWNED}", (task_id, *owner)).fetchone()
    return _entries(connection, row[0], after) if row else []


def _entries(connection: sqlite3.Connection, task: int, after: int, last: int = _NUMBER) -> list[Entry]:
    rows = connection.execute(
        "SELECT place, kind, at, body FROM entries WHERE place > ? AND place <= ? ORDER BY place",
        (place(task, min(after, _NUMBER)), place(task, last)),
    )
    return [decode_entry(where & _NUMBER, kind, at, body) for where, kind, at, body in rows]


def page(connection: sqlite3.Connection, owner: Owner, query: ListQuery) -> Page:
    where = f"FROM tasks WHERE {_OWNED}"
    values: list[Any] = [*owner]
    for condition, value in (
        ("context_id = ?", query.context_id),
        ("state = ?", query.state and query.state.value),
        ("changed > ?", query.changed_after),
    ):
        if value is not None:
            where += f" AND {condition}"
            values.append(value)
    total: int = connection.execute(f"SELECT count(*) {where}", values).fetchone()[0]
    if query.before is not None:
        where += " AND (changed, task_id) < (?, ?)"
        values += query.before
    tasks = connection.execute(
        f"SELECT changed, task_id {where} ORDER BY changed DESC, task_id DESC LIMIT ?", (*values, query.page_size + 1)
    ).fetchall()
    return Page(tasks[: query.page_size], total, len(tasks) > query.page_size)


def claim(connection: sqlite3.Connection, owner: Owner, key: str) -> Claim | None:
    row = connection.execute(
        f"SELECT key, digest, task_id, number FROM claims WHERE {_OWNED} AND key = ?", (*owner, key)
    ).fetchone()
    return Claim(*row) if row else None


def unfinished(connection: sqlite3.Connection, agent: str) -> Sequence[tuple[Owner, str, a2a.TaskState]]:
    rows = connection.execute(
        "SELECT tenant, agent, caller, task_id, state FROM tasks"
        f" WHERE agent = ? AND state NOT IN {_ENDED} ORDER BY id",
        (agent,),
    )
    return [(Owner(*owner), task_id, a2a.TaskState(state)) for *owner, task_id, state in rows]


def feed(connection: sqlite3.Connection, after: int, limit: int) -> Sequence[Commit]:
    rows = connection.execute(
        "SELECT commits.position, task, first, commits.last, commits.state, commits.changed, tasks.task_id, context_id,"
        " tasks.tenant, tasks.agent, tasks.caller, key, digest, claims.task_id, number"
        " FROM commits JOIN tasks ON tasks.id = task LEFT JOIN claims ON claims.position = commits.position"
        " WHERE commits.position > ? ORDER BY commits.position LIMIT ?",
        (after, limit),
    ).fetchall()
    return [_commit(connection, row) for row in rows]


def _commit(connection: sqlite3.Connection, row: Sequence[Any]) -> Commit:
    position, task, first, last, state, changed, task_id, context_id, tenant, agent, caller, *taken = row
    return Commit(
        Owner(tenant, agent, caller),
        task_id,
        context_id,
        first - 1,
        _entries(connection, task, first - 1, last),
        Lease(context_id, "", 0),
        a2a.TaskState(state),
        changed,
        claim=Claim(*taken) if taken[0] is not None else None,
        position=position,
    )


def cursor(connection: sqlite3.Connection, consumer: str) -> int:
    row = connection.execute("SELECT position FROM cursors WHERE consumer = ?", (consumer,)).fetchone()
    return row[0] if row else 0


def advance(connection: sqlite3.Connection, consumer: str, position: int) -> None:
    connection.execute(
        "INSERT INTO cursors VALUES (?, ?)"
        " ON CONFLICT (consumer) DO UPDATE SET position = max(position, excluded.position)",
        (consumer, position),
    )


def cursors(connection: sqlite3.Connection, prefix: str) -> Sequence[tuple[str, int]]:
    rows = connection.execute(
        "SELECT consumer, position FROM cursors WHERE consumer >= ? AND substr(consumer, 1, ?) = ? ORDER BY consumer",
        (prefix, len(prefix), prefix),
    )
    return rows.fetchall()


def forget(connection: sqlite3.Connection, consumer: str) -> None:
    connection.execute("DELETE FROM cursors WHERE consumer = ?", (consumer,))


def ended(connection: sqlite3.Connection, chunks_before: int, tasks_before: int) -> tuple[list[int], list[int]]:
    """The tasks that retention takes, and those of which it takes the chunks."""
    rows = connection.execute(
        f"SELECT id, changed < ? FROM tasks WHERE state IN {_ENDED}"
        " AND (changed < ? OR (changed < ? AND trimmed < last))",
        (tasks_before, tasks_before, chunks_before),
    ).fetchall()
    return [task for task, whole in rows if whole], [task for task, whole in rows if not whole]


def drop_tasks(connection: sqlite3.Connection, tasks: Sequence[int]) -> None:
    # The newest commit may be among what goes, and no position is given twice.
    connection.execute("INSERT OR REPLACE INTO meta SELECT 'position', max(position) FROM commits HAVING count(*) > 0")
    for task in tasks:
        span = (place(task, 0), place(task, _NUMBER))
        for table in ("claims", "commits"):
            connection.execute(
                f"DELETE FROM {table} WHERE position IN (SELECT position FROM entries WHERE place BETWEEN ? AND ?)",
                span,
            )
        connection.execute("DELETE FROM entries WHERE place BETWEEN ? AND ?", span)
        connection.execute("DELETE FROM folds WHERE task = ?", (task,))
        connection.execute("DELETE FROM tasks WHERE id = ?", (task,))


def drop_chunks(connection: sqlite3.Connection, tasks: Sequence[int]) -> None:
    for task in tasks:
        span = (place(task, 0), place(task, _NUMBER))
        chunks = "FROM entries WHERE place BETWEEN ? AND ? AND kind = 'artifact'"
        positions = connection.execute(f"SELECT DISTINCT position {chunks}", span).fetchall()
        connection.execute(f"DELETE {chunks}", span)
        connection.executemany(
            "DELETE FROM commits WHERE position = ? AND NOT EXISTS"
            " (SELECT 1 FROM entries WHERE place BETWEEN task << 32 | first AND task << 32 | commits.last)",
            positions,
        )
        connection.execute("UPDATE tasks SET trimmed = last WHERE id = ?", (task,))
