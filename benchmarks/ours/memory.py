"""A memory in SQLite, and what others do in its place: `python -m benchmarks.ours.memory WORK SIDE FOLDER SECONDS`.

WORK is `append`; `crowd`, many appends at once; `vectors`; `hybrid`; `filter` of vectors, with what it keeps as SIDE;
`recall`, with how vectors are spread as SIDE and their number instead of seconds; or `fill`, which makes the file that
the searches read, with a number of records. So a million is measured by hand:

    python -m benchmarks.ours.memory fill codin FOLDER 1000000
    python -m benchmarks.ours.memory hybrid hybrid FOLDER 5
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import json
import random
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from codin.memory import Indexed, Memory, Record, Scope, Utterance, Vector, conditions_of
from codin.memory.backends.sqlite import SQLiteMemory
from codin.memory.embedders import Embedder

DIMENSIONS = 384
_SCOPE = Scope("", "clerk", "ada")
_TEXT = "Could you book a table for two at eight, somewhere quiet and not too far from the station? " * 2
_BATCH = 50
_CROWD = 64
_WARM = 3
_SYLLABLES = ("ba", "ko", "li", "me", "nu", "ro", "sa", "ti", "vel", "dan")
_WORDS = [f"{a}{b}{c}{d}" for a in _SYLLABLES for b in _SYLLABLES for c in _SYLLABLES for d in _SYLLABLES]
_RARITY = list(accumulate(1 / (rank + 1) for rank in range(len(_WORDS))))  # as words of a language are

_FILTERS = {"hundredth": {"page": 7}, "half": {"page": {"lt": 50}}, "nothing": {"page": 100}}

Append = Callable[[int], Awaitable[object]]
Find = Callable[[Vector], Awaitable[Sequence[str]]]


def text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, cum_weights=_RARITY, k=words))


class Drawn:
    """Vectors as texts have them, many about few things, and no model that makes them."""

    dimensions = DIMENSIONS
    space = f"drawn/{DIMENSIONS}"

    def __init__(self, seed: int) -> None:
        self._centres = numpy.random.default_rng(1).standard_normal((1000, DIMENSIONS))
        self._draw = numpy.random.default_rng(seed)

    async def embed(self, texts: Sequence[str], /, *, purpose: str) -> Sequence[Vector]:
        centres = self._centres[self._draw.integers(0, 1000, len(texts))]
        vectors = centres + self._draw.standard_normal((len(texts), DIMENSIONS))
        return (vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)).tolist()


# -- append ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _history(folder: Path, synchronous: str) -> AsyncGenerator[Append]:
    memory = SQLiteMemory(folder / "memory.db", synchronous=synchronous)
    await memory.open()
    number = 0

    async def append(conversation: int) -> None:
        nonlocal number
        number += 1
        said = Utterance(role="user", text=_TEXT, at=number, task_id="task", number=number)
        assert await memory.append(_SCOPE, f"{conversation}", [said]) == 1

    yield append
    await memory.close()


@asynccontextmanager
async def _checkpoints(folder: Path) -> AsyncGenerator[Append]:
    """One message in each checkpoint, which is the least: a conversation's checkpoint has all of its messages."""
    from langchain_core.messages import HumanMessage
    from langgraph.checkpoint.base.id import uuid6
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        configs: list[Any] = [{"configurable": {"thread_id": f"{n}", "checkpoint_ns": ""}} for n in range(_CROWD)]
        numbers = iter(range(1, sys.maxsize))

        async def append(conversation: int) -> None:
            number = next(numbers)
            checkpoint: Any = {
                "v": 4,
                "ts": datetime.now(UTC).isoformat(),
                "id": str(uuid6(clock_seq=number)),
                "channel_values": {"messages": [HumanMessage(_TEXT, id=str(number))]},
                "channel_versions": {"messages": number},
                "versions_seen": {},
                "updated_channels": ["messages"],
            }
            configs[conversation] = await saver.aput(
                configs[conversation], checkpoint, {"source": "loop", "step": number}, {"messages": number}
            )

        yield append


async def _append(side: str, folder: Path, seconds: float, *, crowd: bool) -> dict[str, float]:
    opened = _checkpoints(folder) if side == "langgraph" else _history(folder, side)
    costs: list[float] = []
    async with opened as append:

        async def some() -> int:
            if crowd:
                await asyncio.gather(*(append(conversation) for conversation in range(_CROWD)))
                return _CROWD
            for _ in range(_BATCH):
                await append(0)
            return _BATCH

        await some()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(costs) < _WARM:
            begun = time.perf_counter()
            count = await some()
            costs.append((time.perf_counter() - begun) * 1e6 / count)
    return {"best": min(costs), "median": statistics.median(costs)}


