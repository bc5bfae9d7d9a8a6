"""SQL on a PostgreSQL database, to read unless somebody says otherwise."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any

from codin.errors import ConfigError, ToolFailed, ToolRefused, ToolTimeout
from codin.task.stores._url import parts_of
from codin.tool._decorator import tool
from codin.tool.ready._sql import ALL, CELL, Rows, letters

__all__ = ["Postgres"]

_AS_IT_IS = {"bool", "int2", "int4", "int8", "float4", "float8"}
_GIVEN = _AS_IT_IS | {"text", "varchar", "bpchar", "name", "json", "jsonb", "unknown"}  # the driver takes them so
_UNREACHED = ("08", "53300", "57P")  # SQLSTATE
_LATE = 1.0  # seconds in which the server says itself that its time is over
# Roles for which a query is no bound: it reads and writes files of the server, and runs programs there.
_ALMIGHTY = "SELECT bool_or(pg_has_role(session_user, name, 'MEMBER')) FROM unnest($1::text[]) AS name"
_ROLES = ["pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"]
# What a statement stands in. A change is made as a whole, however few rows of what it gives back are asked for.
_QUERY = "SELECT {values} FROM ({statement}\n) AS asked({names}) LIMIT {most}"
_CHANGE = "WITH asked({names}) AS ({statement}\n) SELECT {values}, (SELECT count(*) FROM asked) FROM asked LIMIT {most}"
# A change whose WITH changes something, too, stands in nothing. It is known by why it is neither of the others.
_STEPS = "{statement}"
_NEITHER = ["42601", "0A000"]  # SQLSTATE: of the syntax, not supported
_REST = 2**31 - 1  # rows: the most that the server skips at once


class Postgres:
    """The tool `sql`: one statement on one PostgreSQL database, by a connection of its own.

    To read, a statement is a query: it runs in a transaction that can only read and is taken back, inside another query
    that bounds its rows and values. What the user of the URL may read, it reads; give it one that may no more than
    that. Superusers, and users who reach the server's files or programs, are refused.

    Args:
        url: postgresql://user:password@host/database, with the parameters that PostgreSQL knows.
        writable: lets statements change it, for whichever user; each of them is committed by itself.
        max_rows: of one answer.
        seconds: for one statement.

    Raises:
        ConfigError: it is no such URL, a number is none or not above 0, or the driver is missing.
    """

    def __init__(self, url: str, *, writable: bool = False, max_rows: int = 200, seconds: float = 10.0) -> None:
        if parts_of(url, "PostgreSQL database").scheme not in {"postgresql", "postgres"}:
            raise ConfigError("the URL of a PostgreSQL database begins with postgresql://")
        _check_above_zero("max_rows", max_rows, int)
        _check_above_zero("seconds", seconds, int, float)
        try:
            self._driver: Any = import_module("asyncpg")
        except ImportError as error:
            raise ConfigError("PostgreSQL needs asyncpg", hint="pip install 'codin[postgres]'") from error
        self._url = url
        self.writable: bool = writable
        self._rows = max_rows
        self._seconds = seconds

    @tool(tags=["sql", "database"])
    async def sql(self, statement: str, values: list[str | int | float | bool | None] | None = None) -> Rows:
        """Ask a PostgreSQL database. information_schema.columns says which tables there are, with their columns.

        Args:
            statement: one statement; values stand in it as $1, $2.
            values: for them, in their order. Dates and the like are texts.
        """
        if len(statement) > CELL:
            raise ToolRefused(f"the statement is longer than {CELL} letters", tool="sql")
        with self._told():
            async with asyncio.timeout(self._seconds + _LATE), self._connection() as connection:
                return await self._asked(connection, statement, values or [])

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any]:
        settings = {
            "application_name": "codin",
            "default_transaction_read_only": "off" if self.writable else "on",
            "statement_timeout": str(max(1, int(self._seconds * 1000))),
        }
        try:
            connection = await self._driver.connect(self._url, timeout=self._seconds, server_settings=settings)
        except TimeoutError:
            what = f"the database cannot be reached: it did not answer within {self._seconds:g} s"
            raise ToolFailed(what, tool="sql", retryable=True) from None
        except ValueError:  # its text may hold a piece of the URL
            raise ToolRefused("the URL of the database is none that PostgreSQL has", tool="sql") from None
        try:
            yield connection
        finally:
            connection.terminate()  # a statement that still runs is not waited for

    async def _asked(self, connection: Any, statement: str, values: Sequence[Any]) -> Rows:
        if not self.writable and await connection.fetchval(_ALMIGHTY, _ROLES):
            raise ToolRefused(
                "the user of the database reaches more than its tables, and is not used to read",
                tool="sql",
                hint="make a user for it, who may SELECT what may be read",
            )
        asked, form, columns = await self._prepared(connection, statement)
        transaction = connection.transaction(readonly=not self.writable)
        await transaction.start()
        changed = 0
        if form in (_QUERY, _CHANGE):
            rows, more = await self._fetched(asked, values, len(columns))
            if form is _CHANGE:
                changed = next((row[-1] for row in rows), 0)
                rows = [row[:-1] for row in rows]
        elif columns:  # SHOW, EXPLAIN, CALL, or a WITH that changes something
            rows, others = await self._fetched_alone(asked, values)
            more, changed = others > 0, len(rows) + others if form is _STEPS else 0
        else:
            await asked.fetchrow(*values)  # the whole of a change; of a query that has rows of nothing, one
            rows, more, changed = list[list[Any]](), False, _number(asked.get_statusmsg())
        await (transaction.commit() if self.writable else transaction.rollback())
        return Rows(columns, rows, more, changed)

    async def _fetched(self, asked: Any, values: Sequence[Any], columns: int) -> tuple[list[list[Any]], bool]:
        """The rows, and whether there are more: no more of them at a time than an answer may have."""
        rows, size = list[list[Any]](), 0
        async for row in asked.cursor(*values, prefetch=max(1, ALL // (columns * CELL))):
            if len(rows) == self._rows or size > ALL:
                return rows, True
            rows.append(_plain(row, _longest(columns)))
            size += letters(rows[-1])
        return rows, False

    async def _fetched_alone(self, asked: Any, values: Sequence[Any]) -> tuple[list[list[Any]], int]:
        """The rows of a statement that nothing bounds, and how many others there are: those stay with the server."""
        cursor = await asked.cursor(*values)
        rows, size = list[list[Any]](), 0
        while len(rows) < self._rows and size <= ALL and (row := await cursor.fetchrow()) is not None:
            rows.append(_plain(row, CELL))
            size += letters(rows[-1])
        return rows, await cursor.forward(_REST)

    async def _prepared(self, connection: Any, statement: str) -> tuple[Any, str | None, list[str]]:
        """The statement, and the form of the query that it stands in, which bounds what comes of it; None for none."""
        asked = await connection.prepare(statement)  # which takes one statement and no more
        attributes = asked.get_attributes()
        columns = [str(attribute.name) for attribute in attributes]
        if await _texts(connection, asked):
            asked = await connection.prepare(statement)
        refused: list[str] = []
        for form in (_QUERY, _CHANGE) if attributes else ():
            try:
                return await connection.prepare(_bounded(form, statement, attributes, self._rows)), form, columns
            except self._driver.PostgresError as error:
                if not self.writable:
                    raise
                refused.append(error.sqlstate)
        if not self.writable:
            raise ToolRefused("the statement is no query, and others are not run", tool="sql")
        return asked, _STEPS if refused == _NEITHER else None, columns

    @contextmanager
    def _told(self) -> Generator[None]:
        """What the driver raises, as errors of a tool; with nothing of the URL."""
        try:
            yield
        except (TimeoutError, self._driver.QueryCanceledError):
            raise ToolTimeout(f"the statement took longer than {self._seconds:g} s", tool="sql") from None
        except self._driver.PostgresError as error:
            what = str(error.args[0] if error.args else type(error).__name__)
            if (error.sqlstate or "").startswith(_UNREACHED):
                raise ToolFailed(f"the database cannot be reached: {what}", tool="sql", retryable=True) from None
            raise ToolRefused(f"the statement cannot be run: {what}", tool="sql") from None
        except (OSError, self._driver.InternalClientError) as error:
            what = f"the database cannot be reached: {type(error).__name__}"
            raise ToolFailed(what, tool="sql", retryable=True) from None
        except self._driver.InterfaceError as error:
            raise ToolRefused(f"the statement cannot be run: {error}", tool="sql") from None


def _check_above_zero(name: str, value: Any, *kinds: type) -> None:
    if not isinstance(value, kinds) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ConfigError(f"{name}={value!r} is no number above 0")


async def _texts(connection: Any, asked: Any) -> bool:
    """Let values of dates, numbers and the like be given as text. Whether there are any."""
    others = [kind for kind in asked.get_parameters() if kind.kind == "scalar" and kind.name not in _GIVEN]
    for kind in others:
        await connection.set_type_codec(kind.name, schema=kind.schema, encoder=str, decoder=str, format="text")
    return bool(others)


def _bounded(form: str, statement: str, attributes: Sequence[Any], rows: int) -> str:
    """A query about a statement: it has been looked at by the server, so no bracket or comment of it is open."""
    names = [f"c{number}" for number in range(len(attributes))]
    most = _longest(len(names)) + 1
    values = ", ".join(_value(name, each.type, most) for name, each in zip(names, attributes, strict=True))
    bare = statement.rstrip().rstrip(";")
    return form.format(values=values, statement=bare, names=", ".join(names), most=rows + 1)


def _longest(columns: int) -> int:
    """Letters of a value: a row has no more than an answer."""
    return min(CELL, ALL // columns)


def _value(name: str, kind: Any, most: int) -> str:
    if kind.name in _AS_IT_IS:
        return name
    if kind.name == "bytea":
        return f"'<' || length({name}) || ' bytes>'"
    return f"left({name}::text, {most})"


def _plain(row: Iterable[Any], most: int) -> list[Any]:
    return [_cell(value, most) for value in row]


def _cell(value: Any, most: int) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _number(status: str | None) -> int:
    """How many rows a statement has changed, of what the server says of it: `UPDATE 3`, `INSERT 0 1`."""
    verb, _, count = (status or "").rpartition(" ")
    return int(count) if count.isdigit() and verb.partition(" ")[0] in {"INSERT", "UPDATE", "DELETE", "MERGE"} else 0
