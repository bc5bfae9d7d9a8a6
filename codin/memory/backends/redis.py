"""A memory in Redis, without any of its modules."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from pydantic_core import from_json

from codin.errors import ConfigError, MemoryFailed, NotKept
from codin.memory._filter import Condition, fits
from codin.memory._protocol import Found, Indexed, Note, Record, Scope, Stats, Summary, Utterance, Vector
from codin.memory.backends._json import json_of
from codin.memory.backends._redis import blobs as shelf_keys
from codin.memory.backends._redis import scripts as scripts
from codin.memory.backends._redis.fields import entries_of, spans_of
from codin.memory.backends._redis.server import Server
from codin.memory.backends._redis.upgrade import upgrade
from codin.memory.backends._redis.vectors import KeptVectors, packed

__all__ = ["RedisMemory"]

_SCOPES, _CHANGE, _SPACES = "codin:memory:scopes", "codin:memory:change", "codin:memory:spaces"
_KEPT = 200_000
_PAGE = 1000
_NARROW = 3000
"""Where a filter leaves so many records or fewer, they are looked up, and only they are ranked."""
_DEEPER = 4
"""Where it leaves more, so many times more of a ranking is looked at first, and again as many times more."""


class RedisMemory:
    """A memory in a Redis from 6.2 on. Whether it outlives the server is the server's affair: `appendonly yes`.

    What belongs together is written by scripts, all or nothing. Words are ranked in the server by BM25, each scope for
    itself; vectors are compared by NumPy in this process, which keeps a copy of those that it searched lately and gets
    what has changed: of 100,000 with 384 numbers 150 MB, which the first search waits for. For more PostgreSQL is the
    better place.

    `forget` and `delete` remove all keys and members. An append-only file and a snapshot hold the bytes until Redis
    writes them anew (BGREWRITEAOF, BGSAVE). Notes that expire are gone by themselves, the names of their keys when
    other notes of the scope are set, or with `trim`.

    Args:
        url: `redis://user:password@host:6379/0`, `rediss://…` or `unix:///path`.
        patience: seconds that a connection, and each call, may take.
        vectors: so many are kept in this process.

    Raises:
        ConfigError: redis is not installed, or an argument is out of range.
    """

    durable = True

    def __init__(self, url: str, *, patience: float = 10.0, vectors: int = _KEPT) -> None:
        if not 0 < patience <= 3600 or vectors < 0:
            raise ConfigError("patience is up to 3600 seconds, and vectors at least 0")
        self._server = Server(url, patience)
        self._vectors = KeptVectors(vectors)

    async def open(self) -> None:
        if await self._server.open():
            for scope in await self._scopes():
                await upgrade(self._server, _prefix(scope))
            await self._server.upgraded()

    async def close(self) -> None:
        self._vectors.forget()
        await self._server.close()

    async def append(self, scope: Scope, context_id: str, utterances: Sequence[Utterance]) -> int:
        arguments: list[object] = [_name(scope), _quoted(context_id)]
        for said in utterances:
            known = f"{said.number}:{said.index}:{said.task_id}" if said.task_id else ""
            arguments += (known, said.at, _utterance_json(said))
        return await self._server.run(scripts.APPEND, [_prefix(scope), _SCOPES], arguments)

    async def window(
        self, scope: Scope, context_id: str, *, limit: int, after: int = 0, oldest: bool = False
    ) -> Sequence[Utterance]:
        key = f"{_prefix(scope)}said:{_quoted(context_id)}"
        async with self._server.asked() as client:
            if oldest:
                rows = await client.zrangebyscore(key, f"({after}", "+inf", 0, limit)
            else:
                rows = reversed(await client.zrevrangebyscore(key, "+inf", f"({after}", 0, limit))
        return [_utterance(row) for row in rows]

    async def summary(self, scope: Scope, context_id: str) -> Summary | None:
        async with self._server.asked() as client:
            kept: bytes | None = await client.hget(f"{_prefix(scope)}summaries", _quoted(context_id))
        if kept is None:
            return None
        covers, _, text = kept.decode().partition(":")
        return Summary(text, int(covers))

    async def summarise(self, scope: Scope, context_id: str, summary: Summary) -> None:
        arguments = [_name(scope), _quoted(context_id), summary.covers, summary.text]
        await self._server.run(scripts.SUMMARISE, [_prefix(scope), _SCOPES], arguments)

    async def note(self, scope: Scope, context_id: str, key: str, now: int) -> Note | None:
        async with self._server.asked() as client:
            kept: bytes | None = await client.get(f"{_prefix(scope)}note:{_quoted(context_id)}:{key}")
        note = None if kept is None else _note(key, kept)
        return note if note is not None and _lives(note, now) else None

    async def put_note(self, scope: Scope, context_id: str, note: Note) -> None:
        kept = json_of([note.at, note.expires, note.value])
        expires = "" if note.expires is None else max(1, note.expires)
        arguments = [_name(scope), _quoted(context_id), note.key, kept, expires, note.at]
        await self._server.run(scripts.PUT_NOTE, [_prefix(scope), _SCOPES], arguments)

    async def drop_note(self, scope: Scope, context_id: str, key: str) -> bool:
        return bool(await self._server.run(scripts.DROP_NOTE, [_prefix(scope)], [_quoted(context_id), key]))

    async def notes(
        self, scope: Scope, context_id: str, now: int, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Note]:
        place, context = _prefix(scope), _quoted(context_id)
        most = b"(" + prefix.encode() + b"\xff" if prefix else "+"  # no UTF-8 has this byte
        found: list[Note] = []
        async with self._server.asked() as client:
            while len(found) < limit:
                least = f"({after}" if after >= prefix and after else f"[{prefix}"
                keys = [
                    key.decode() for key in await client.zrangebylex(f"{place}keys:{context}", least, most, 0, limit)
                ]
                if not keys:
                    break
                kept = await client.mget([f"{place}note:{context}:{key}" for key in keys])
                notes = (_note(key, value) for key, value in zip(keys, kept, strict=True) if value is not None)
                found += (note for note in notes if _lives(note, now))
                after = keys[-1]
        return found[:limit]

    async def put_blobs(
        self, scope: Scope, shelf: str, blobs: Mapping[str, bytes], *, at: int, replace: bool = True
    ) -> None:
        keys = [_prefix(scope), _SCOPES]
        await shelf_keys.put_blobs(self._server, keys, _name(scope), shelf, blobs, at, replace)

    async def blobs(self, scope: Scope, shelf: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        return await shelf_keys.blobs(self._server, _prefix(scope), shelf, keys)

    async def blob_keys(
        self, scope: Scope, shelf: str, *, prefix: str = "", before: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        return await shelf_keys.blob_keys(self._server, _prefix(scope), shelf, prefix, before, limit)

    async def drop_blobs(self, scope: Scope, shelf: str, keys: Sequence[str] | None = None) -> int:
        return await shelf_keys.drop_blobs(self._server, _prefix(scope), shelf, keys)

    async def shelves(self, scope: Scope, *, after: str = "", limit: int = 100) -> Sequence[str]:
        return await shelf_keys.shelves(self._server, _prefix(scope), after, limit)

    async def add(self, scope: Scope, records: Sequence[Indexed]) -> None:
        if not records:
            return
        arguments: list[object] = [_name(scope)]
        for one in records:
            record, space = one.record, one.space if one.vector is not None else ""
            times, fields = Counter(one.terms), entries_of(record.metadata)
            found = {"space": space, "words": len(one.terms), "times": times, "fields": fields}
            vector = b"" if one.vector is None else packed(one.vector)
            about = json_of([record.metadata, record.at])
            arguments += (record.id, record.text, about, record.at, json_of(found), vector)
        keys = [_prefix(scope), _SCOPES, _CHANGE, _SPACES]
        try:
            await self._server.run(scripts.ADD, keys, arguments)
        except MemoryFailed as error:
            if "DIMENSIONS" not in error.message:
                raise
            raise NotKept("a record has a vector that is not as long as the others of its space") from error

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        return await self._server.run(scripts.DELETE, [_prefix(scope), _CHANGE], ids) if ids else 0

    async def records(
        self, scope: Scope, *, where: Sequence[Condition] = (), after: str = "", limit: int = 100
    ) -> Sequence[Record]:
        if (ids := await self._narrowed(scope, where)) is not None:
            page = sorted(id for id in ids if id > after)[:limit]
            return list((await self._fitting(scope, page, where)).values())
        found: list[Record] = []
        size = _PAGE if where else limit
        while len(found) < limit:
            least = f"({after}" if after else "-"
            async with self._server.asked() as client:
                rows = await client.zrangebylex(f"{_prefix(scope)}ids", least, "+", 0, size)
            if not rows:
                break
            ids = [row.decode() for row in rows]
            found += (await self._fitting(scope, ids, where)).values()
            after = ids[-1]
        return found[:limit]

    async def nearest(
        self, scopes: Sequence[Scope], space: str, vector: Vector, *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        async with self._server.asked() as client:
            dimensions = await client.hget(_SPACES, space)
        if dimensions is None:
            return []
        if int(dimensions) != len(vector):
            raise MemoryFailed(f"the space {space!r} has vectors of {int(dimensions)} numbers")
        found: list[Found] = []
        for scope in scopes:

            async def ranking(
                depth: int, among: Collection[str] | None, scope: Scope = scope
            ) -> list[tuple[float, str]]:
                return await self._vectors.nearest(self._server, _prefix(scope), scope, space, vector, depth, among)

            found += await self._found(scope, ranking, where, limit)
        return heapq.nlargest(limit, found, key=lambda one: one.score)

    async def matching(
        self, scopes: Sequence[Scope], terms: Sequence[str], *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        wanted = list(dict.fromkeys(terms))
        found: list[Found] = []
        for scope in scopes:

            async def ranking(
                depth: int, among: Collection[str] | None, scope: Scope = scope
            ) -> list[tuple[float, str]]:
                arguments = [depth, len(wanted), *wanted, *(among or ())]
                return list(from_json(await self._server.run(scripts.MATCHING, [_prefix(scope)], arguments) or b"[]"))

            found += await self._found(scope, ranking, where, limit)
        return heapq.nlargest(limit, found, key=lambda one: one.score)

    async def forget(self, tenant: str, agent: str | None = None, caller: str | None = None) -> int:
        gone = 0
        for scope in await self._scopes(tenant, agent, caller):
            gone += await self._server.run(scripts.FORGET, [_prefix(scope), _SCOPES], [_name(scope)])
            self._vectors.forget(scope)
        return gone

    async def trim(self, *, before: int, now: int) -> int:
        gone = 0
        for scope in await self._scopes():
            while once := await self._server.run(scripts.TRIM, [_prefix(scope), _CHANGE], [before, now, _PAGE]):
                gone += once
        return gone

    async def scopes(
        self,
        tenant: str | None = None,
        agent: str | None = None,
        caller: str | None = None,
        *,
        after: Scope | None = None,
        limit: int = 100,
    ) -> Sequence[Scope]:
        found: list[Scope] = []
        while len(found) < limit and (page := await self._known(tenant, after, max(limit, _PAGE))):
            found += _of(page, agent, caller)
            after = page[-1]
        return found[:limit]

    async def stats(self, tenant: str, agent: str | None = None, caller: str | None = None) -> Stats:
        contexts = utterances = notes = blobs = 0
        spaces = Counter[str]()
        for scope in await self._scopes(tenant, agent, caller):
            some = await self._server.run(scripts.STATS, [_prefix(scope)])
            contexts, utterances, notes = contexts + some[0], utterances + some[1], notes + some[2]
            blobs += some[3]
            names = (name.decode() for name in some[4][::2])
            spaces.update(dict(zip(names, map(int, some[4][1::2]), strict=True)))
        return Stats(contexts, utterances, notes, spaces.total(), blobs, dict(spaces))

    async def _found(
        self,
        scope: Scope,
        ranking: Callable[[int, Collection[str] | None], Awaitable[list[tuple[float, str]]]],
        where: Sequence[Condition],
        limit: int,
    ) -> list[Found]:
        """The best of a ranking that fit: of the few that do, or from its top as deep as is needed."""
        among = await self._narrowed(scope, where)
        if among is not None and not among:
            return []
        whole = not where or among is not None
        depth = limit if whole else limit * _DEEPER
        while True:
            found: list[Found] = []
            best = await ranking(depth, among)
            for at in range(0, len(best), _PAGE):
                page = best[at : at + _PAGE]
                records = await self._fitting(scope, [id for _, id in page], where)
                found += (Found(scope, records[id], score) for score, id in page if id in records)
                if len(found) >= limit:
                    return found[:limit]
            if whole or len(best) < depth:
                return found
            depth *= _DEEPER

    async def _narrowed(self, scope: Scope, where: Sequence[Condition]) -> Collection[str] | None:
        """The ids of the records that fit, where one of the conditions leaves few."""
        spans = spans_of(where)
        if not spans:
            return None
        arguments = [word for place, each in enumerate(spans) for span in each for word in (place, *span)]
        found = await self._server.run(scripts.NARROWED, [_prefix(scope)], [_NARROW, *arguments])
        return None if found is None else [id for id, _, _ in _fit(found, where)]

    async def _fitting(self, scope: Scope, ids: Sequence[str], where: Sequence[Condition]) -> dict[str, Record]:
        """The records that are there and fit; only their texts are read."""
        fit = _fit(await self._server.run(scripts.ABOUT, [_prefix(scope)], ids), where) if ids else []
        if not fit:
            return {}
        async with self._server.asked() as client:
            texts = await client.hmget(f"{_prefix(scope)}texts", [id for id, _, _ in fit])
        pairs = zip(fit, texts, strict=True)
        return {id: Record(id, text.decode(), metadata, at) for (id, metadata, at), text in pairs if text is not None}

    async def _scopes(
        self, tenant: str | None = None, agent: str | None = None, caller: str | None = None
    ) -> Sequence[Scope]:
        if tenant is not None and agent is not None and caller is not None:
            return [Scope(tenant, agent, caller)]
        return _of(await self._known(tenant), agent, caller)

    async def _known(self, tenant: str | None, after: Scope | None = None, count: int = -1) -> Sequence[Scope]:
        of = None if tenant is None else _quoted(tenant)
        least, most = ("-", "+") if of is None else (f"[{of}/", f"({of}0")  # "0" comes behind "/"
        if after is not None:
            least = f"({_name(after)}"
        async with self._server.asked() as client:
            names = await client.zrangebylex(_SCOPES, least, most, 0, count)
        return [Scope(*map(unquote, name.decode().split("/"))) for name in names]


def _of(scopes: Sequence[Scope], agent: str | None, caller: str | None) -> list[Scope]:
    return [scope for scope in scopes if agent in (None, scope.agent) and caller in (None, scope.caller)]


def _fit(found: bytes, where: Sequence[Condition]) -> list[tuple[str, dict[str, Any], int]]:
    """The ids, metadata and times of the records that are there and fit."""
    ids, about = from_json(found)
    known = ((id, *one) for id, one in zip(ids, about, strict=True) if one is not None)
    return [one for one in known if fits(where, one[1])]


def _quoted(name: str) -> str:
    """A name as a piece of a key, without anything that parts pieces. Raises NotKept when it is no text."""
    try:
        return quote(name, safe="")
    except UnicodeEncodeError as error:
        raise NotKept(f"{name[:80]!r} is no text that can be kept") from error


def _name(scope: Scope) -> str:
    return "/".join(map(_quoted, scope))


def _prefix(scope: Scope) -> str:
    """What the keys of a scope begin with; in braces what decides where a key is, should there be several servers."""
    return f"codin:memory:{{{_name(scope)}}}:"


def _utterance_json(said: Utterance) -> bytes:
    kept = [said.role, said.text, said.parts, said.metadata, said.at, said.task_id, said.number, said.index]
    return json_of(kept)


def _utterance(row: bytes) -> Utterance:
    place, _, kept = row.partition(b":")
    role, text, parts, metadata, at, task_id, number, index = from_json(kept)
    return Utterance(
        role=role,
        text=text,
        parts=parts,
        metadata=metadata,
        at=at,
        task_id=task_id,
        number=number,
        index=index,
        place=int(place),
    )


def _note(key: str, kept: bytes) -> Note:
    at, expires, value = from_json(kept)
    return Note(key, value, at, expires)


def _lives(note: Note, now: int) -> bool:
    return note.expires is None or note.expires > now
