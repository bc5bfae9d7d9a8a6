"""A memory in PostgreSQL or Redis, and the server asked directly.

`python -m benchmarks.ours.memory_servers WORK SIDE URL SECONDS RECORDS`; WORK is `fill`, with RECORDS instead of
SECONDS; `add` or `append`; or a search: `vectors`, `words`, `frequent`, `hybrid`, or `filter:WHAT:HOW`. SIDE
is `codin`, or for `vectors` a peer: `plain`, a table with nothing but what the search needs; `fetch`, NumPy over what
Redis gives; `kept`, NumPy over a matrix that is there.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy
from numpy.typing import NDArray

from benchmarks.ours.memory import DIMENSIONS, Drawn, text
from codin.memory import Memory, MemoryBackend, Record, Scope, Utterance, Vector, open_memory
from codin.memory.backends.postgres import PostgresMemory

_SCOPE = Scope("", "clerk", "ada")
_SPACE = Drawn.space
_SEED = 2
_BATCH = 1000
_WARM = 5
_LEAST = 100
_FREQUENT = "babababa"  # the first of the drawn words, which most texts have
_FILTERS: dict[str, Any] = {"1%": {"page": 7}, "50%": {"half": True}, "0": {"page": 1000}}
_PLAIN = f"""
CREATE SCHEMA plain;
CREATE TABLE plain.record (id text PRIMARY KEY, text text, metadata jsonb, embedding vector({DIMENSIONS}));
"""
_INDEX = "CREATE INDEX ON plain.record USING hnsw (embedding vector_ip_ops)"

Find = Callable[[Vector], Awaitable[Sequence[str]]]


def _batches(count: int, first: int = 0) -> Iterator[list[Record]]:
    chance = random.Random(3 + first)
    for start in range(first, first + count, _BATCH):
        yield [
            Record(str(n), text(chance, 40), {"page": n % 100, "half": n % 2 == 0})
            for n in range(start, min(start + _BATCH, first + count))
        ]


# -- filling and adding ------------------------------------------------------------------------------------------------


async def _fill(side: str, url: str, count: int) -> dict[str, float]:
    if side == "plain":
        return await _fill_plain(url, count)
    backend = open_memory(url)
    await backend.open()
    memory = Memory(backend, _SCOPE, embedder=Drawn(_SEED))
    begun = time.perf_counter()
    for batch in _batches(count):
        await memory.records.add_all(batch)
    added = time.perf_counter() - begun
    if isinstance(backend, PostgresMemory):
        await backend.index()
        connection = await importlib.import_module("asyncpg").connect(url)
        await connection.execute("VACUUM ANALYZE", timeout=3600)
        await connection.close()
    await backend.close()
    return {"records": count, "added": added, "indexed": time.perf_counter() - begun - added}


async def _fill_plain(url: str, count: int) -> dict[str, float]:
    connection = await importlib.import_module("asyncpg").connect(url)
    await connection.execute(_PLAIN)
    embedder = Drawn(_SEED)
    begun = time.perf_counter()
    insert = "INSERT INTO plain.record VALUES ($1, $2, $3, $4::real[]::vector)"
    for batch in _batches(count):
        vectors = await embedder.embed([record.text for record in batch], purpose="document")
        pairs = zip(batch, vectors, strict=True)
        await connection.executemany(insert, [(one.id, one.text, json.dumps(one.metadata), v) for one, v in pairs])
    added = time.perf_counter() - begun
    await connection.execute("SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 0")
    await connection.execute(_INDEX, timeout=3600)
    await connection.execute("VACUUM ANALYZE plain.record", timeout=3600)
    await connection.close()
    return {"records": count, "added": added, "indexed": time.perf_counter() - begun - added}


async def _add(url: str, seconds: float) -> dict[str, float]:
    """Records a second into a memory that is large, a hundred in a call, and one in a call."""
    backend = open_memory(url)
    await backend.open()
    memory = Memory(backend, _SCOPE, embedder=Drawn(9))
    rates: dict[str, float] = {}
    first = 10_000_000
    for size in (1, 100):
        done, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            (batch,) = _batches(size, first)
            await memory.records.add_all(batch)
            first += size
            done += size
        rates[f"by {size}"] = done / (time.perf_counter() - begun)
    await memory.records.delete(*(str(n) for n in range(10_000_000, first)))
    await backend.close()
    return rates


async def _append(url: str, seconds: float) -> dict[str, float]:
    backend = open_memory(url)
    await backend.open()
    number = 0

    async def append(_: object) -> Sequence[str]:
        nonlocal number
        number += 1
        said = Utterance(role="user", text="Could you book a table for two at eight? " * 5, at=number)
        await backend.append(_SCOPE, "context", [said])
        return ()

    measured = await _timed(append, [()], seconds)
    await backend.close()
    return measured


# -- searching ---------------------------------------------------------------------------------------------------------


async def _timed(find: Callable[[Any], Awaitable[object]], queries: Sequence[Any], seconds: float) -> dict[str, float]:
    begun = time.perf_counter()
    await find(queries[0])
    first = time.perf_counter() - begun
    for query in queries[:_WARM]:
        await find(query)
    times: list[float] = []
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds or len(times) < _LEAST * (passed < 5 * seconds) + 3:
        query = queries[len(times) % len(queries)]
        asked = time.perf_counter()
        await find(query)
        times.append((time.perf_counter() - asked) * 1e3)
    p99 = statistics.quantiles(times, n=100)[98]
    return {"best": min(times), "median": statistics.median(times), "p99": p99, "first": first * 1e3}


@asynccontextmanager
async def _ours(url: str) -> AsyncGenerator[Find]:
    async with _opened(url) as backend:

        async def find(vector: Vector) -> Sequence[str]:
            return [one.record.id for one in await backend.nearest([_SCOPE], _SPACE, vector, limit=10)]

        yield find


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[MemoryBackend]:
    backend = open_memory(url)
    await backend.open()
    yield backend
    await backend.close()


@asynccontextmanager
async def _plain(url: str) -> AsyncGenerator[Find]:
    connection = await importlib.import_module("asyncpg").connect(url)
    sql = "SELECT id, text, metadata FROM plain.record ORDER BY embedding <#> $1::real[]::vector LIMIT 10"

    async def find(vector: Vector) -> Sequence[str]:
        return [row["id"] for row in await connection.fetch(sql, vector)]

    yield find
    await connection.close()


@asynccontextmanager
async def _fetch(url: str) -> AsyncGenerator[Find]:
    client = importlib.import_module("redis.asyncio").from_url(url, protocol=2, socket_timeout=60)
    key = f"codin:memory:{{/clerk/ada}}:vectors:{_SPACE}"

    async def find(vector: Vector) -> Sequence[str]:
        rows: dict[bytes, bytes] = await client.hgetall(key)
        matrix = numpy.frombuffer(b"".join(rows.values()), dtype=numpy.float32).reshape(-1, DIMENSIONS)
        ids = list(rows)
        return [ids[place].decode() for place in _best(matrix, vector)]

    yield find
    await client.aclose()


@asynccontextmanager
async def _kept(matrix: NDArray[numpy.float32]) -> AsyncGenerator[Find]:

    async def find(vector: Vector) -> Sequence[str]:
        return [str(place) for place in _best(matrix, vector)]

    yield find


async def _matrix(count: int) -> NDArray[numpy.float32]:
    """What `fill` has put there, drawn again."""
    embedder = Drawn(_SEED)
    blocks = [
        numpy.asarray(await embedder.embed([""] * _BATCH, purpose="document"), dtype=numpy.float32)
        for _ in range(0, count, _BATCH)
    ]
    return numpy.concatenate(blocks)


def _best(matrix: NDArray[numpy.float32], vector: Vector) -> Sequence[int]:
    cosines = matrix @ numpy.asarray(vector, dtype=numpy.float32)
    best = numpy.argpartition(-cosines, 10)[:10]
    return best[numpy.argsort(-cosines[best])].tolist()


async def _vectors(side: str, url: str, seconds: float, records: int) -> dict[str, float]:
    queries = list(await Drawn(4).embed([""] * 200, purpose="query"))
    matrix = await _matrix(records)
    opened = _kept(matrix) if side == "kept" else {"codin": _ours, "plain": _plain, "fetch": _fetch}[side](url)
    async with opened as find:
        measured = await _timed(find, queries, seconds)
        hits = [
            len(set(await find(query)) & set(map(str, _best(matrix, query))))
            for query in queries[: 50 if side != "fetch" else 2]
        ]
    return {**measured, "recall": sum(hits) / (10 * len(hits))}


async def _search(what: str, url: str, seconds: float) -> dict[str, float]:
    work, _, rest = what.partition(":")
    which, _, how = rest.partition(":")
    where = _FILTERS[which] if work == "filter" else None
    how = how if work == "filter" else "words" if work == "frequent" else work
    chance = random.Random(6)
    words = sorted(set(text(chance, 4000).split()))
    queries = [
        " ".join([_FREQUENT, *chance.choices(words, k=2)]) if work == "frequent" else text(chance, 4)
        for _ in range(200)
    ]
    async with _opened(url) as backend:
        memory = Memory(backend, _SCOPE, embedder=Drawn(5))

        async def find(query: str) -> object:
            found = await memory.records.search(query, how=cast(Any, how), where=where)
            assert len(found) == (0 if which == "0" else 5), len(found)
            return found

        return await _timed(find, queries, seconds)


def main() -> None:
    """Print what was measured."""
    work, side, url, number = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
    match work:
        case "fill":
            answer = asyncio.run(_fill(side, url, int(number)))
        case "add":
            answer = asyncio.run(_add(url, number))
        case "append":
            answer = asyncio.run(_append(url, number))
        case "vectors":
            answer = asyncio.run(_vectors(side, url, number, int(sys.argv[5])))
        case _:
            answer = asyncio.run(_search(work, url, number))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
