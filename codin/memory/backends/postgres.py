"""A memory in PostgreSQL: one for many processes, whose vectors pgvector compares."""

from __future__ import annotations

import asyncio
import heapq
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from codin.errors import ConfigError, MemoryFailed, NotKept
from codin.memory._filter import Condition
from codin.memory._protocol import Found, Indexed, Note, Record, Scope, Stats, Summary, Utterance, Vector
from codin.memory.backends._json import json_of
from codin.memory.backends._postgres import blobs as shelf_rows
from codin.memory.backends._postgres import sql as sql
from codin.memory.backends._postgres.filter import compiled
from codin.memory.backends._postgres.session import Connection, Sessions, again
from codin.memory.backends._postgres.words import Holders, Room, matching

__all__ = ["PostgresMemory"]

_logger = logging.getLogger(__name__)
_EXACT = 10_000
_INDEXED_FROM = 20_000
_LOOK_EACH = 1000
_TOGETHER = 100
_WIDEST = 2000  # what an index of pgvector takes
_BUILDING = 6 * 3600.0
_QUIET = 2.0
"""An index is made when nothing was added for so many seconds: adding to it takes longer than making it afterwards."""
_UNQUIET = 600.0
"""It is made all the same after so many."""
_LETTING_GO = 10.0
_WHOLE = 16  # digits that every integer within ±2^53 has at most


@dataclass(frozen=True, slots=True)
class _Space:
    id: int
    dimensions: int


