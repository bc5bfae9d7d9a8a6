"""What SQLite's memory promises beyond the contract: its words, its vectors, its file."""

from __future__ import annotations

import asyncio
import json
import math
import random
import sqlite3
import stat
import sys
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest

from codin.errors import ConfigError, MemoryFailed, MemoryUnavailable, NotKept
from codin.memory import (
    Indexed,
    Note,
    Record,
    Scope,
    Stats,
    Summary,
    Utterance,
    conditions_of,
    fits,
    open_memory,
    terms_of,
)
from codin.memory.backends._sqlite import codes
from codin.memory.backends._sqlite import vectors as search
from codin.memory.backends._sqlite.records import floats
from codin.memory.backends.sqlite import SQLiteMemory
from codin.task.stores import SQLiteStore
from codin.task.stores._scripts import scripts_of

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")
BOB = Scope("", "clerk", "bob")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
async def memory(path: Path) -> AsyncIterator[SQLiteMemory]:
    opened = SQLiteMemory(path)
    await opened.open()
    yield opened
    await opened.close()


def unit(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector)
    return [number / length for number in vector]


def clustered(chance: random.Random, count: int, centres: Sequence[Sequence[float]]) -> list[list[float]]:
    """Vectors as texts have them: many about few things."""
    return [unit([number + chance.gauss(0, 0.08) for number in chance.choice(centres)]) for _ in range(count)]


async def fill(memory: SQLiteMemory, scope: Scope, vectors: Sequence[Sequence[float]], space: str = "s") -> None:
    for start in range(0, len(vectors), 1000):
        part = enumerate(vectors[start : start + 1000], start)
        await memory.add(scope, [Indexed(Record(str(n), "text", {"n": n}, 1), ["text"], space, v) for n, v in part])


async def nearest(memory: SQLiteMemory, vector: Sequence[float], limit: int = 10, **where: object) -> list[str]:
    found = await memory.nearest([ADA], "s", vector, where=conditions_of(where), limit=limit)
    return [one.record.id for one in found]


def exact(vectors: Sequence[Sequence[float]], query: Sequence[float], limit: int = 10) -> list[str]:
    cosines = {str(n): sum(a * b for a, b in zip(vector, query, strict=True)) for n, vector in enumerate(vectors)}
    return sorted(cosines, key=lambda id: -cosines[id])[:limit]


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


# Words


@pytest.mark.parametrize(
    "terms",
    [
        terms_of("東京タワーの高さ"),
        ["٣", "३", "3", "三"],
        ["ก็", "กิ", "กี", "ก"],  # a letter with marks is one term, and not the letter
        ["क्षि", "क", "षि"],
        ["é", "e\u0301", "e"],
        ["ß", "ss", "ſ", "s", "ı", "i"],
        ["\U0001e922", "\ua7f6", "\U00010570", "x"],  # letters that are younger than SQLite's tables
        ["and", "or", "not", "near", "null", "x" * 64, "1"],
    ],
    ids=" ".join,
)
async def test_every_term_stays_whole_and_as_it_is(memory: SQLiteMemory, terms: list[str]) -> None:
    await memory.add(ADA, [Indexed(Record(term, term), [term, "all"]) for term in terms])
    for term in terms:
        assert [one.record.id for one in await memory.matching([ADA], [term], limit=9)] == [term]
    await memory.delete(ADA, terms)
    assert not await memory.matching([ADA], [*terms, "all"], limit=9)


async def test_a_word_is_as_rare_as_it_is_in_its_own_scope(memory: SQLiteMemory) -> None:
    texts = ["often one", "often two", "often three", "seldom four", *(f"filler n{n}" for n in range(20))]
    await memory.add(ADA, [Indexed(Record(str(n), text), text.split()) for n, text in enumerate(texts)])
    await memory.add(BOB, [Indexed(Record(str(n), "seldom"), ["seldom", "two"]) for n in range(500)])
    found = await memory.matching([ADA], ["often", "seldom"], limit=9)
    assert [one.record.id for one in found] == ["3", "2", "1", "0"]


