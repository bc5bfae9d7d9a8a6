"""What only a memory in PostgreSQL can meet."""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from codin.errors import ConfigError, MemoryFailed, MemoryUnavailable, NotKept
from codin.memory import Indexed, Note, Record, Scope, Utterance, conditions_of, open_memory, terms_of
from codin.memory.backends.postgres import PostgresMemory
from codin.task.stores._scripts import scripts_of
from tests.memory.conftest import missing
from tests.servers import postgres
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")
BOB = Scope("", "clerk", "bob")


def said(text: str, number: int) -> Utterance:
    return Utterance(role="user", text=text, task_id="t", number=number, at=1000)


def indexed(id: str, text: str, vector: list[float] | None = None, **metadata: Any) -> Indexed:
    if vector is not None:
        vector = [number / math.hypot(*vector) for number in vector]
    return Indexed(Record(id, text, metadata, 1000), terms_of(text), "s" if vector else "", vector)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    if (reason := postgres.why_not()) is not None:
        missing("PostgreSQL", reason)
    with PostgresServer() as server:
        yield server


def database_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


async def table_held(url: str) -> Any:
    """A connection that lets nobody at what was said."""
    driver: Any = import_module("asyncpg")
    holding = await driver.connect(url)
    await holding.execute("BEGIN; LOCK TABLE codin_memory.utterance")
    return holding


# A server that is not there, or not for us


async def test_a_server_that_is_killed_comes_back(own_server: PostgresServer) -> None:
    memory = PostgresMemory(own_server.url(), patience=10)
    await memory.open()
    await memory.append(ADA, "c", [said("one", 1)])
    own_server.kill()
    async with asyncio.timeout(30):
        with pytest.raises(MemoryUnavailable):
            await memory.append(ADA, "c", [said("two", 2)])
        with pytest.raises(MemoryUnavailable):
            await memory.window(ADA, "c", limit=9)
    own_server.start()
    assert await memory.append(ADA, "c", [said("one", 1), said("two", 2)]) == 1
    assert [one.text for one in await memory.window(ADA, "c", limit=9)] == ["one", "two"]
    await memory.close()


async def test_a_call_that_is_under_way_when_the_server_is_killed_ends(own_server: PostgresServer) -> None:
    memory = PostgresMemory(own_server.url())
    await memory.open()
    holding = await table_held(own_server.url())
    call = asyncio.create_task(memory.append(ADA, "c", [said("one", 1)]))
    async with asyncio.timeout(30):
        while not await holding.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass
        own_server.kill()
        with pytest.raises(MemoryUnavailable):
            await call
    holding.terminate()
    own_server.start()
    assert await memory.append(ADA, "c", [said("one", 1)]) == 1
    assert len(await memory.window(ADA, "c", limit=9)) == 1
    await memory.close()


async def test_a_statement_that_takes_too_long_is_given_up(postgres_server: PostgresServer, postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url)
    await memory.open()  # which makes tables, and may take its time
    await memory.close()
    memory = PostgresMemory(postgres_url, patience=2.0)
    await memory.open()
    holding = await table_held(postgres_url)
    async with asyncio.timeout(30):
        with pytest.raises(MemoryUnavailable):
            await memory.append(ADA, "c", [said("one", 1)])
    await holding.close()
    assert await memory.append(ADA, "c", [said("one", 1)]) == 1
    await memory.close()


@pytest.mark.parametrize(
    ("user", "database"), [("nobody:hunter2-secret", "postgres"), ("postgres:hunter2-secret", "nowhere")]
)
async def test_a_wrong_user_or_database_is_said_without_the_password(
    postgres_server: PostgresServer, user: str, database: str
) -> None:
    memory = open_memory(postgres_server.url(database, user=user))
    with pytest.raises(MemoryUnavailable) as raised:
        await memory.open()
    assert "URL" in str(raised.value)
    assert "hunter2" not in f"{raised.value!s}{raised.value!r}{raised.value.__cause__!r}{memory!r}"


async def test_no_server_and_no_url(tmp_path: Any) -> None:
    memory = open_memory(f"postgresql://ada:hunter2-secret@/db?host={tmp_path}")
    with pytest.raises(MemoryUnavailable) as raised:
        await memory.open()
    assert "hunter2" not in f"{raised.value!s}{raised.value.__cause__!r}"
    with pytest.raises(MemoryFailed, match="not open"):
        await memory.window(ADA, "c", limit=1)
    with pytest.raises(ConfigError) as refused:
        await open_memory("postgresql://ada:hunter2-secret@host/db?sslmode=maybe").open()
    assert "hunter2" not in str(refused.value)


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"codin\[postgres\]"):
        open_memory("postgresql://localhost/db")


# Migrations


