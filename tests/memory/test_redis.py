"""What only a memory in Redis can meet."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from typing import Any

import pytest

from codin.errors import ConfigError, MemoryFailed, MemoryUnavailable, NotKept
from codin.memory import Indexed, Note, Record, Scope, Utterance, conditions_of, open_memory, terms_of
from codin.memory.backends.redis import RedisMemory
from tests.memory.conftest import missing
from tests.servers import redis
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")
BOB = Scope("", "clerk", "bob")


def said(text: str, number: int) -> Utterance:
    return Utterance(role="user", text=text, task_id="t", number=number, at=1000)


def indexed(id: str, text: str, vector: list[float] | None = None, **metadata: Any) -> Indexed:
    return Indexed(Record(id, text, metadata, 1000), terms_of(text), "s" if vector else "", vector)


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server that a test may kill; its settings are the fixture's parameter."""
    if (reason := redis.why_not()) is not None:
        missing("Redis", reason)
    with RedisServer(*getattr(request, "param", ())) as server:
        yield server


# A server that is not there, is full, or is not for us


async def test_a_server_that_is_killed_comes_back(own_server: RedisServer) -> None:
    memory = RedisMemory(own_server.url(), patience=5)
    await memory.open()
    await memory.append(ADA, "c", [said("one", 1)])
    await memory.add(ADA, [indexed("a", "walrus", [1.0, 0.0])])
    assert len(await memory.nearest([ADA], "s", [1.0, 0.0], limit=9)) == 1
    own_server.kill()
    async with asyncio.timeout(30):
        with pytest.raises(MemoryUnavailable):
            await memory.append(ADA, "c", [said("two", 2)])
        with pytest.raises(MemoryUnavailable):
            await memory.nearest([ADA], "s", [1.0, 0.0], limit=9)
    own_server.start()
    assert await memory.append(ADA, "c", [said("one", 1), said("two", 2)]) == 1
    assert [one.text for one in await memory.window(ADA, "c", limit=9)] == ["one", "two"]
    await memory.add(ADA, [indexed("b", "walrus", [0.0, 1.0])])
    assert len(await memory.nearest([ADA], "s", [1.0, 0.0], limit=9)) == 2
    assert len(await memory.matching([ADA], ["walrus"], limit=9)) == 2
    await memory.close()


async def test_a_call_that_is_under_way_when_the_server_is_killed_ends(own_server: RedisServer) -> None:
    memory = RedisMemory(own_server.url(), patience=20)
    await memory.open()
    await memory.append(ADA, "c", [said("one", 1)])
    own_server.send(signal.SIGSTOP)
    calls = [asyncio.create_task(memory.append(ADA, "c", [said(str(n), n)])) for n in range(2, 5)]
    await asyncio.wait(calls, timeout=0.05)  # so that they are sent, and none is answered
    assert not any(call.done() for call in calls)
    own_server.kill()
    async with asyncio.timeout(15):
        for call in calls:
            with pytest.raises(MemoryUnavailable):
                await call
    own_server.start()
    assert await memory.append(ADA, "c", [said(str(n), n) for n in range(1, 6)]) in (1, 2, 3, 4)
    assert len(await memory.window(ADA, "c", limit=9)) == 5
    await memory.close()


async def test_a_server_that_does_not_answer_is_given_up(own_server: RedisServer) -> None:
    memory = RedisMemory(own_server.url(), patience=2.0)
    await memory.open()
    own_server.send(signal.SIGSTOP)
    async with asyncio.timeout(20):
        with pytest.raises(MemoryUnavailable):
            await memory.put_note(ADA, "", Note("key", 1))
    own_server.send(signal.SIGCONT)
    await memory.put_note(ADA, "", Note("key", 2))
    note = await memory.note(ADA, "", "key", 9)
    assert note is not None
    assert note.value == 2
    await memory.close()


