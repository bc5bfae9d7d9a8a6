"""SQL on a SQLite file, to read unless somebody says otherwise."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from codin.errors import ConfigError, ToolFailed, ToolRefused, ToolTimeout
from codin.tool._decorator import tool

__all__ = ["ALL", "CELL", "Rows", "Sql", "letters"]

_STEPS = 1000  # of the machine of SQLite between two looks at the clock
CELL = 64 * 1024  # bytes of a value, also of those in between
ALL = 16 * 1024 * 1024  # letters of an answer, and of what is held of it at once
_COLUMNS = ALL // CELL
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_NEVER = {
    *(sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA),
    *(sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT),  # which would end with their own statement
}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}


@dataclass
class Rows:
    """What a statement gave; `more` says that there were more rows, or longer ones, than may be given."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool
    changed: int


class Sql:
    """The tool `sql`: one statement on one SQLite database.

    The file is opened to be read only, and SQLite itself is asked about everything that a statement does: it reads, and
    attaches nothing, sets nothing, loads nothing.

    Args:
        file: the database; has to be there.
        writable: lets statements change it; each of them is committed by itself.
        max_rows: of one answer.
        seconds: for one statement.

    Raises:
        ConfigError: there is no such file.
    """

    def __init__(self, file: str | Path, *, writable: bool = False, max_rows: int = 200, seconds: float = 10.0) -> None:
        self._path = Path(file).resolve()
        if not self._path.is_file():
            raise ConfigError(f"there is no database {str(file)!r}")
        self.writable: bool = writable
        self._rows = max_rows
        self._seconds = seconds

    @tool(tags=["sql", "database"])
    def sql(self, statement: str, values: list[str | int | float | None] | None = None) -> Rows:
        """Ask a SQLite database. The table sqlite_schema says which tables there are.

        Args:
            statement: one statement; values stand in it as ?.
            values: for the ?, in their order.
        """
        ends = monotonic() + self._seconds
        mode = "rw" if self.writable else "ro"
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode={mode}",
                uri=True,
                timeout=self._seconds,
                isolation_level=None,  # each statement is a transaction
            )
        except sqlite3.Error as error:
            raise ToolRefused(f"the database cannot be opened: {error}", tool="sql") from None
        with closing(connection):
            try:
                self._bound(connection, ends)
                return self._asked(connection, statement, values or [])
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCKED:
                    what = f"the database is locked: somebody else is writing to it, for {self._seconds:g} s and more"
                    raise ToolFailed(what, tool="sql", retryable=True) from None
                if monotonic() >= ends:
                    raise ToolTimeout(f"the statement took longer than {self._seconds:g} s", tool="sql") from None
                raise ToolRefused(f"the statement cannot be run: {error}", tool="sql") from None
            except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
                raise ToolRefused(f"the statement cannot be run: {error}", tool="sql") from None

    def _bound(self, connection: sqlite3.Connection, ends: float) -> None:
        if not self.writable:
            connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")  # views and triggers of the file call nothing of effect
        connection.execute("SELECT 1 FROM sqlite_schema")  # reads what the tables are, which may be wider
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, _COLUMNS)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, CELL)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, CELL)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_authorizer(self._allowed)
        connection.set_progress_handler(lambda: int(monotonic() >= ends), _STEPS)

    def _allowed(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        named = second if action == sqlite3.SQLITE_FUNCTION else None
        if (named or "").lower() in _FORBIDDEN or action in _NEVER:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if self.writable or action in _READING else sqlite3.SQLITE_DENY

    def _asked(self, connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> Rows:
        cursor = connection.execute(statement, values)
        columns = [column[0] for column in cursor.description or ()]
        rows, size, more = list[list[Any]](), 0, False
        for row in cursor:
            more = len(rows) == self._rows or size > ALL
            if more:
                break
            rows.append([_plain(value) for value in row])
            size += letters(rows[-1])
        cursor.close()
        return Rows(columns, rows, more, max(cursor.rowcount, 0))


def _plain(value: Any) -> Any:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else value


def letters(row: Sequence[Any]) -> int:
    """The length of the texts in a row."""
    return sum(len(value) for value in row if isinstance(value, str))
