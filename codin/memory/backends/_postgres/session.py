"""PostgreSQL as the memory meets it: connections, what goes wrong with them, and migrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from importlib import import_module
from types import CoroutineType
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from codin.errors import ConfigError, MemoryFailed, MemoryUnavailable, NotKept
from codin.memory.backends._not_open import not_open
from codin.task.stores._scripts import scripts_of
from codin.task.stores._url import parts_of

__all__ = ["Connection", "Sessions", "again"]

P = ParamSpec("P")
T = TypeVar("T")

_CONNECTIONS = 10
_LOCK = 0x636F64696E  # «codin», among the advisory locks of everybody
_AWAY = ("53300", "55P03", "57014", "57P01", "57P02", "57P03")
"""Too many connections; too long for a lock or a statement; shut down; starting."""
_TAKEN_BACK = ("40001", "40P01")
"""So that others can go on."""
_TIMES: Final = 4
_NO_VECTORS = (
    "install pgvector on the server (https://github.com/pgvector/pgvector), then have somebody who may "
    "run CREATE EXTENSION vector in this database"
)


class Connection(Protocol):
    """What the memory uses of a connection of asyncpg, which has no types of its own."""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str: ...

    async def executemany(self, command: str, args: Sequence[Sequence[object]]) -> None: ...

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, Any]]: ...

    async def fetchrow(self, query: str, *args: object) -> Mapping[str, Any] | None: ...

    async def fetchval(self, query: str, *args: object) -> Any: ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Sequence[Sequence[object]], columns: Sequence[str], schema_name: str
    ) -> str: ...


class Sessions:
    """Connections to one database, each call in one of its own.

    Args:
        patience: seconds that a connection, and each statement, may take.
    """

    def __init__(self, url: str, patience: float) -> None:
        try:
            self._driver: Any = import_module("asyncpg")
        except ImportError as error:
            raise ConfigError("PostgreSQL needs asyncpg", hint="pip install 'codin[postgres]'") from error
        parts_of(url, "memory")
        self._url = url
        self._patience = patience
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        async with self._opening:
            if self._pool is not None:
                return
            with self._told():
                pool = self._driver.create_pool(
                    self._url,
                    min_size=1,
                    max_size=_CONNECTIONS,
                    timeout=self._patience,
                    command_timeout=self._patience,
                    init=_set,
                    reset=_left,
                )
                try:
                    try:
                        async with asyncio.timeout(self._patience * 2):
                            await pool
                    except ValueError:  # its text may hold a piece of the URL
                        raise ConfigError("the URL of the memory is none that PostgreSQL has") from None
                    async with pool.acquire(timeout=self._patience) as connection:
                        await _migrate(connection, self._driver)
                except BaseException:
                    pool.terminate()
                    raise
            self._pool = pool

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(self._patience):
                await pool.close()
        except (TimeoutError, OSError, self._driver.PostgresError, self._driver.InterfaceError):
            pool.terminate()

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Connection]:
        """A connection, in which each statement is for itself."""
        if self._pool is None:
            raise not_open()
        with self._told():
            async with self._pool.acquire(timeout=self._patience) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """A connection in a transaction: all that is done in it, or nothing."""
        async with self.session() as connection:
            whole: Any = connection
            async with whole.transaction():
                yield connection

    @contextmanager
    def _told(self) -> Generator[None]:
        """What the driver raises, in our words; with nothing of the URL."""
        try:
            yield
        except (TimeoutError, OSError, self._driver.InternalClientError) as error:
            raise MemoryUnavailable(f"PostgreSQL did not answer: {type(error).__name__}") from error
        except self._driver.exceptions.DataError as error:
            raise NotKept(f"PostgreSQL takes no such value: {error}") from error
        except self._driver.InterfaceError as error:
            if isinstance(error, ValueError):
                raise NotKept(f"PostgreSQL takes no such value: {error}") from error
            raise MemoryUnavailable(f"the connection to PostgreSQL is gone: {error}") from error
        except self._driver.PostgresError as error:
            raise _said(error) from error


def again(write: Callable[P, Awaitable[T]]) -> Callable[P, CoroutineType[Any, Any, T]]:
    """Do what is all or nothing once more, when the server took it back because two writers waited for each other."""

    @wraps(write)
    async def written(*arguments: P.args, **named: P.kwargs) -> T:
        for _ in range(_TIMES):
            try:
                return await write(*arguments, **named)
            except MemoryFailed as error:
                if getattr(error.__cause__, "sqlstate", None) not in _TAKEN_BACK:
                    raise
        return await write(*arguments, **named)

    return written


def _said(error: Any) -> MemoryFailed:
    state: str = error.sqlstate or ""
    what = f"PostgreSQL refused: {error.args[0] if error.args else type(error).__name__} ({state})"
    if state.startswith("08") or state in _AWAY:
        return MemoryUnavailable(what)
    if state.startswith("28") or state == "3D000":
        return MemoryUnavailable(what, hint="look at the user, the password and the database of the memory's URL")
    if state.startswith("54"):
        return NotKept(what, hint="a name, a key or an id is too long for an index")
    if state.startswith("53"):
        return MemoryFailed(what, hint="the server is out of disk or memory")
    return MemoryFailed(what)


async def _set(connection: Connection) -> None:
    # A filter may refuse what the index gives first: then it goes on looking.
    await connection.execute("SET hnsw.iterative_scan = 'strict_order'")


async def _left(connection: Connection) -> None:
    """No call leaves anything in its session, so that there is nothing to ask the server to undo."""


async def _migrate(connection: Any, driver: Any) -> None:
    """Apply what is missing, all or nothing, while others who open wait."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        known = scripts_of("codin.memory.backends._postgres")
        version = 0
        if await connection.fetchval("SELECT to_regclass('codin_memory.migration') IS NOT NULL"):
            version = await connection.fetchval("SELECT coalesce(max(number), 0) FROM codin_memory.migration")
        if version > len(known):
            raise MemoryFailed(
                f"the schema codin_memory has version {version}, and this codin knows {len(known)}",
                hint="a newer codin made it: upgrade, or use another database",
            )
        if version == 0:
            await _begin(connection, driver)
        for number, script in enumerate(known[version:], version + 1):
            await connection.execute(script)
            await connection.execute("INSERT INTO codin_memory.migration VALUES ($1)", number)


async def _begin(connection: Any, driver: Any) -> None:
    if not await connection.fetchval("SELECT true FROM pg_extension WHERE extname = 'vector'"):
        try:
            await connection.execute("CREATE EXTENSION vector")
        except driver.PostgresError as error:
            said = f"pgvector is not in the database, and could not be put there: {error.args[0]}"
            raise MemoryFailed(said, hint=_NO_VECTORS) from error
    await connection.execute("CREATE SCHEMA codin_memory")
    await connection.execute(
        "CREATE TABLE codin_memory.migration (number integer PRIMARY KEY, at timestamptz DEFAULT now())"
    )