async def test_a_full_server_keeps_nothing_by_halves_and_can_be_relieved(own_server: RedisServer) -> None:
    memory = RedisMemory(own_server.url())
    await memory.open()
    await memory.add(ADA, [indexed("first", "walrus", [1.0, 0.0]), indexed("old", "walrus", [0.0, 1.0])])
    await memory.append(BOB, "c", [said("one", 1)])
    await memory.put_note(BOB, "c", Note("key", 1))
    await memory.put_blobs(BOB, "s", {"a": b"0", "c": b"0"}, at=9000)
    own_server.ask("CONFIG SET maxmemory 100kb")
    for call in (
        lambda: memory.add(ADA, [indexed("first", "zebra", [0.0, 1.0]), indexed("second", "zebra")]),
        lambda: memory.append(BOB, "c", [said("two", 2)]),
        lambda: memory.put_note(ADA, "", Note("key", 1)),
        lambda: memory.put_blobs(BOB, "s", {"a": b"1", "b": b"2"}, at=1),
    ):
        with pytest.raises(MemoryFailed, match="full") as raised:
            await call()
        assert not isinstance(raised.value, MemoryUnavailable)
        assert raised.value.hint is not None
        assert "maxmemory" in raised.value.hint
    assert [record.text for record in await memory.records(ADA)] == ["walrus", "walrus"]
    assert len(await memory.matching([ADA], ["walrus"], limit=9)) == 2
    assert len(await memory.window(BOB, "c", limit=9)) == 1
    assert await memory.delete(ADA, ["first"]) == 1
    assert len(await memory.nearest([ADA], "s", [1.0, 0.0], limit=9)) == 1
    assert await memory.drop_note(BOB, "c", "key")
    assert await memory.blobs(BOB, "s", ["a", "b", "c"]) == {"a": b"0", "c": b"0"}
    assert await memory.drop_blobs(BOB, "s", ["a"]) == 1
    assert await memory.trim(before=2000, now=9) == 2
    await memory.forget("")
    assert (await memory.stats("")).contexts == 0
    own_server.ask("CONFIG SET maxmemory 0")
    await memory.put_note(ADA, "", Note("key", 1))
    await memory.close()


@pytest.mark.parametrize("own_server", [("--requirepass", "the-right-one")], indirect=True, ids=["password"])
async def test_a_wrong_password_is_said_without_it(own_server: RedisServer) -> None:
    memory = open_memory(own_server.url("hunter2-secret"))
    with pytest.raises(MemoryUnavailable, match="password") as raised:
        await memory.open()
    assert "hunter2" not in f"{raised.value!s}{raised.value!r}{raised.value.__cause__!r}{memory!r}"
    await memory.close()
    memory = open_memory(own_server.url("the-right-one"))
    await memory.open()
    await memory.close()


async def test_no_server_and_no_url(tmp_path: Any) -> None:
    memory = open_memory(f"unix://:hunter2-secret@{tmp_path}/socket")
    with pytest.raises(MemoryUnavailable) as raised:
        await memory.open()
    assert "hunter2" not in f"{raised.value!s}{raised.value.__cause__!r}"
    await memory.close()
    with pytest.raises(ConfigError) as refused:
        open_memory("redis://:hunter2-secret@localhost/0?socket_timeout=soon")
    assert "hunter2" not in str(refused.value)


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigError, match=r"codin\[redis\]"):
        open_memory("redis://localhost")


async def test_what_a_newer_codin_made_is_left_alone(redis_server: RedisServer, redis_url: str) -> None:
    redis_server.ask("SET codin:memory:format 999")
    memory = RedisMemory(redis_url)
    with pytest.raises(MemoryFailed, match="form 999") as raised:
        await memory.open()
    assert raised.value.hint is not None
    assert "upgrade" in raised.value.hint
    await memory.close()


# What is kept


