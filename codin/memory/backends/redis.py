"""A memory in Redis, without any of its modules."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote, unquote

from pydantic_core import from_json

from codin.errors import ConfigError, MemoryFailed, NotKept
from codin.memory._filter import Condition, fits
from codin.memory._protocol import Found, Indexed, Note, Record, Scope, Stats, Summary, Utterance, Vector
from codin.memory.backends._json import json_of
from codin.memory.backends._redis import scripts as scripts
from codin.memory.backends._redis.server import Server
from codin.memory.backends._redis.vectors import KeptVectors, packed

__all__ = ["RedisMemory"]

_SCOPES, _CHANGE, _SPACES = "codin:memory:scopes", "codin:memory:change", "codin:memory:spaces"
_KEPT = 200_000
_PAGE = 1000
_DEEPER = 10
"""With a filter, so many times more of a ranking is looked at first; then all of it."""
_ALL = 2**31


class RedisMemory:
    """A memory in a Redis from 6.2 on. Whether it outlives the server is the server's affair: `appendonly yes`.

    What belongs together is written by scripts, all or nothing. Words are ranked in the server by BM25, each scope for
    itself; vectors are compared in this process, which keeps a copy of those that it searched lately and fetches what
    has changed. That is meant for scopes of some ten thousand records; for larger ones PostgreSQL is the better place.

    `forget` and `delete` remove all keys and members. An append-only file and a snapshot hold the bytes until Redis
    writes them anew (BGREWRITEAOF, BGSAVE). Notes that expire are gone by themselves, their keys' names with `trim`.

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
        await self._server.open()

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
        prefix, thing = _prefix(scope), f"{_quoted(context_id)}:{note.key}"
        kept = json_of([note.at, note.expires, note.value])
        async with self._server.asked() as client, client.pipeline(transaction=True) as together:
            together.zadd(_SCOPES, {_name(scope): 0})
            together.sadd(f"{prefix}noted", _quoted(context_id))
            together.zadd(f"{prefix}keys:{_quoted(context_id)}", {note.key: 0})
            if note.expires is None:
                together.set(f"{prefix}note:{thing}", kept)
                together.zrem(f"{prefix}expiring", thing)
            else:
                together.set(f"{prefix}note:{thing}", kept, pxat=max(1, note.expires))
                together.zadd(f"{prefix}expiring", {thing: note.expires})
            await together.execute()

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

    async def add(self, scope: Scope, records: Sequence[Indexed]) -> None:
        if not records:
            return
        arguments: list[object] = [_name(scope)]
        for one in records:
            record, space = one.record, one.space if one.vector is not None else ""
            found = {"space": space, "words": len(one.terms), "times": Counter(one.terms)}
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
        found: list[Found] = []
        for scope in scopes:

            async def ranking(depth: int, scope: Scope = scope) -> list[tuple[float, str]]:
                async with self._server.asked() as client:
                    dimensions = await client.hget(_SPACES, space)
                    if dimensions is None:
                        return []
                    if int(dimensions) != len(vector):
                        raise MemoryFailed(f"the space {space!r} has vectors of {int(dimensions)} numbers")
                    return await self._vectors.nearest(client, _prefix(scope), scope, space, vector, depth)

            found += await self._found(scope, ranking, where, limit)
        return heapq.nlargest(limit, found, key=lambda one: one.score)

    async def matching(
        self, scopes: Sequence[Scope], terms: Sequence[str], *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        wanted = list(dict.fromkeys(terms))
        found: list[Found] = []
        for scope in scopes:

            async def ranking(depth: int, scope: Scope = scope) -> list[tuple[float, str]]:
                best = await self._server.run(scripts.MATCHING, [_prefix(scope)], [depth, *wanted])
                return [(float(score), id.decode()) for id, score in zip(best[::2], best[1::2], strict=True)]

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

    async def stats(self, tenant: str, agent: str | None = None, caller: str | None = None) -> Stats:
        contexts = utterances = notes = 0
        spaces = Counter[str]()
        for scope in await self._scopes(tenant, agent, caller):
            some = await self._server.run(scripts.STATS, [_prefix(scope)])
            contexts, utterances, notes = contexts + some[0], utterances + some[1], notes + some[2]
            names = (name.decode() for name in some[3][::2])
            spaces.update(dict(zip(names, map(int, some[3][1::2]), strict=True)))
        return Stats(contexts, utterances, notes, spaces.total(), dict(spaces))

    async def _found(
        self,
        scope: Scope,
        ranking: Callable[[int], Awaitable[list[tuple[float, str]]]],
        where: Sequence[Condition],
        limit: int,
    ) -> list[Found]:
        """The best of a ranking that fit: from its top, and where that is not enough, from all of it."""
        found: list[Found] = []
        for depth in (limit * _DEEPER, _ALL) if where else (limit,):
            found.clear()
            best = await ranking(depth)
            for at in range(0, len(best), _PAGE):
                page = best[at : at + _PAGE]
                records = await self._fitting(scope, [id for _, id in page], where)
                found += (Found(scope, records[id], score) for score, id in page if id in records)
                if len(found) >= limit:
                    return found[:limit]
            if len(best) < depth:
                break
        return found

    async def _fitting(self, scope: Scope, ids: Sequence[str], where: Sequence[Condition]) -> dict[str, Record]:
        """The records that are there and fit; only their texts are read."""
        async with self._server.asked() as client:
            about = await client.hmget(f"{_prefix(scope)}records", ids)
            known = ((id, from_json(one)) for id, one in zip(ids, about, strict=True) if one is not None)
            fit = [(id, metadata, at) for id, (metadata, at) in known if fits(where, metadata)]
            texts: list[bytes | None] = []
            if fit:
                texts = await client.hmget(f"{_prefix(scope)}texts", [id for id, _, _ in fit])
        pairs = zip(fit, texts, strict=True)
        return {id: Record(id, text.decode(), metadata, at) for (id, metadata, at), text in pairs if text is not None}

    async def _scopes(
        self, tenant: str | None = None, agent: str | None = None, caller: str | None = None
    ) -> Sequence[Scope]:
        of = None if tenant is None else _quoted(tenant)
        least, most = ("-", "+") if of is None else (f"[{of}/", f"({of}0")  # "0" comes behind "/"
        async with self._server.asked() as client:
            names = await client.zrangebylex(_SCOPES, least, most)
        scopes = (Scope(*map(unquote, name.decode().split("/"))) for name in names)
        return [scope for scope in scopes if agent in (None, scope.agent) and caller in (None, scope.caller)]


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
