"""Conversations and notes in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import PydanticSerializationError, from_json, to_json

from codin.errors import NotKept
from codin.memory._protocol import Note, Scope, Summary, Utterance

__all__ = [
    "append",
    "drop_note",
    "made_scope",
    "note",
    "notes",
    "put_note",
    "scope_id",
    "span",
    "summarise",
    "summary",
    "to_text",
    "window",
]

_PLACES: Final = 2**32 - 1
_SCOPE = "SELECT id FROM scopes WHERE tenant = ? AND agent = ? AND caller = ?"
_SAY = (
    "INSERT INTO utterances (key, context, role, at, task_id, number, part, text, parts, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (context, task_id, number, part) WHERE task_id <> '' DO NOTHING"
)
_TRIMMED = "SELECT 1 FROM trimmed WHERE context = ? AND task_id = ? AND number >= ?"


def scope_id(connection: sqlite3.Connection, scope: Scope) -> int | None:
    """The number of a scope that has something."""
    row = connection.execute(_SCOPE, scope).fetchone()
    return row[0] if row else None


def made_scope(connection: sqlite3.Connection, scope: Scope) -> int:
    """The number of a scope that is about to have something."""
    known = scope_id(connection, scope)
    if known is not None:
        return known
    made = connection.execute("INSERT INTO scopes (tenant, agent, caller) VALUES (?, ?, ?)", scope).lastrowid
    assert made is not None
    return made


def span(context: int) -> tuple[int, int]:
    """The first and the last key that an utterance of a context can have."""
    return context << 32, context << 32 | _PLACES


def to_text(value: Any) -> str:
    """JSON. Raises NotKept."""
    try:
        return to_json(value).decode()
    except (PydanticSerializationError, ValueError) as error:
        raise NotKept(f"this is no JSON: {str(error)[:200]}") from error


# -- conversations -----------------------------------------------------------------------------------------------------


def append(connection: sqlite3.Connection, scope: Scope, context_id: str, said: Sequence[Utterance]) -> int:
    """What is new of `said`, at the end of the conversation; how many that are."""
    context, last = _context(connection, scope, context_id, make=True)
    new = 0
    for one in said:
        if one.task_id and connection.execute(_TRIMMED, (context, one.task_id, one.number)).fetchone():
            continue
        row = (
            (context << 32) + last + new + 1, context, one.role, one.at, one.task_id, one.number, one.index, one.text,
            to_text(list(one.parts)) if one.parts else None, to_text(dict(one.metadata)) if one.metadata else None,
        )  # fmt: skip
        new += connection.execute(_SAY, row).rowcount
    if new:
        connection.execute("UPDATE contexts SET last = ? WHERE id = ?", (last + new, context))
    return new


def window(
    connection: sqlite3.Connection, scope: Scope, context_id: str, limit: int, after: int, oldest: bool
) -> list[Utterance]:
    """The newest utterances, or the oldest, behind a place."""
    context, _ = _context(connection, scope, context_id)
    if not context:
        return []
    first, last = span(context)
    rows = connection.execute(
        "SELECT key, role, at, task_id, number, part, text, parts, metadata FROM utterances"
        f" WHERE key > ? AND key <= ? ORDER BY key {'' if oldest else 'DESC'} LIMIT ?",
        (first + min(max(after, 0), _PLACES), last, limit),
    ).fetchall()
    said = [_utterance(row, first) for row in rows]
    return said if oldest else said[::-1]


def _utterance(row: Sequence[Any], first: int) -> Utterance:
    key, role, at, task_id, number, part, text, parts, metadata = row
    return Utterance(
        role=role,
        text=text,
        parts=from_json(parts) if parts else (),
        metadata=from_json(metadata) if metadata else {},
        at=at,
        task_id=task_id,
        number=number,
        index=part,
        place=key - first,
    )


def summary(connection: sqlite3.Connection, scope: Scope, context_id: str) -> Summary | None:
    """The conversation's summary."""
    row = connection.execute(
        f"SELECT summary, covers FROM contexts WHERE scope = ({_SCOPE}) AND name = ? AND summary IS NOT NULL",
        (*scope, context_id),
    ).fetchone()
    return Summary(*row) if row else None


def summarise(connection: sqlite3.Connection, scope: Scope, context_id: str, new: Summary) -> None:
    """Replace the summary, unless it covers more."""
    context, _ = _context(connection, scope, context_id, make=True)
    connection.execute(
        "UPDATE contexts SET summary = ?, covers = ? WHERE id = ? AND (summary IS NULL OR covers <= ?)",
        (new.text, new.covers, context, new.covers),
    )


def _context(connection: sqlite3.Connection, scope: Scope, context_id: str, *, make: bool = False) -> tuple[int, int]:
    """The number of a conversation, and the place of its newest utterance; zeros when there is none."""
    row = connection.execute(
        f"SELECT id, last FROM contexts WHERE scope = ({_SCOPE}) AND name = ?", (*scope, context_id)
    ).fetchone()
    if row or not make:
        return row or (0, 0)
    values = (made_scope(connection, scope), context_id)
    made = connection.execute("INSERT INTO contexts (scope, name) VALUES (?, ?)", values).lastrowid
    assert made is not None
    return made, 0


# -- notes -------------------------------------------------------------------------------------------------------------

_NOTES = f"SELECT key, value, at, expires FROM notes WHERE scope = ({_SCOPE}) AND context = ?"


def note(connection: sqlite3.Connection, scope: Scope, context_id: str, key: str, now: int) -> Note | None:
    """The note of a key."""
    sql = f"{_NOTES} AND key = ? AND (expires IS NULL OR expires > ?)"
    row = connection.execute(sql, (*scope, context_id, key, now)).fetchone()
    return _note(row) if row else None


def notes(
    connection: sqlite3.Connection, scope: Scope, context_id: str, now: int, prefix: str, after: str, limit: int
) -> list[Note]:
    """Notes by key. No text has the byte FF, so that all which begin with `prefix` come before it with that."""
    sql = (
        f"{_NOTES} AND key >= ? AND key < ? || CAST(x'FF' AS TEXT) AND key > ?"
        " AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?"
    )
    rows = connection.execute(sql, (*scope, context_id, prefix, prefix, after, now, limit))
    return [_note(row) for row in rows]


def _note(row: Sequence[Any]) -> Note:
    key, value, at, expires = row
    return Note(key, from_json(value), at, expires)


def put_note(connection: sqlite3.Connection, scope: Scope, context_id: str, new: Note) -> None:
    """Set a note."""
    connection.execute(
        "INSERT OR REPLACE INTO notes (scope, context, key, value, at, expires) VALUES (?, ?, ?, ?, ?, ?)",
        (made_scope(connection, scope), context_id, new.key, to_text(new.value), new.at, new.expires),
    )


def drop_note(connection: sqlite3.Connection, scope: Scope, context_id: str, key: str) -> bool:
    """Remove a note."""
    sql = f"DELETE FROM notes WHERE scope = ({_SCOPE}) AND context = ? AND key = ?"
    return connection.execute(sql, (*scope, context_id, key)).rowcount > 0