async def test_names_that_look_like_keys_never_meet(redis_url: str) -> None:
    memory = RedisMemory(redis_url)
    await memory.open()
    names = ["a", "a:b", "b", "b:c", "a/b", "{a}", "}", "%3A", "*", "[a", ""]
    scopes = [Scope(*each) for each in product(names[:4], names[1:4], names[3:])]
    places = [(scope, context) for scope in scopes for context in names[:3]]
    for scope, context in places:
        await memory.put_note(scope, context, Note("key", [*scope, context]))
    for scope, context in places:
        (note,) = await memory.notes(scope, context, 9)
        assert note.value == [*scope, context]
    assert await memory.forget("a") == len(places) / 4
    assert (await memory.stats("a:b")).notes == len(places) / 4
    await memory.close()


async def test_what_is_forgotten_is_in_no_key(redis_server: RedisServer, redis_url: str) -> None:
    memory = RedisMemory(redis_url)
    await memory.open()
    for scope in (ADA, BOB):
        await memory.append(scope, "c", [said("unforgettable", 1)])
        await memory.put_note(scope, "c", Note("unforgettable", 1, expires=4_000_000_000_000))
        await memory.put_blobs(scope, "unforgettable", {"unforgettable": b"unforgettable"}, at=1)
        await memory.put_blobs(scope, "dropped", {"a": b"unforgettable"}, at=1)
        await memory.drop_blobs(scope, "dropped")
        unforgettable = {"unforgettable": "unforgettable", "few": ["unforgettable", "too"], "none": []}
        await memory.add(
            scope, [indexed("a", "unforgettable", [1.0, 0.0], **unforgettable), indexed("b", "unforgettable", b=1)]
        )
        await memory.delete(scope, ["b"])
    await memory.forget("", caller="ada")
    left = redis_server.ask("KEYS *")
    assert b"ada" not in left
    assert b"bob" in left
    assert b"ada" not in redis_server.ask("ZRANGE codin:memory:scopes 0 -1")
    await memory.forget("")
    left = redis_server.ask("KEYS *").splitlines()[2::2]
    assert set(left) <= {b"codin:memory:format", b"codin:memory:change", b"codin:memory:spaces"}
    await memory.close()


async def test_a_deleted_record_leaves_no_key(redis_server: RedisServer, redis_url: str) -> None:
    memory = RedisMemory(redis_url)
    await memory.open()
    await memory.add(ADA, [indexed("a", "walrus walrus zebra", [1.0, 0.0], colour="grey")])
    await memory.add(ADA, [indexed("a", "carpenter", [0.0, 1.0], trade="wood")])
    assert b"walrus" not in redis_server.ask("KEYS *")
    assert b"colour" not in redis_server.ask("KEYS *")
    await memory.delete(ADA, ["a"])
    left = redis_server.ask("KEYS *")
    assert b"carpenter" not in left
    assert b"vectors" not in left
    assert b"trade" not in left
    assert b"trade" not in redis_server.ask("SMEMBERS codin:memory:{/clerk/ada}:fields")
    await memory.close()


async def test_redis_takes_expired_notes_away(redis_server: RedisServer, redis_url: str) -> None:
    memory = RedisMemory(redis_url)
    await memory.open()
    await memory.put_note(ADA, "", Note("gone", 1, expires=1))
    await memory.put_note(ADA, "", Note("kept", 1))
    assert await memory.note(ADA, "", "gone", 0) is None
    assert [note.key for note in await memory.notes(ADA, "", 0)] == ["kept"]
    assert (await memory.stats(*ADA)).notes == 1
    assert await memory.trim(before=0, now=2) == 1
    assert b"gone" not in redis_server.ask("ZRANGE codin:memory:{/clerk/ada}:keys: 0 -1")
    await memory.close()