async def test_words_that_nearly_all_have_fill_up_behind_rarer_ones(memory: SQLiteMemory) -> None:
    for start in range(0, 6000, 1000):
        names = [str(n) for n in range(start, start + 1000)]
        records = [Record(name, "", {"n": int(name)}) for name in names]
        await memory.add(ADA, [Indexed(one, ["common", "usual", f"only{one.id}"]) for one in records])
    found = await memory.matching([ADA], ["common", "only7", "usual", "only4000"], limit=5)
    assert {one.record.id for one in found[:2]} == {"7", "4000"}
    assert len({one.record.id for one in found}) == 5
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(await memory.matching([ADA], ["common"], limit=50)) == 50
    few = await memory.matching([ADA], ["common", "only7"], where=conditions_of({"n": {"lt": 3}}), limit=9)
    assert {one.record.id for one in few} == {"0", "1", "2"}
    many = [f"only{n}" for n in range(300)]
    assert len(await memory.matching([ADA], many, limit=1000)) == 300


# Vectors


async def test_among_20_000_vectors_nearly_all_of_the_nearest_are_found(memory: SQLiteMemory) -> None:
    chance = random.Random(5)
    centres = [unit([chance.gauss(0, 1) for _ in range(64)]) for _ in range(100)]
    vectors = clustered(chance, 20_000, centres)
    await fill(memory, ADA, vectors)
    queries = clustered(chance, 10, centres)
    hits = [len(set(exact(vectors, query)) & set(await nearest(memory, query))) for query in queries]
    assert sum(hits) >= 95
    # What fits a filter is searched for until there is enough of it, however far away.
    found = await nearest(memory, queries[0], 10, n={"lt": 300})
    assert found == exact(vectors[:300], queries[0])


def described(n: int) -> dict[str, Any]:
    """Metadata of which each filter below fits few."""
    rare, page = n % 10 == 0, n % 100
    tags = ["common", "common", *(["rare"] if rare else [])]
    return {"page": page, "half": page / 2 + 0.1, "rare": rare, "tags": tags, **({"name": f"é{page}"} if rare else {})}


FEW: list[dict[str, Any]] = [
    {"page": 7},
    {"half": 3.6},
    {"page": {"in": [1, 2.0, "3"]}},
    {"page": {"gt": 95}, "half": {"lt": 49}},
    {"page": {"lte": 3}, "rare": False},
    {"rare": True},
    {"rare": {"ne": False}},
    {"rare": 1},
    {"tags": "rare"},
    {"tags": ["rare", "absent"]},
    {"tags": {"gte": "a"}},
    {"name": "é50"},
    {"name": {"gt": "é4", "lt": "é6"}},
    {"name": {"exists": True}},
    {"name": {"ne": "é50"}, "rare": True},
    {"tags": {"exists": False}},
    {"page": {"ne": 5}, "tags": {"ne": "common"}},
    {"absent": 1},
]


@pytest.mark.parametrize("where", FEW, ids=str)
async def test_what_few_fit_is_found_wherever_it_is(memory: SQLiteMemory, where: dict[str, Any]) -> None:
    chance = random.Random(10)
    vectors = [unit([chance.gauss(0, 1) for _ in range(16)]) for _ in range(2500)]
    for start in range(0, 2500, 500):
        names = range(start, start + 500)
        await memory.add(ADA, [Indexed(Record(f"{n}", "", {"page": 7}), [], "s", vectors[n]) for n in names])
        await memory.add(ADA, [Indexed(Record(f"{n}", "", described(n)), [], "s", vectors[n]) for n in names])
    await memory.add(BOB, [Indexed(Record("his", "", described(0)), [], "s", vectors[0])])
    await memory.delete(ADA, [f"{n}" for n in range(0, 2500, 3)])
    fit = [n for n in range(2500) if n % 3 and fits(conditions_of(where), described(n))]
    assert len(fit) <= 400
    for query in vectors[:3]:
        found = await memory.nearest([ADA], "s", query, where=conditions_of(where), limit=10)
        wanted = exact([vectors[n] for n in fit], query)
        assert [one.record.id for one in found] == [f"{fit[int(place)]}" for place in wanted]