# -- search ------------------------------------------------------------------------------------------------------------


async def _fill(folder: Path, count: int) -> dict[str, float]:
    begun = time.perf_counter()
    backend = SQLiteMemory(folder / "records.db")
    await backend.open()
    embedder: Embedder = Drawn(2)
    memory = Memory(backend, _SCOPE, embedder=embedder)
    chance = random.Random(3)
    for start in range(0, count, 1000):
        names = range(start, start + 1000)
        await memory.records.add_all([Record(str(n), text(chance, 40), {"page": n % 100}) for n in names])
    await backend.close()
    return {"records": count, "seconds": time.perf_counter() - begun, "megabytes": _megabytes()}


def _megabytes() -> float:
    """The most that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@asynccontextmanager
async def _ours(folder: Path) -> AsyncGenerator[Find]:
    backend = SQLiteMemory(folder / "records.db")
    await backend.open()

    async def find(vector: Vector) -> Sequence[str]:
        found = await backend.nearest([_SCOPE], f"drawn/{DIMENSIONS}", vector, limit=10)
        return [one.record.id for one in found]

    yield find
    await backend.close()


def _vectors(connection: sqlite3.Connection) -> tuple[list[int], NDArray[numpy.float32]]:
    rows: list[tuple[int, bytes]] = connection.execute("SELECT record, vector FROM vectors").fetchall()
    joined = b"".join(vector for _, vector in rows)
    ids: list[int] = [id for id, _ in rows]
    return ids, numpy.frombuffer(joined, dtype=numpy.float32).reshape(-1, DIMENSIONS)


def _names(connection: sqlite3.Connection, ids: Iterable[int]) -> list[str]:
    sql = "SELECT name FROM records WHERE id = ?"
    return [connection.execute(sql, (id,)).fetchone()[0] for id in ids]


@asynccontextmanager
async def _scan(folder: Path) -> AsyncGenerator[Find]:
    connection = sqlite3.connect(folder / "records.db")

    async def find(vector: Vector) -> Sequence[str]:
        ids, vectors = _vectors(connection)
        cosines = vectors @ numpy.asarray(vector, dtype=numpy.float32)
        best = numpy.argpartition(-cosines, 10)[:10]
        places: list[int] = best[numpy.argsort(-cosines[best])].tolist()
        return _names(connection, [ids[place] for place in places])

    yield find
    connection.close()


@asynccontextmanager
async def _sqlite_vec(folder: Path) -> AsyncGenerator[Find]:
    """Where Python's sqlite3 loads no extensions, SQLite itself is told to."""
    vec = ctypes.CDLL(f"{importlib.import_module('sqlite_vec').loadable_path()}.so")
    ctypes.CDLL("libsqlite3.so.0").sqlite3_auto_extension(ctypes.cast(vec.sqlite3_vec_init, ctypes.c_void_p))
    theirs = folder / "vec.db"
    new = not theirs.exists()
    connection = sqlite3.connect(theirs)
    records = sqlite3.connect(folder / "records.db")
    if new:
        connection.execute(f"CREATE VIRTUAL TABLE vec USING vec0 (v float[{DIMENSIONS}] distance_metric=cosine)")
        ids, vectors = _vectors(records)
        pairs = ((id, vector.tobytes()) for id, vector in zip(ids, vectors, strict=True))
        connection.executemany("INSERT INTO vec (rowid, v) VALUES (?, ?)", pairs)
        connection.commit()

    async def find(vector: Vector) -> Sequence[str]:
        asked = numpy.asarray(vector, dtype=numpy.float32).tobytes()
        sql = "SELECT rowid FROM vec WHERE v MATCH ? AND k = 10 ORDER BY distance"
        rows: list[tuple[int]] = connection.execute(sql, (asked,)).fetchall()
        return _names(records, [id for (id,) in rows])

    yield find
    connection.close()
    records.close()