async def test_the_names_of_expired_notes_go_when_others_are_set(redis_server: RedisServer, redis_url: str) -> None:
    memory = RedisMemory(redis_url)
    await memory.open()
    for number in range(15):
        await memory.put_note(ADA, "c", Note(f"gone {number}", 1, at=1, expires=2))
    await memory.put_note(ADA, "c", Note("alive", 1, at=1, expires=4_000_000_000_000))
    # Whose clock is ahead of the server's takes nothing away that is there still.
    await memory.put_note(ADA, "", Note("other", 1, at=5_000_000_000_000))
    await memory.put_note(ADA, "", Note("other", 1, at=5_000_000_000_000))
    assert redis_server.ask("ZRANGE codin:memory:{/clerk/ada}:keys:c 0 -1").split()[2::2] == [b"alive"]
    assert await memory.note(ADA, "c", "alive", 9) is not None
    await memory.close()


async def kept_in_form_1(url: str, records: int) -> None:
    """What the first codin with a Redis left there: unsorted words, and metadata that only its records have."""
    client: Any = import_module("redis.asyncio").from_url(url)
    scope = "codin:memory:{/clerk/ada}:"
    await client.set("codin:memory:format", 1)
    await client.zadd("codin:memory:scopes", {"/clerk/ada": 0})
    ids = [f"{n:04}" for n in range(records)]
    await client.hset(f"{scope}term:walrus", mapping=dict.fromkeys(ids, 2 * 2**20 + 3))
    await client.hset(f"{scope}term:zebra", "0007", 2**20 + 3)
    await client.sadd(f"{scope}terms", "walrus", "zebra")
    await client.hset(f"{scope}counts", "words", 3 * records)
    await client.hset(f"{scope}spaces", "", records)
    await client.hset(f"{scope}texts", mapping=dict.fromkeys(ids, "walrus walrus zebra"))
    about = {id: json.dumps([{"page": int(id), "tags": ["x"]}, 1000]) for id in ids}
    await client.hset(f"{scope}records", mapping=about)
    found = {"space": "", "words": 3, "times": {"walrus": 2}}
    more = {**found, "times": {"walrus": 2, "zebra": 1}}
    await client.hset(f"{scope}found", mapping={id: json.dumps(more if id == "0007" else found) for id in ids})
    await client.zadd(f"{scope}ids", dict.fromkeys(ids, 0))
    await client.zadd(f"{scope}ages", {f"r{id}": 1000 for id in ids})
    await client.aclose()


async def test_what_an_earlier_codin_made_is_found_and_forgotten(redis_server: RedisServer, redis_url: str) -> None:
    await kept_in_form_1(redis_url, 1300)
    both = [RedisMemory(redis_url), RedisMemory(redis_url)]
    await asyncio.gather(*(memory.open() for memory in both))
    memory = both[0]
    assert b"2" in redis_server.ask("GET codin:memory:format")
    best = await memory.matching([ADA], ["walrus", "zebra"], limit=5)
    assert best[0].record.id == "0007"
    assert len(await memory.matching([ADA], ["walrus"], limit=2000)) == 1300
    page = conditions_of({"page": {"gte": 40, "lt": 42}, "tags": "x"})
    assert [record.id for record in await memory.records(ADA, where=page)] == ["0040", "0041"]
    await memory.add(ADA, [indexed("0040", "carpenter", page=41)])
    await memory.delete(ADA, ["0007"])
    assert not await memory.matching([ADA], ["zebra"], limit=9)
    assert {one.record.id for one in await memory.matching([ADA], ["walrus"], where=page, limit=9)} == {"0041"}
    assert await memory.forget("") == 1299
    left = redis_server.ask("KEYS *").splitlines()[2::2]
    assert set(left) <= {b"codin:memory:format", b"codin:memory:change", b"codin:memory:spaces"}
    for one in both:
        await one.close()


async def test_without_numpy_vectors_are_refused_and_words_are_not(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "codin.memory.backends._redis.matrix", raising=False)
    monkeypatch.setitem(sys.modules, "numpy", None)
    memory = RedisMemory(redis_url)
    await memory.open()
    await memory.add(ADA, [indexed("a", "walrus", [1.0, 0.0])])
    assert len(await memory.matching([ADA], ["walrus"], limit=9)) == 1
    with pytest.raises(ConfigError, match="NumPy") as raised:
        await memory.nearest([ADA], "s", [1.0, 0.0], limit=9)
    assert raised.value.hint == "pip install 'codin[redis]'"
    await memory.close()