async def test_few_vectors_are_compared_exactly(memory: SQLiteMemory) -> None:
    chance = random.Random(6)
    vectors = [unit([chance.gauss(0, 1) for _ in range(7)]) for _ in range(400)]
    await fill(memory, ADA, vectors)
    for query in vectors[:20]:
        assert await nearest(memory, query) == exact(vectors, query)


@pytest.mark.parametrize("kept", [0, 20_000])
async def test_what_is_too_much_to_keep_is_read_each_time(
    memory: SQLiteMemory, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(search, "_BLOCK", 150)
    monkeypatch.setattr(search, "_KEPT", kept)
    chance = random.Random(7)
    vectors = [unit([chance.gauss(0, 1) for _ in range(8)]) for _ in range(390)]
    for start in range(0, 390, 130):
        await fill(memory, Scope("", "clerk", f"{start}"), vectors[start : start + 130])
    scopes = [Scope("", "clerk", f"{start}") for start in range(0, 390, 130)]
    for query in vectors[::40]:
        found = await memory.nearest(scopes, "s", query, limit=5)
        best = exact(vectors, query, 5)
        assert [str(int(one.scope.caller) + int(one.record.id)) for one in found] == best


async def test_bits_are_counted_by_a_table_where_numpy_cannot(
    memory: SQLiteMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(8)
    vectors = [unit([chance.gauss(0, 1) for _ in range(70)]) for _ in range(900)]
    await fill(memory, ADA, vectors)
    counted = [await nearest(memory, query) for query in vectors[:20]]
    monkeypatch.setattr(codes, "_ones", codes._ones_by_table)  # pyright: ignore[reportPrivateUsage]
    assert [await nearest(memory, query) for query in vectors[:20]] == counted


async def test_what_another_process_has_removed_makes_room(memory: SQLiteMemory, path: Path) -> None:
    chance = random.Random(9)
    vectors = [unit([chance.gauss(0, 1) for _ in range(16)]) for _ in range(2000)]
    await fill(memory, ADA, vectors)
    await nearest(memory, vectors[0])
    other = SQLiteMemory(path)
    await other.open()
    for start in range(100, 2000, 500):
        await other.delete(ADA, [str(n) for n in range(start, min(start + 500, 2000))])
    await other.close()
    others = [id for id in exact(vectors[:100], vectors[0], 11) if id != "0"]
    assert await nearest(memory, vectors[0], n={"ne": 0}) == others
    for query in vectors[:3]:
        assert await nearest(memory, query) == exact(vectors[:100], query)


async def test_vectors_of_another_length_are_refused_and_nothing_is_kept(memory: SQLiteMemory) -> None:
    await memory.add(ADA, [Indexed(Record("a", "a"), ["a"], "s", [1.0, 0.0])])
    with pytest.raises(NotKept, match="'s' has 2 numbers, and one of these has 3"):
        await memory.add(
            ADA,
            [Indexed(Record("b", "b"), ["b"], "s", [0.0, 1.0]), Indexed(Record("c", "c"), ["c"], "s", [1.0, 0.0, 0.0])],
        )
    with pytest.raises(MemoryFailed, match="has 2 numbers, that of the query has 3"):
        await memory.nearest([ADA], "s", [1.0, 0.0, 0.0], limit=3)
    assert [record.id for record in await memory.records(ADA)] == ["a"]


async def test_without_numpy_vectors_are_refused_and_words_are_not(
    memory: SQLiteMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "codin.memory.backends._sqlite.vectors", None)
    await memory.add(ADA, [Indexed(Record("a", "walrus"), ["walrus"])])
    assert len(await memory.matching([ADA], ["walrus"], limit=3)) == 1
    with pytest.raises(ConfigError, match="need NumPy") as raised:
        await memory.add(ADA, [Indexed(Record("b", "b"), ["b"], "s", [1.0])])
    assert raised.value.hint == "pip install 'codin[memory]'"
    with pytest.raises(ConfigError, match="need NumPy"):
        await memory.nearest([ADA], "s", [1.0], limit=3)


# Erasure


# With these seeds SQLite leaves copies of deleted rows in pages that it has divided, unless the file is written anew.
@pytest.mark.parametrize("seed", [5, 8, 10, 12])
async def test_nothing_of_a_caller_is_left_in_the_files(memory: SQLiteMemory, path: Path, seed: int) -> None:
    chance = random.Random(seed)
    secrets: list[str] = []

    def secret() -> str:
        # One that is folded, so that its term is another word than it.
        word = "".join(chance.choices("bcdfgjklmnpqrtvwxz", k=9))
        secrets.extend([f"Ö{word}É", f"o{word}e"])
        return secrets[-2]

    gone, kept = Scope("", "clerk", secret()), BOB
    for n in range(30):
        for scope in (gone, kept):
            word = secret if scope is gone else lambda: "public"
            texts = [" ".join(["filler"] * chance.randrange(180) + [word()]) for _ in range(chance.randrange(1, 40))]
            records = [Record(f"{word()}{chance.randrange(100)}", text, {"key": word()}, 1) for text in texts]
            await memory.add(scope, [Indexed(one, terms_of(one.text), "s", [0.6, 0.8]) for one in records])
            await memory.append(
                scope, word() if n % 3 == 0 else "c",
                [Utterance(role="user", text=word() * chance.randrange(1, 300), parts=[{"a": word()}],
                           metadata={"b": word()}, task_id=word(), number=n)],
            )  # fmt: skip
            await memory.put_note(scope, word(), Note(word(), [word()]))
            shelf = word() if n % 3 == 0 else "s"
            await memory.put_blobs(scope, shelf, {word(): word().encode() * 999, "replaced": word().encode()}, at=1)
            if n % 5 == 1:
                await memory.drop_blobs(scope, shelf, (await memory.blob_keys(scope, shelf))[:1])
            await memory.summarise(scope, "c", Summary(word(), n))
            if n % 3 == 1:
                await memory.delete(scope, [record.id for record in await memory.records(scope, limit=20)])
    await memory.matching([gone], ["filler"], limit=3)
    assert any(word.encode() in contents(path)["memory.db-wal"] for word in secrets)
    left = await memory.stats(*kept)
    assert await memory.forget("", caller=gone.caller) > 30
    files = contents(path).items()
    assert [(name, word) for name, data in files for word in secrets if word.encode() in data] == []
    assert await memory.stats("") == left
    assert await memory.matching([kept], ["public"], limit=3)


async def test_what_was_deleted_before_is_out_of_the_files_as_well(memory: SQLiteMemory, path: Path) -> None:
    await memory.add(ADA, [Indexed(Record("a", "unforgettable"), ["unforgettable"])])
    await memory.delete(ADA, ["a"])
    await memory.put_note(ADA, "", Note("unforgettable", 1))
    await memory.drop_note(ADA, "", "unforgettable")
    assert await memory.forget("", caller="ada") == 0
    assert b"unforgettable" not in b"".join(contents(path).values())


async def test_two_that_forget_at_once(memory: SQLiteMemory, path: Path) -> None:
    other = SQLiteMemory(path)
    await other.open()

    async def forget(by: SQLiteMemory, scope: Scope) -> None:
        for n in range(12):
            await by.append(scope, "c", [Utterance(role="user", text=f"unforgettable {n}")])
            assert await by.forget(*scope) == 1

    await asyncio.gather(forget(memory, ADA), forget(other, BOB))
    await other.close()
    assert b"unforgettable" not in b"".join(contents(path).values())


async def test_forgetting_more_than_one_transaction_takes(memory: SQLiteMemory) -> None:
    for start in (0, 1000):
        await memory.add(ADA, [Indexed(Record(str(n), "a", at=n), ["a"]) for n in range(start, start + 1000)])
    await memory.append(ADA, "c", [Utterance(role="user", text="a", at=n) for n in range(1000)])
    assert await memory.trim(before=700, now=0) == 1400
    assert await memory.forget("") == 1600
    assert await memory.stats("") == Stats()


# The file


async def test_a_file_of_the_first_version_is_brought_to_this_one(path: Path) -> None:
    chance = random.Random(11)
    vectors = [unit([chance.gauss(0, 1) for _ in range(16)]) for _ in range(1000)]
    signs = codes.sign_codes(numpy.asarray(vectors, dtype=numpy.float32))
    connection = sqlite3.connect(path)
    connection.executescript(scripts_of("codin.memory.backends._sqlite")[0])
    connection.execute(f"PRAGMA application_id = {0x636F646D}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO scopes VALUES (1, '', 'clerk', 'ada')")
    connection.execute("INSERT INTO spaces VALUES (1, 's', 16)")
    connection.executemany(
        "INSERT INTO records VALUES (?, 1, ?, 1, 1, ?, 'text', ?)",
        [(n + 1, str(n), json.dumps(described(n)), zlib.compress(b"")) for n in range(1000)],
    )
    connection.executemany(
        "INSERT INTO vectors VALUES (?, ?)", [(n + 1, floats(vector)) for n, vector in enumerate(vectors)]
    )
    connection.executemany(
        "INSERT INTO codes VALUES (1, 1, ?, ?)", [(n + 1, code.tobytes()) for n, code in enumerate(signs)]
    )
    connection.commit()
    connection.close()
    memory = SQLiteMemory(path)
    await memory.open()
    rare = vectors[::10]
    for query in vectors[:3]:
        assert [int(id) // 10 for id in await nearest(memory, query, tags="rare")] == [
            int(n) for n in exact(rare, query)
        ]
    assert await memory.forget("") == 1000
    assert await memory.stats("") == Stats()
    await memory.close()


async def test_of_many_that_write_at_once_one_that_fails_takes_nobody_with_it(memory: SQLiteMemory, path: Path) -> None:
    texts = ["\ud800" if n % 7 == 3 else f"{n}" for n in range(300)]
    said = [Utterance(role="user", text=text, task_id="t", number=n + 1) for n, text in enumerate(texts)]
    results = await asyncio.gather(*(memory.append(ADA, "c", [one]) for one in said), return_exceptions=True)
    assert [result == 1 for result in results] == [text != "\ud800" for text in texts]
    assert all(isinstance(result, NotKept) for result in results if result != 1)
    kept = [one.text for one in await memory.window(ADA, "c", limit=1000)]
    assert kept == [text for text in texts if text != "\ud800"]


async def test_many_that_write_at_once_share_what_is_written(memory: SQLiteMemory, path: Path) -> None:
    log = path.with_name("memory.db-wal")

    def said(n: int) -> list[Utterance]:
        return [Utterance(role="user", text=f"{n}", task_id="t", number=n)]

    for n in range(1, 101):
        await memory.append(ADA, "alone", said(n))
    alone = log.stat().st_size
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # until all of them are there
    together = [asyncio.create_task(memory.append(ADA, "together", said(n))) for n in range(1, 101)]
    for _ in range(3):
        await asyncio.sleep(0)
    other.execute("ROLLBACK")
    other.close()
    await asyncio.gather(*together)
    assert (log.stat().st_size - alone) * 3 < alone
    assert len(await memory.window(ADA, "together", limit=1000)) == 100


async def test_the_file_is_its_owners_alone(memory: SQLiteMemory, path: Path) -> None:
    await memory.put_note(ADA, "", Note("a", 1))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_many_that_open_a_new_file_at_once(path: Path) -> None:
    memories = [SQLiteMemory(path) for _ in range(12)]
    await asyncio.gather(*(memory.open() for memory in memories))
    await asyncio.gather(*(memory.put_note(ADA, "", Note(str(n), n)) for n, memory in enumerate(memories)))
    assert len(await memories[0].notes(ADA, "", 1)) == 12
    await asyncio.gather(*(memory.close() for memory in memories))


async def test_who_is_called_off_while_it_opens_lets_go_of_the_file(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")  # which is there as long as anybody has the file open
    memory = SQLiteMemory(path)
    finished, turns = False, 0
    while not finished:
        opening = asyncio.create_task(memory.open())
        for _ in range(turns):
            await asyncio.sleep(0)
        finished = opening.done()
        opening.cancel()
        await asyncio.wait([opening])
        assert log.exists() is finished, turns
        turns += 1 + turns // 4
    await memory.close()


async def test_who_is_called_off_leaves_it_to_those_who_open_it_too(path: Path) -> None:
    memory = SQLiteMemory(path)
    for _ in range(3):  # nobody has it open; then somebody has
        openings = [asyncio.create_task(memory.open()) for _ in range(3)]
        await asyncio.sleep(0)
        openings[0].cancel()
        openings[2].cancel()
        await asyncio.wait(openings)
        await openings[1]
        assert (await memory.stats("")).records == 0
    await memory.close()


async def test_another_programs_database_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = contents(path)
    with pytest.raises(MemoryFailed, match="another program"):
        await SQLiteMemory(path).open()
    assert contents(path) == before


async def test_a_store_of_tasks_is_no_memory(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    await store.close()
    with pytest.raises(MemoryFailed, match="another program"):
        await SQLiteMemory(path).open()


async def test_a_newer_version_is_refused(memory: SQLiteMemory, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(MemoryFailed, match="schema version 99") as raised:
        await SQLiteMemory(path).open()
    assert "upgrade" in (raised.value.hint or "")


async def test_a_file_of_the_first_version_is_brought_forward(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(scripts_of("codin.memory.backends._sqlite")[0])
        connection.execute("INSERT INTO scopes (id, tenant, agent, caller) VALUES (1, ?, ?, ?)", ADA)
        connection.execute("INSERT INTO notes (scope, context, key, value, at) VALUES (1, '', 'name', '\"Ada\"', 5)")
        connection.execute(f"PRAGMA application_id = {0x636F646D}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    memory = SQLiteMemory(path)
    await memory.open()
    assert await memory.note(ADA, "", "name", 9) == Note("name", "Ada", 5)
    await memory.put_blobs(ADA, "s", {"a": b"1"}, at=1)
    assert await memory.stats("") == Stats(notes=1, blobs=1)
    await memory.close()


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"Dear diary, " * 1000)
    before = contents(path)
    with pytest.raises(MemoryFailed, match="not a database"):
        await SQLiteMemory(path).open()
    assert contents(path) == before


async def test_a_folder_that_is_not_there(path: Path) -> None:
    with pytest.raises(MemoryUnavailable) as raised:
        await SQLiteMemory(path / "missing" / "memory.db").open()
    assert "folder" in (raised.value.hint or "")


def test_what_is_no_place_for_a_memory() -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///a.db?synchronous=off", "sqlite:///a.db?cache=1"):
        with pytest.raises(ConfigError):
            open_memory(url)


async def test_a_memory_that_is_not_open(path: Path) -> None:
    memory = SQLiteMemory(path)
    with pytest.raises(MemoryFailed, match="not open"):
        await memory.window(ADA, "c", limit=1)
    await memory.open()
    await memory.close()
    await memory.close()
    with pytest.raises(MemoryFailed, match="not open"):
        await memory.put_note(ADA, "", Note("a", 1))


async def test_what_no_file_can_keep_is_refused_as_a_whole(memory: SQLiteMemory) -> None:
    good = Utterance(role="user", text="good")
    for bad in (Utterance(role="user", text="\ud800"), Utterance(role="user", text="", at=2**70)):
        with pytest.raises(NotKept):
            await memory.append(ADA, "c", [good, bad])
    for metadata in ({"a": math.inf}, {"a": "\ud800"}):
        with pytest.raises(NotKept):
            await memory.add(ADA, [Indexed(Record("a", "a"), ["a"]), Indexed(Record("b", "b", metadata), ["b"])])
    assert await memory.stats("") == Stats()


async def test_a_decimal_equals_itself(memory: SQLiteMemory) -> None:
    chance = random.Random(3)
    numbers = [chance.random() * 10 ** chance.randrange(-9, 9) for _ in range(300)]
    await memory.add(ADA, [Indexed(Record(str(n), "a", {"x": number}), []) for n, number in enumerate(numbers)])
    for n, number in enumerate(numbers):
        assert [record.id for record in await memory.records(ADA, where=conditions_of({"x": number}))] == [str(n)]