async def test_several_that_open_at_once_make_the_tables_once(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    memories = [PostgresMemory(postgres_url) for _ in range(4)]
    await asyncio.gather(*(memory.open() for memory in memories))
    await asyncio.gather(*(memory.close() for memory in memories))
    applied = postgres_server.ask("SELECT number FROM codin_memory.migration ORDER BY 1", database_of(postgres_url))
    shipped = scripts_of("codin.memory.backends._postgres")
    assert applied.split() == [str(number) for number in range(1, len(shipped) + 1)]


async def test_what_a_newer_codin_made_is_left_alone(postgres_server: PostgresServer, postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url)
    await memory.open()
    await memory.close()
    postgres_server.ask("INSERT INTO codin_memory.migration VALUES (999)", database_of(postgres_url))
    with pytest.raises(MemoryFailed, match="version 999") as raised:
        await memory.open()
    assert raised.value.hint is not None
    assert "upgrade" in raised.value.hint


async def test_where_pgvector_may_not_be_installed_somebody_else_has_to(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = database_of(postgres_url)
    plain = f"plain_{database}"
    postgres_server.ask(f"CREATE ROLE {plain} LOGIN")
    postgres_server.ask(f"GRANT CREATE ON DATABASE {database} TO {plain}")
    memory = PostgresMemory(postgres_server.url(database, user=plain))
    with pytest.raises(MemoryFailed) as raised:
        await memory.open()
    assert raised.value.hint is not None
    assert "CREATE EXTENSION vector" in raised.value.hint
    postgres_server.ask("CREATE EXTENSION vector", database)
    await memory.open()
    await memory.add(ADA, [indexed("a", "walrus", [1, 0])])
    assert len(await memory.nearest([ADA], "s", [1.0, 0.0], limit=1)) == 1
    await memory.close()
    postgres_server.ask(f"DROP OWNED BY {plain}", database)
    postgres_server.ask(f"DROP ROLE {plain}")


# What is kept


async def test_names_and_values_are_never_taken_for_statements(postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url, exact=0, index_from=1)
    await memory.open()
    evil = "'); DROP SCHEMA codin_memory CASCADE; --\"$1 %s \\"
    scope = Scope(evil, evil, evil)
    await memory.append(scope, evil, [Utterance(role="user", text=evil, task_id=evil, number=1, at=1)])
    await memory.put_note(scope, evil, Note(evil, {evil: evil}))
    await memory.add(scope, [Indexed(Record(evil, evil, {"a": evil}, 1), [evil], evil, [1.0, 0.0])])
    assert await memory.index() <= 1
    (found,) = await memory.matching([scope], [evil], where=conditions_of({"a": evil}), limit=9)
    assert found.record.text == evil
    assert len(await memory.nearest([scope], evil, [1.0, 0.0], where=conditions_of({"a": {"gte": evil}}), limit=9)) == 1
    assert [note.value for note in await memory.notes(scope, evil, 5, prefix=evil)] == [{evil: evil}]
    assert await memory.forget(evil, evil, evil) == 3
    await memory.close()


async def test_letters_that_a_database_does_not_take(postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url)
    await memory.open()
    odd = Utterance(role="user", text="a\x00b", parts=[{"text": "\x00"}], at=1)
    await memory.append(ADA, "c", [odd])
    (read,) = await memory.window(ADA, "c", limit=1)
    assert (read.text, list(read.parts)) == ("a\ufffdb", [{"text": "\x00"}])
    await memory.put_note(ADA, "", Note("key", "\x00"))
    note = await memory.note(ADA, "", "key", 9)
    assert note is not None
    assert note.value == "\x00"
    long = "".join(random.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=10_000))
    for bad in ("\x00", "\ud800", long):
        with pytest.raises(NotKept):
            await memory.append(ADA, bad, [said("one", 1)])
    with pytest.raises(NotKept):
        await memory.add(ADA, [indexed("a", "walrus", [1, 0]), indexed("b", "walrus", [1, 0, 0])])
    with pytest.raises(NotKept):
        await memory.append(ADA, "c", [Utterance(role="user", text="half \ud800", parts=[{"text": "\ud800"}], at=1)])
    assert not await memory.records(ADA)
    await memory.close()


async def test_numbers_of_metadata_come_back_as_they_were(postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url)
    await memory.open()
    numbers = {"a": 1e300, "b": 5e-324, "c": 0.1, "d": 2**53, "e": -(2**53), "f": 3.0, "g": 1e23}
    await memory.add(ADA, [indexed("a", "walrus", None, **numbers)])
    (record,) = await memory.records(ADA)
    assert record.metadata == numbers
    assert {name: type(value) for name, value in record.metadata.items()} == {
        name: type(value) for name, value in numbers.items()
    }
    for name, value in numbers.items():
        assert await memory.records(ADA, where=conditions_of({name: value}))
        assert await memory.records(ADA, where=conditions_of({name: {"gte": value, "lte": value}}))
    await memory.close()


async def test_many_who_write_and_forget_at_once_leave_right_counts(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    memories = [PostgresMemory(postgres_url), PostgresMemory(postgres_url)]
    for memory in memories:
        await memory.open()
    names = [str(n) for n in range(20)]
    calls: list[Any] = []
    for turn in range(6):
        for memory, order in zip(memories, (names, names[::-1]), strict=True):
            calls += [
                memory.add(ADA, [indexed(name, f"walrus {turn}", [1, turn]) for name in order]),
                memory.add(BOB, [indexed(name, "zebra") for name in order]),
                memory.delete(ADA, order[:5]),
                memory.append(BOB, "c", [said(str(turn), turn)]),
                memory.put_note(BOB, "", Note("key", turn)),
                memory.put_blobs(BOB, "s", dict.fromkeys(order, b"1"), at=turn * 300),
                memory.drop_blobs(BOB, "s", order[:5]),
                memory.trim(before=500 + turn * 200, now=9),
                memory.forget("", caller="bob" if turn % 2 else None),
            ]
    async with asyncio.timeout(60):
        await asyncio.gather(*calls)
    counts = """
        SELECT count(*) FROM codin_memory.scope WHERE records <> (SELECT count(*) FROM codin_memory.record
            WHERE scope = scope.id) OR words <> (SELECT count(*) * 2 FROM codin_memory.record WHERE scope = scope.id)"""
    orphans = "SELECT count(*) FROM codin_memory.word WHERE record NOT IN (SELECT key FROM codin_memory.record)"
    await memories[0].forget("", caller="bob")
    assert postgres_server.ask(counts, database_of(postgres_url)).strip() == "0"
    assert postgres_server.ask(orphans, database_of(postgres_url)).strip() == "0"
    for memory in memories:
        await memory.close()


async def test_what_is_forgotten_is_in_no_table(postgres_server: PostgresServer, postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url)
    await memory.open()
    await memory.append(ADA, "c", [said("one", 1)])
    await memory.put_note(ADA, "", Note("key", 1))
    await memory.put_blobs(ADA, "s", {"a": b"1"}, at=9000)
    assert await memory.trim(before=5000, now=9) == 1
    await memory.append(ADA, "c", [said("two", 2)])
    await memory.add(ADA, [indexed("a", "walrus", [1, 0])])
    assert await memory.forget("", caller="ada") == 4
    for table in ("scope", "conversation", "utterance", "trimmed", "note", "shelf", "blob", "record", "word"):
        assert postgres_server.ask(f"SELECT count(*) FROM codin_memory.{table}", database_of(postgres_url)) == "0\n"
    await memory.close()


# Indexes of vectors


async def until_indexed(server: PostgresServer, url: str) -> None:
    made = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('codin_memory.record_nearest_1')"
    async with asyncio.timeout(30):
        while await asyncio.to_thread(server.ask, made, database_of(url)) != "t\n":
            pass


def some_records(count: int) -> list[Indexed]:
    luck = random.Random(7)
    return [
        indexed(f"{n:05}", f"number {n}", [luck.gauss(0, 1) for _ in range(8)], rare=n % 100 == 0, n=n)
        for n in range(count)
    ]


async def test_a_large_space_gets_an_index_and_searches_find_as_many(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    memory = PostgresMemory(postgres_url, exact=0, index_from=1500)
    exact = PostgresMemory(postgres_url)
    await memory.open()
    await exact.open()
    records = some_records(2000)
    await exact.add(ADA, records[:1000])
    assert await memory.index() == 0
    await exact.add(ADA, records[1000:])
    await exact.add(BOB, records[:50])
    await memory.index()
    await until_indexed(postgres_server, postgres_url)
    assert await memory.index() == 0
    postgres_server.ask("ANALYZE", database_of(postgres_url))
    query = [1.0, *[0.0] * 7]
    near = {one.record.id for one in await memory.nearest([ADA], "s", query, limit=20)}
    nearest = {one.record.id for one in await exact.nearest([ADA], "s", query, limit=20)}
    assert len(near) == 20
    assert len(near & nearest) >= 16
    rare = conditions_of({"rare": True})
    found = await memory.nearest([ADA], "s", query, where=rare, limit=20)
    assert {one.record.id for one in found} == {
        record.record.id for record in records if record.record.metadata["rare"]
    }
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(await memory.nearest([BOB], "s", query, limit=40)) == 40
    used = "SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE indexrelname LIKE 'record_nearest_%'"
    await memory.close()
    await exact.close()
    assert postgres_server.ask(used, database_of(postgres_url)) == "t\n"


async def test_an_index_is_made_by_itself(postgres_server: PostgresServer, postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url, index_from=100)
    await memory.open()
    await memory.add(ADA, some_records(200))
    await until_indexed(postgres_server, postgres_url)
    await memory.close()


async def test_an_index_that_was_not_finished_is_made_anew(postgres_server: PostgresServer, postgres_url: str) -> None:
    memory = PostgresMemory(postgres_url, index_from=150)
    await memory.open()
    await memory.add(ADA, some_records(99))
    other = PostgresMemory(postgres_url)  # of which the first knows nothing
    await other.open()
    await other.add(BOB, some_records(99))
    await other.close()
    await memory.index()
    await until_indexed(postgres_server, postgres_url)
    await memory.close()
    database = database_of(postgres_url)
    postgres_server.ask(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'codin_memory.record_nearest_1'::regclass", database
    )
    await memory.open()  # which looks by itself, after a while
    await until_indexed(postgres_server, postgres_url)
    await memory.close()