class PostgresMemory:
    """A memory in a schema `codin_memory` of a database, made when it is not there.

    Words are ranked by BM25, each scope for itself. Vectors are compared one by one where a scope is small; where it is
    large, by an HNSW index, one for each space, made in the background when the space has grown large (see `index`).

    `forget` and `delete` remove rows, and nobody finds them again. Their bytes stay in the pages of tables and indexes
    until VACUUM has been there. Autovacuum waits until a good part of a table has changed: who has to erase at once
    runs VACUUM on the tables of `codin_memory`. WAL and backups hold the bytes for as long as those are kept.

    Behind PgBouncer it has to be in session mode: there are prepared statements.

    Args:
        url: `postgresql://user:password@host:5432/database`; what asyncpg understands.
        patience: seconds that a connection, and each statement, may take.
        exact: where the scopes of a search have so many records or fewer, they are compared one by one.
        index_from: records of a space from which on it gets an index.

    Raises:
        ConfigError: asyncpg is not installed, or an argument is out of range.
    """

    durable = True

    def __init__(
        self, url: str, *, patience: float = 30.0, exact: int = _EXACT, index_from: int = _INDEXED_FROM
    ) -> None:
        if not 0 < patience <= 3600 or exact < 0 or index_from < 1:
            raise ConfigError("patience is up to 3600 seconds, exact at least 0, and index_from at least 1")
        self._sessions = Sessions(url, patience)
        self._exact = exact
        self._index_from = index_from
        self._spaces: dict[str, _Space] = {}
        self._holders = Holders()
        self._unlooked = Counter[str]()
        self._adding = 0
        self._added = 0.0
        self._indexing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._sessions.open()
        self._look_for_large()  # whoever has added may have ended too soon

    async def close(self) -> None:
        if self._indexing is not None:
            self._indexing.cancel()
            await asyncio.wait([self._indexing], timeout=_LETTING_GO)
            self._indexing = None
        self._spaces.clear()
        await self._sessions.close()

    @again
    async def append(self, scope: Scope, context_id: str, utterances: Sequence[Utterance]) -> int:
        columns = list(zip(*map(_columns, utterances), strict=True)) or [()] * 8
        async with self._sessions.transaction() as connection:
            room = await _room(connection, scope)
            conversation = await connection.fetchval(sql.CONVERSATION, room, context_id)
            return await connection.fetchval(sql.APPEND, conversation, *columns)

    async def window(
        self, scope: Scope, context_id: str, *, limit: int, after: int = 0, oldest: bool = False
    ) -> Sequence[Utterance]:
        async with self._sessions.session() as connection:
            rows = await connection.fetch(sql.OLDEST if oldest else sql.NEWEST, *scope, context_id, after, limit)
        return [_utterance(row) for row in (rows if oldest else reversed(rows))]

    async def summary(self, scope: Scope, context_id: str) -> Summary | None:
        async with self._sessions.session() as connection:
            row = await connection.fetchrow(sql.SUMMARY, *scope, context_id)
        return None if row is None else Summary(row["summary"], row["covers"])

    @again
    async def summarise(self, scope: Scope, context_id: str, summary: Summary) -> None:
        async with self._sessions.transaction() as connection:
            room = await _room(connection, scope)
            await connection.execute(sql.SUMMARISE, room, context_id, _plain(summary.text), summary.covers)

    async def note(self, scope: Scope, context_id: str, key: str, now: int) -> Note | None:
        async with self._sessions.session() as connection:
            row = await connection.fetchrow(sql.NOTE, *scope, context_id, key, now)
        return None if row is None else _note(row)

    @again
    async def put_note(self, scope: Scope, context_id: str, note: Note) -> None:
        value = json_of(note.value).decode()
        async with self._sessions.transaction() as connection:
            room = await _room(connection, scope)
            await connection.execute(sql.PUT_NOTE, room, context_id, note.key, value, note.at, note.expires)

    async def drop_note(self, scope: Scope, context_id: str, key: str) -> bool:
        async with self._sessions.session() as connection:
            return await connection.fetchval(sql.DROP_NOTE, *scope, context_id, key) is not None

    async def notes(
        self, scope: Scope, context_id: str, now: int, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Note]:
        async with self._sessions.session() as connection:
            rows = await connection.fetch(sql.NOTES, *scope, context_id, now, prefix, after, limit)
        return [_note(row) for row in rows]

    @again
    async def put_blobs(
        self, scope: Scope, shelf: str, blobs: Mapping[str, bytes], *, at: int, replace: bool = True
    ) -> None:
        async with self._sessions.transaction() as connection:
            await shelf_rows.put_blobs(connection, await _room(connection, scope), shelf, blobs, at, replace)

    async def blobs(self, scope: Scope, shelf: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        async with self._sessions.session() as connection:
            return await shelf_rows.blobs(connection, scope, shelf, keys)

    async def blob_keys(
        self, scope: Scope, shelf: str, *, prefix: str = "", before: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        async with self._sessions.session() as connection:
            return await shelf_rows.blob_keys(connection, scope, shelf, prefix, before, limit)

    @again
    async def drop_blobs(self, scope: Scope, shelf: str, keys: Sequence[str] | None = None) -> int:
        async with self._sessions.transaction() as connection:
            return await shelf_rows.drop_blobs(connection, scope, shelf, keys)

    async def shelves(self, scope: Scope, *, after: str = "", limit: int = 100) -> Sequence[str]:
        async with self._sessions.session() as connection:
            return await shelf_rows.shelves(connection, scope, after, limit)

    async def add(self, scope: Scope, records: Sequence[Indexed]) -> None:
        last = {one.record.id: one for one in records}
        if not last:
            return
        self._adding += 1
        try:
            await self._add(scope, last)
        finally:
            self._adding -= 1
            self._added = asyncio.get_running_loop().time()
        self._have_grown(one.space for one in last.values() if one.vector is not None)

    @again
    async def _add(self, scope: Scope, last: Mapping[str, Indexed]) -> None:
        spaces = await self._spaces_of(list(last.values()))
        async with self._sessions.transaction() as connection:
            # Whoever adds to a scope waits for others who do, so that its counts are right.
            room = await connection.fetchval(sql.HELD_ROOM, *scope)
            await connection.execute(sql.DELETE, room, list(last))
            rows = [_record_row(room, one, spaces) for one in last.values()]
            for at in range(0, len(rows), _TOGETHER):  # each has `patience`, and an index of vectors takes its time
                await connection.executemany(sql.ADD, rows[at : at + _TOGETHER])
            keys = {row["id"]: row["key"] for row in await connection.fetch(sql.KEYS, room, list(last))}
            await connection.copy_records_to_table(
                "word",
                schema_name="codin_memory",
                columns=("scope", "term", "record", "times", "words"),
                records=sorted(  # as their index is
                    (room, term, keys[id], times, len(one.terms))
                    for id, one in last.items()
                    for term, times in Counter(one.terms).items()
                ),
            )
            words = sum(len(one.terms) for one in last.values())
            await connection.execute(sql.COUNTED, room, len(last), words)

    @again
    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        async with self._sessions.transaction() as connection:
            room = await connection.fetchval(sql.HELD_ROOM_IF_KNOWN, *scope)
            return 0 if room is None else await connection.fetchval(sql.DELETE, room, list(ids))

    async def records(
        self, scope: Scope, *, where: Sequence[Condition] = (), after: str = "", limit: int = 100
    ) -> Sequence[Record]:
        values: list[Any] = [*scope, after, limit]
        query = sql.records(compiled(where, values))
        async with self._sessions.session() as connection:
            return [_record(row) for row in await connection.fetch(query, *values)]

    async def nearest(
        self, scopes: Sequence[Scope], space: str, vector: Vector, *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        async with self._sessions.session() as connection:
            known = await self._space(connection, space)
            rooms = {room.id: (scope, room) for scope, room in (await _rooms(connection, scopes)).items()}
            if known is None or not rooms:
                return []
            if len(vector) != known.dimensions:
                raise MemoryFailed(f"the space {space!r} has vectors of {known.dimensions} numbers")
            values: list[Any] = [list(rooms), list(vector), limit]
            wanted = compiled(where, values)
            rows: Sequence[Mapping[str, Any]] = []
            if sum(room.records for _, room in rooms.values()) > self._exact:
                rows = await connection.fetch(sql.nearest(known.id, known.dimensions, wanted, exact=False), *values)
            if len(rows) < limit:  # an index gives up some time when hardly anything fits
                rows = await connection.fetch(sql.nearest(known.id, known.dimensions, wanted, exact=True), *values)
        return [Found(rooms[row["scope"]][0], _record(row), row["score"]) for row in rows]

    async def matching(
        self, scopes: Sequence[Scope], terms: Sequence[str], *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        async with self._sessions.session() as connection:
            rooms = await _rooms(connection, scopes)
            found = [
                Found(scope, _record(row), row["score"])
                for scope, room in rooms.items()
                if room.records
                for row in await matching(connection, self._holders, room, terms, where, limit)
            ]
        return heapq.nlargest(limit, found, key=lambda one: one.score)

    @again
    async def forget(self, tenant: str, agent: str | None = None, caller: str | None = None) -> int:
        self._holders.forget()
        async with self._sessions.transaction() as connection:
            rooms = [row["id"] for row in await connection.fetch(sql.HELD_OF, tenant, agent, caller)]
            return await connection.fetchval(sql.FORGET, rooms) if rooms else 0

    @again
    async def trim(self, *, before: int, now: int) -> int:
        async with self._sessions.transaction() as connection:
            rooms = [row["id"] for row in await connection.fetch(sql.HELD_OLD, before, now)]
            return await connection.fetchval(sql.TRIM, rooms, before, now) if rooms else 0

    async def scopes(
        self,
        tenant: str | None = None,
        agent: str | None = None,
        caller: str | None = None,
        *,
        after: Scope | None = None,
        limit: int = 100,
    ) -> Sequence[Scope]:
        async with self._sessions.session() as connection:
            asked = sql.KNOWN if after is None else sql.KNOWN_AFTER
            rows = await connection.fetch(asked, tenant, agent, caller, limit, *(after or ()))
        return [Scope(**dict(row)) for row in rows]

    async def stats(self, tenant: str, agent: str | None = None, caller: str | None = None) -> Stats:
        async with self._sessions.session() as connection:
            (counts,) = await connection.fetch(sql.STATS, tenant, agent, caller)
            rows = await connection.fetch(sql.SPACES, tenant, agent, caller)
        spaces = {row["name"]: row["records"] for row in rows}
        return Stats(records=sum(spaces.values()), spaces=spaces, **dict(counts))

    async def index(self) -> int:
        """Make the index of each space that is large and has none; gives how many were made.

        Done by itself in the background when much was added; after a large import one may wait for it here. Others
        go on reading and writing meanwhile.
        """
        made = 0
        async with self._sessions.session() as connection:
            for row in await connection.fetch(sql.LARGE, _WIDEST, self._index_from):
                made += await _indexed(connection, row["id"], row["dimensions"])
        return made

    def _have_grown(self, spaces: Iterable[str]) -> None:
        self._unlooked.update(spaces)
        if max(self._unlooked.values(), default=0) >= min(_LOOK_EACH, self._index_from):
            self._look_for_large()

    def _look_for_large(self) -> None:
        if self._indexing is None:
            self._unlooked.clear()
            self._added = asyncio.get_running_loop().time()
            self._indexing = asyncio.create_task(self._index())

    async def _index(self) -> None:
        clock = asyncio.get_running_loop().time
        latest = clock() + _UNQUIET
        try:
            while clock() < latest and (self._adding or clock() < self._added + _QUIET):  # noqa: ASYNC110  # for quiet
                await asyncio.sleep(_QUIET / 4)
            await self.index()
        except MemoryFailed as error:
            _logger.warning("no index was made for vectors, searches compare them one by one: %s", error)
        finally:
            self._indexing = None

    async def _spaces_of(self, records: Sequence[Indexed]) -> Mapping[str, _Space]:
        """The spaces of records, made known to the database where they are new."""
        spaces: dict[str, _Space] = {}
        for one in records:
            if one.vector is None:
                continue
            if one.space not in spaces:
                spaces[one.space] = await self._made_space(one.space, len(one.vector))
            if len(one.vector) != spaces[one.space].dimensions:
                raise NotKept(f"the vector of {one.record.id!r} is not as long as the others of its space")
        return spaces

    async def _made_space(self, name: str, dimensions: int) -> _Space:
        if name in self._spaces:
            return self._spaces[name]
        async with self._sessions.session() as connection:
            await connection.execute(sql.NEW_SPACE, name, dimensions)
            space = await self._space(connection, name)
        assert space is not None  # spaces are never deleted
        return space

    async def _space(self, connection: Connection, name: str) -> _Space | None:
        if name not in self._spaces and (row := await connection.fetchrow(sql.SPACE, name)) is not None:
            self._spaces[name] = _Space(row["id"], row["dimensions"])
        return self._spaces.get(name)


async def _room(connection: Connection, scope: Scope) -> int:
    """The row of a scope, which stays until the transaction ends."""
    room = await connection.fetchval(sql.ROOM, *scope)
    return await connection.fetchval(sql.HELD_ROOM, *scope) if room is None else room


async def _rooms(connection: Connection, scopes: Sequence[Scope]) -> Mapping[Scope, Room]:
    """The scopes that there are."""
    tenants, agents, callers = ([scope[at] for scope in scopes] for at in range(3))
    rows = await connection.fetch(sql.ROOMS, tenants, agents, callers)
    return {
        Scope(row["tenant"], row["agent"], row["caller"]): Room(row["id"], row["records"], row["words"]) for row in rows
    }


async def _indexed(connection: Connection, space: int, dimensions: int) -> bool:
    """Make an index that is not there, unless somebody else is at it."""
    name = sql.index_name(space)
    if await connection.fetchval(sql.VALID, name):
        return False
    if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", name):
        return False
    try:
        await connection.execute(sql.drop_index(space), timeout=_BUILDING)
        await connection.execute(sql.ROOM_FOR_INDEX)
        await connection.execute(sql.create_index(space, dimensions), timeout=_BUILDING)
    finally:
        await connection.execute("RESET maintenance_work_mem; RESET max_parallel_maintenance_workers")
        await connection.execute("SELECT pg_advisory_unlock(hashtext($1))", name)
    return True


def _columns(said: Utterance) -> tuple[object, ...]:
    parts, metadata = json_of(said.parts).decode(), json_of(said.metadata).decode()
    return said.role, _plain(said.text), parts, metadata, said.at, said.task_id, said.number, said.index


def _record_row(room: int, one: Indexed, spaces: Mapping[str, _Space]) -> tuple[object, ...]:
    record, vector = one.record, None if one.vector is None else list(one.vector)
    metadata = json_of(record.metadata).decode()
    space = None if vector is None else spaces[one.space].id
    return room, record.id, _plain(record.text), metadata, record.at, len(one.terms), space, vector


def _plain(text: str) -> str:
    """What somebody said may hold the one letter that PostgreSQL's texts cannot."""
    return text.replace("\x00", "\ufffd")


def _utterance(row: Mapping[str, Any]) -> Utterance:
    return Utterance(
        role=row["role"],
        text=row["text"],
        parts=from_json(row["parts"]),
        metadata=from_json(row["metadata"]),
        at=row["at"],
        task_id=row["task_id"],
        number=row["number"],
        index=row["index"],
        place=row["place"],
    )


def _note(row: Mapping[str, Any]) -> Note:
    return Note(row["key"], from_json(row["value"]), row["at"], row["expires"])


def _record(row: Mapping[str, Any]) -> Record:
    return Record(row["id"], row["text"], json.loads(row["metadata"], parse_int=_number), row["at"])


def _number(digits: str) -> int | float:
    # A number of jsonb knows not whether it was 1e300 or has 300 digits; metadata has no integers beyond ±2^53.
    return int(digits) if len(digits) <= _WHOLE + 1 else float(digits)