async def _search(side: str, folder: Path, seconds: float) -> dict[str, float]:
    """Times of one search, and of what an exact search finds how much it found."""
    queries = list(await Drawn(4).embed([""] * 200, purpose="query"))
    times: list[float] = []
    async with {"codin": _ours, "scan": _scan, "sqlite-vec": _sqlite_vec}[side](folder) as find, _scan(folder) as exact:
        for _ in range(_WARM):
            await find(queries[0])
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < _WARM:
            query = queries[len(times) % len(queries)]
            begun = time.perf_counter()
            await find(query)
            times.append((time.perf_counter() - begun) * 1e3)
        hits = [len(set(await find(query)) & set(await exact(query))) for query in queries[:10]]
    return {"best": min(times), "median": statistics.median(times), "recall": sum(hits) / 100}


async def _filter(keeps: str, folder: Path, seconds: float) -> dict[str, float]:
    backend = SQLiteMemory(folder / "records.db")
    await backend.open()
    queries = list(await Drawn(4).embed([""] * 200, purpose="query"))
    where = conditions_of(_FILTERS[keeps])
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 50:
        begun = time.perf_counter()
        query = queries[len(times) % len(queries)]
        found = await backend.nearest([_SCOPE], Drawn.space, query, where=where, limit=10)
        times.append((time.perf_counter() - begun) * 1e3)
        assert len(found) == (0 if keeps == "nothing" else 10)
    await backend.close()
    return {"best": min(times), "median": statistics.median(times)}


def _spread(how: str, draw: numpy.random.Generator, count: int) -> NDArray[numpy.float32]:
    """Vectors in clusters; with some directions that matter more, as models give them; and without any order."""
    vectors = draw.standard_normal((count, DIMENSIONS))
    fixed = numpy.random.default_rng(1).standard_normal((1000, DIMENSIONS))
    if how == "clustered":
        vectors += fixed[draw.integers(0, 1000, count)]
    elif how == "skewed":
        vectors = vectors * numpy.arange(1, DIMENSIONS + 1) ** -0.5 + fixed[0] * 0.05
    return (vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)).astype(numpy.float32)


async def _recall(spread: str, folder: Path, count: int) -> dict[str, float]:
    """Of the ten that are nearest, how many are found."""
    draw = numpy.random.default_rng(7)
    vectors = _spread(spread, draw, count)
    queries = _spread(spread, draw, 50)
    backend = SQLiteMemory(folder / f"{spread}.db")
    await backend.open()
    for start in range(0, count, 1000):
        part = zip(range(start, start + 1000), vectors[start : start + 1000].tolist(), strict=True)
        await backend.add(_SCOPE, [Indexed(Record(str(n), "text"), [], spread, vector) for n, vector in part])
    times: list[float] = []
    hits = 0
    for query in queries:
        begun = time.perf_counter()
        found = await backend.nearest([_SCOPE], spread, query.tolist(), limit=10)
        times.append((time.perf_counter() - begun) * 1e3)
        hits += len({int(one.record.id) for one in found} & set(numpy.argsort(vectors @ query)[-10:].tolist()))
    await backend.close()
    return {"recall": hits / 500, "median": statistics.median(times)}


async def _hybrid(how: Any, folder: Path, seconds: float) -> dict[str, float]:
    backend = SQLiteMemory(folder / "records.db")
    await backend.open()
    memory = Memory(backend, _SCOPE, embedder=Drawn(5))
    chance = random.Random(6)
    times: list[float] = []
    for _ in range(_WARM):
        await memory.records.search(text(chance, 4), how=how)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 100:
        query = text(chance, 4)
        begun = time.perf_counter()
        found = await memory.records.search(query, how=how)
        times.append((time.perf_counter() - begun) * 1e3)
        assert len(found) == 5
    await backend.close()
    p99 = statistics.quantiles(times, n=100)[98]
    return {"best": min(times), "median": statistics.median(times), "p99": p99, "megabytes": _megabytes()}


def main() -> None:
    """Print what was measured."""
    work, side, folder, seconds = sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
    match work:
        case "fill":
            answer: object = asyncio.run(_fill(folder, int(seconds)))
        case "append" | "crowd":
            answer = asyncio.run(_append(side, folder, seconds, crowd=work == "crowd"))
        case "filter":
            answer = asyncio.run(_filter(side, folder, seconds))
        case "recall":
            answer = asyncio.run(_recall(side, folder, int(seconds)))
        case "vectors":
            answer = asyncio.run(_search(side, folder, seconds))
        case _:
            answer = asyncio.run(_hybrid(side, folder, seconds))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