async def test_pages_go_on_behind_what_does_not_count(redis_url: str) -> None:
    memory = RedisMemory(redis_url)
    await memory.open()
    for n in range(30):
        await memory.put_note(ADA, "", Note(f"{n:02}", n, expires=10 if n % 10 else None))
    assert [note.key for note in await memory.notes(ADA, "", 20, limit=2)] == ["00", "10"]
    await memory.add(ADA, [indexed(f"{n:03}", "walrus", [1.0, n / 100], odd=n % 50 == 0) for n in range(200)])
    odd = conditions_of({"odd": True})
    ids = ["000", "050", "100", "150"]
    assert [record.id for record in await memory.records(ADA, where=odd, limit=3)] == ids[:3]
    assert {one.record.id for one in await memory.matching([ADA], ["walrus"], where=odd, limit=4)} == set(ids)
    assert {one.record.id for one in await memory.nearest([ADA], "s", [1.0, 0.0], where=odd, limit=4)} == set(ids)
    await memory.close()


async def test_vectors_that_are_not_kept_here_are_fetched_again(redis_url: str) -> None:
    memory = RedisMemory(redis_url, vectors=5)
    await memory.open()
    scopes = [Scope("", "clerk", str(n)) for n in range(6)]
    for scope in scopes:
        await memory.add(scope, [indexed(scope.caller, "walrus", [1.0, 0.0]), indexed("other", "walrus", [0.0, 1.0])])
    for scope in scopes * 2:
        found = await memory.nearest([scope], "s", [1.0, 0.0], limit=1)
        assert [one.record.id for one in found] == [scope.caller]
    together = await asyncio.gather(*(memory.nearest(scopes, "s", [1.0, 0.0], limit=6) for _ in range(4)))
    assert all({one.record.id for one in found} == {scope.caller for scope in scopes} for found in together)
    await memory.close()


async def test_what_is_forgotten_and_written_anew_is_found_anew(redis_url: str) -> None:
    ours, theirs = RedisMemory(redis_url), RedisMemory(redis_url)
    await ours.open()
    await theirs.open()
    await ours.add(ADA, [indexed("a", "walrus", [1.0, 0.0]), indexed("b", "walrus", [1.0, 0.0])])
    assert len(await ours.nearest([ADA], "s", [1.0, 0.0], limit=9)) == 2
    await theirs.forget("")
    await theirs.add(ADA, [indexed("a", "walrus", [0.0, 1.0]), indexed("c", "walrus", [1.0, 0.0])])
    found = await ours.nearest([ADA], "s", [1.0, 0.0], limit=9)
    assert [(one.record.id, one.score) for one in found] == [("c", 1.0), ("a", 0.0)]
    await ours.close()
    await theirs.close()


async def test_what_cannot_be_kept(redis_url: str) -> None:
    memory = RedisMemory(redis_url)
    await memory.open()
    with pytest.raises(NotKept):
        await memory.add(ADA, [indexed("a", "walrus", [1.0, 0.0]), indexed("b", "walrus", [1.0, 0.0, 0.0])])
    with pytest.raises(NotKept):
        await memory.append(Scope("", "clerk", "\ud800"), "c", [said("one", 1)])
    with pytest.raises(NotKept):
        await memory.put_note(ADA, "", Note("\ud800", 1))
    with pytest.raises(NotKept):
        await memory.append(ADA, "c", [Utterance(role="user", text="half \ud800", parts=[{"text": "\ud800"}], at=1)])
    assert not await memory.records(ADA)
    odd = Utterance(role="user", text="a\x00b", parts=[{"text": "\x00"}], at=1)
    await memory.append(ADA, "\x00", [odd])
    (read,) = await memory.window(ADA, "\x00", limit=1)
    assert (read.text, list(read.parts)) == (odd.text, odd.parts)
    await memory.close()
