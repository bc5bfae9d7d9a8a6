"""Groups of commits into SQLite: one transaction and a handful of statements for all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from codin.errors import Conflict, StoreError
from codin.task._protocol import Commit

__all__ = ["Appender", "place", "store_error"]

A = TypeVar("A")
T = TypeVar("T")

_ROWS: Final = 32  # of one INSERT: each count is a prepared statement of its own
_KNOWN: Final = 10_000


def place(task: int, number: int) -> int:
    """Where an entry is in the log's tree."""
    return task << 32 | number


class _Table(NamedTuple):
    """An INSERT, and how wide its rows are."""

    width: int
    insert: str


_TASKS = _Table(9, "INSERT INTO tasks (id, task_id, tenant, agent, caller, context_id, state, changed, last)")
_ENTRIES = _Table(5, "INSERT INTO entries (place, position, kind, at, body)")
_COMMITS = _Table(6, "INSERT INTO commits (position, task, first, last, state, changed)")
_CLAIMS = _Table(8, "INSERT INTO claims (position, tenant, agent, caller, key, digest, task_id, number)")
_FOLDS = _Table(4, "INSERT OR REPLACE INTO folds (task, last, changed, body)")
_MOVE = (
    "UPDATE tasks SET state = ?, changed = ?, last = ?"
    " WHERE id = ? AND last = ? AND tenant = ? AND agent = ? AND caller = ?"
)


class _Refused(Exception):
    """A commit of the group does not fit; which one, and why, is found out behind the rollback."""


class _Rows:
    """What a group of commits adds, flat, table by table: the values of many rows bind in one statement."""

    __slots__ = ("claims", "commits", "entries", "folds", "moves", "tasks")

    def __init__(self) -> None:
        self.tasks: list[Any] = []
        self.moves: list[tuple[Any, ...]] = []
        self.entries: list[Any] = []
        self.commits: list[Any] = []
        self.claims: list[Any] = []
        self.folds: list[Any] = []

    def add(self, commit: Commit, task: int, position: int) -> None:
        owner, expected = commit.owner, commit.expected
        state, changed = commit.state.value, commit.changed
        last = commit.entries[-1].number
        if expected:
            self.moves.append((state, changed, last, task, expected, *owner))
        else:
            self.tasks += (task, commit.task_id, *owner, commit.context_id, state, changed, last)
        entries = self.entries
        for entry in commit.entries:
            entries += (place(task, entry.number), position, entry.kind, entry.at, entry.body)
        self.commits += (position, task, expected + 1, last, state, changed)
        if commit.claim is not None:
            key, digest, task_id, number = commit.claim
            self.claims += (position, *owner, key, digest, task_id, number)
        if commit.fold is not None:
            fold = commit.fold
            self.folds += (task, fold.last, fold.changed, fold.to_json())


class Appender:
    """The one writer of a file: every commit of its life goes through it, on one thread.

    Attributes:
        position: of the newest commit.
    """

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._path = path
        self._ids: dict[str, int] = {}  # of tasks that have not ended
        self.position = self._first(
            "SELECT max(ifnull((SELECT max(position) FROM commits), 0),"
            " ifnull((SELECT value FROM meta WHERE name = 'position'), 0))"
        )[0]
        self._task: int = self._first("SELECT ifnull(max(id), 0) FROM tasks")[0]

    def append(self, group: Sequence[Commit]) -> list[int | StoreError]:
        """Append each commit or none of it: its position, or why not. One that fails does the others no harm."""
        try:
            self.transaction(self._write, group)
        except Exception as error:
            self._ids.clear()
            if len(group) > 1:  # whoever is to blame stands out one by one
                return [result for commit in group for result in self.append((commit,))]
            return [self._reason(group[0], error)]
        for commit in group:
            self.position += 1
            commit.position = self.position
        return [commit.position for commit in group]

    def transaction(self, work: Callable[[A], T], argument: A) -> T:
        """Do `work` as a whole or not at all."""
        self._cursor.execute("BEGIN IMMEDIATE")
        try:
            result = work(argument)
            self._cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
            raise
        return result

    def _write(self, group: Sequence[Commit]) -> None:
        rows = _Rows()
        for position, commit in enumerate(group, self.position + 1):
            rows.add(commit, self._id(commit), position)
        cursor = self._cursor
        self._insert(_TASKS, rows.tasks)
        if rows.moves:
            cursor.executemany(_MOVE, rows.moves)
            if cursor.rowcount != len(rows.moves):
                raise _Refused
        self._insert(_ENTRIES, rows.entries)
        self._insert(_COMMITS, rows.commits)
        self._insert(_CLAIMS, rows.claims)
        self._insert(_FOLDS, rows.folds)

    def _id(self, commit: Commit) -> int:
        task_id = commit.task_id
        task = self._ids.get(task_id)
        if not commit.expected:
            self._task += 1
            task = self._task
        elif task is None:
            row = self._first("SELECT id FROM tasks WHERE task_id = ?", task_id)
            if row is None:
                raise _Refused
            task = row[0]
        if commit.state.terminal:
            self._ids.pop(task_id, None)
        else:
            if len(self._ids) >= _KNOWN:
                self._ids.clear()
            self._ids[task_id] = task
        return task

    def _insert(self, table: _Table, values: list[Any]) -> None:
        size = table.width * _ROWS
        for start in range(0, len(values), size):
            part = values[start : start + size]
            self._cursor.execute(_statement(table, len(part) // table.width), part)

    def _first(self, sql: str, *values: Any) -> Any:
        rows = self._cursor.execute(sql, values).fetchall()  # to the end, or a read would stay open
        return rows[0] if rows else None

    def _reason(self, commit: Commit, error: Exception) -> StoreError:
        """Why a commit was not taken. Nothing of it is stored."""
        if isinstance(error, (_Refused, sqlite3.IntegrityError)):
            return self._conflict(commit) or store_error(self._path, error)
        return store_error(self._path, error)

    def _conflict(self, commit: Commit) -> Conflict | None:
        try:
            row = self._first("SELECT last, tenant, agent, caller FROM tasks WHERE task_id = ?", commit.task_id)
        except sqlite3.Error:
            return None
        last = row[0] if row else 0
        if last != commit.expected or (row and row[1:] != commit.owner):
            return Conflict(f"task {commit.task_id!r} is at entry {last}, the writer expected {commit.expected}")
        if commit.claim is not None:
            return Conflict(f"idempotency key {commit.claim.key!r} is taken")
        return None


@lru_cache(maxsize=512)
def _statement(table: _Table, rows: int) -> str:
    row = f"({', '.join('?' * table.width)})"
    return f"{table.insert} VALUES {', '.join([row] * rows)}"


def store_error(path: str, error: Exception) -> StoreError:
    """What a failure of SQLite means to whoever uses the store."""
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    hint = "make room on the disk; nothing is stored half" if full else None
    failure = StoreError(f"the store {path!r} failed: {error}", hint=hint)
    failure.__cause__ = error
    return failure
