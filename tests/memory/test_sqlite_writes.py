"""What SQLite's memory writes on the event loop, and what it leaves to its thread."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from codin.errors import MemoryFailed
from codin.memory import Note, Scope, Utterance
from codin.memory.backends._sqlite import file, history, writer
from codin.memory.backends.sqlite import SQLiteMemory
from tests.memory.test_sqlite import memory as memory
from tests.memory.test_sqlite import path as path

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")
LOOP, THREAD = "MainThread", "codin-memory-write"


@pytest.fixture
def wrote(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that appends were done on. However busy the machine is, none of them counts as slow."""
    threads: list[str] = []
    done = history.append

    def seen(connection: sqlite3.Connection, scope: Scope, context_id: str, said: Sequence[Utterance]) -> int:
        threads.append(threading.current_thread().name)
        return done(connection, scope, context_id, said)

    monkeypatch.setattr(history, "append", seen)
    monkeypatch.setattr(writer, "_SLOW", 3600)
    return threads


def said(number: int, text: str = "text") -> Utterance:
    return Utterance(role="user", text=text, task_id="t", number=number)


def wait_for_the_disk() -> None:
    """Wait for more than `_SLOW`. On a busy machine a short wait may be over before it has begun, and is none."""
    before = writer._waits()  # pyright: ignore[reportPrivateUsage]
    for _ in range(100):
        threading.Event().wait(0.003)
        if writer._waits() != before:  # pyright: ignore[reportPrivateUsage]
            return


async def append(memory: SQLiteMemory, first: int, end: int) -> None:
    for number in range(first, end):
        assert await memory.append(ADA, "c", [said(number)]) == 1


async def numbers(memory: SQLiteMemory, context_id: str = "c") -> list[int]:
    return [one.number for one in await memory.window(ADA, context_id, limit=100_000)]


# Where


async def test_what_is_small_and_alone_is_written_on_the_loop(memory: SQLiteMemory, wrote: list[str]) -> None:
    await append(memory, 1, 21)
    assert wrote == [THREAD, *[LOOP] * 19]  # the first one begins the log, which flushes
    assert await numbers(memory) == list(range(1, 21))


@pytest.mark.parametrize(
    "many",
    [
        [said(2, "x" * 10_000)],
        [said(n) for n in range(2, 30)],
        [Utterance(role="agent", text="", parts=[{"data": {}}], task_id="t", number=2)],
        [Utterance(role="agent", text="", metadata={"name": "a"}, task_id="t", number=2)],
    ],
    ids=["long", "many", "parts", "metadata"],
)
async def test_what_is_not_small_is_written_on_the_thread(
    memory: SQLiteMemory, wrote: list[str], many: list[Utterance]
) -> None:
    await append(memory, 1, 2)
    await memory.append(ADA, "c", many)
    await append(memory, 100, 103)
    assert wrote == [THREAD, THREAD, THREAD, LOOP, LOOP]


async def test_where_each_commit_flushes_none_is_on_the_loop(path: Path, wrote: list[str]) -> None:
    memory = SQLiteMemory(path, synchronous="full")
    await memory.open()
    await append(memory, 1, 21)
    await memory.close()
    assert set(wrote) == {THREAD}


async def test_after_a_slow_one_the_thread_has_all(
    memory: SQLiteMemory, wrote: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(memory, 1, 3)
    monkeypatch.setattr(writer, "_SLOW", 0.002)
    monkeypatch.setattr(writer, "_AWAY", 10**9)
    done = history.append

    def slow(connection: sqlite3.Connection, scope: Scope, context_id: str, said: Sequence[Utterance]) -> int:
        wait_for_the_disk()
        return done(connection, scope, context_id, said)

    monkeypatch.setattr(history, "append", slow)
    await append(memory, 3, 30)
    assert wrote == [THREAD, LOOP, LOOP, *[THREAD] * 26]


async def test_a_slow_one_is_paid_for_and_then_forgotten(
    memory: SQLiteMemory, wrote: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_SLOW", 0)
    monkeypatch.setattr(writer, "_AWAY", 0)
    monkeypatch.setattr(writer, "_waits", itertools.count().__next__)
    await append(memory, 1, 10)
    assert wrote == [THREAD, *[LOOP] * 8]


async def test_on_a_busy_machine_the_loop_goes_on(
    memory: SQLiteMemory, wrote: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_SLOW", 0)
    monkeypatch.setattr(writer, "_AWAY", 10**9)
    monkeypatch.setattr(writer, "_waits", lambda: 0)
    await append(memory, 1, 30)
    assert wrote == [THREAD, *[LOOP] * 28]


def test_who_waits_is_known() -> None:
    before = writer._waits()  # pyright: ignore[reportPrivateUsage]
    wait_for_the_disk()
    assert writer._waits() != before  # pyright: ignore[reportPrivateUsage]


async def test_a_file_that_another_process_writes_does_not_stop_the_loop(
    memory: SQLiteMemory, path: Path, wrote: list[str]
) -> None:
    await append(memory, 1, 3)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(20):  # a commit that waited would wait for 30 s
        waiting = asyncio.create_task(memory.append(ADA, "c", [said(3)]))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        other.execute("ROLLBACK")
        assert await waiting == 1
    other.close()
    assert wrote == [THREAD, LOOP, THREAD]


async def test_a_log_that_somebody_has_moved_is_begun_by_the_thread(
    memory: SQLiteMemory, path: Path, wrote: list[str]
) -> None:
    await asyncio.to_thread(os.utime, path, (1, 1))  # the clock of files is coarse
    await append(memory, 1, 4)
    other = sqlite3.connect(path)
    assert other.execute("PRAGMA wal_checkpoint").fetchone()[1] > 0
    other.close()
    await append(memory, 4, 7)
    assert wrote == [THREAD, LOOP, LOOP, THREAD, LOOP, LOOP]


async def test_the_log_does_not_grow(path: Path, monkeypatch: pytest.MonkeyPatch, wrote: list[str]) -> None:
    monkeypatch.setattr(file, "_LOG", 100)
    monkeypatch.setattr(writer, "_RUN", 10)
    memory = SQLiteMemory(path)
    await memory.open()
    await append(memory, 1, 601)
    assert wrote.count(LOOP) > 400
    assert path.with_name("memory.db-wal").stat().st_size < 300 * 4096
    await memory.close()


# As before


async def test_other_tasks_go_on_between_two_appends(memory: SQLiteMemory, wrote: list[str]) -> None:
    await append(memory, 1, 3)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await append(memory, 3, 51)
    assert turns >= 48
    task.cancel()
    assert wrote == [THREAD, *[LOOP] * 49]


async def test_of_many_at_once_one_is_on_the_loop(memory: SQLiteMemory, wrote: list[str]) -> None:
    await append(memory, 1, 3)
    await asyncio.gather(*(append(memory, number, number + 1) for number in range(3, 100)))
    assert wrote == [THREAD, LOOP, LOOP, *[THREAD] * 96]


@pytest.mark.parametrize("seed", range(3))
async def test_the_later_call_wins_wherever_each_is_done(memory: SQLiteMemory, wrote: list[str], seed: int) -> None:
    chance = random.Random(seed)
    calls: list[asyncio.Task[None]] = []
    value = b""
    for number in range(300):
        value = f"{number}".encode() * (5000 if chance.random() < 0.2 else 1)
        calls.append(asyncio.create_task(memory.put_blobs(ADA, "s", {"k": value}, at=number)))
        if chance.random() < 0.3:
            calls.append(asyncio.create_task(memory.put_note(ADA, "", Note("k", number))))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.2:
            await calls[-1]
            assert (await memory.blobs(ADA, "s", ["k"]))["k"] == value
    await asyncio.gather(*calls)
    assert (await memory.blobs(ADA, "s", ["k"]))["k"] == value


@pytest.mark.parametrize("seed", range(3))
async def test_calls_that_are_cancelled_leave_all_or_nothing(memory: SQLiteMemory, seed: int) -> None:
    chance = random.Random(seed)
    calls: dict[int, asyncio.Task[int]] = {}
    for number in range(1, 400):
        pair = [said(number), Utterance(role="user", text="and", task_id="t", number=number, index=1)]
        calls[number] = asyncio.create_task(memory.append(ADA, "c", pair))
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            calls[chance.randrange(max(1, number - 3), number + 1)].cancel()
    results = await asyncio.gather(*calls.values(), return_exceptions=True)
    kept = await numbers(memory)
    assert all(kept.count(number) in (0, 2) for number in calls)
    assert {number for number, result in zip(calls, results, strict=True) if result == 2} <= set(kept)
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) > 20


async def test_what_fails_on_the_loop_keeps_nothing_and_stops_nobody(memory: SQLiteMemory, wrote: list[str]) -> None:
    await append(memory, 1, 3)
    with pytest.raises(MemoryFailed, match="half a character"):
        await memory.append(ADA, "c", [said(3), said(4, "\ud800")])
    await append(memory, 5, 7)
    assert wrote == [THREAD, *[LOOP] * 4]
    assert await numbers(memory) == [1, 2, 5, 6]


async def test_closing_while_it_is_written(path: Path, wrote: list[str]) -> None:
    memory = SQLiteMemory(path)
    await memory.open()
    await append(memory, 1, 5)
    calls = [asyncio.create_task(memory.append(ADA, "c", [said(number)])) for number in range(5, 200)]
    for _ in range(3):
        await asyncio.sleep(0)
    await memory.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(result == 1 or isinstance(result, MemoryFailed) for result in results)
    await memory.open()
    assert await numbers(memory) == [1, 2, 3, 4, *(n for n, result in enumerate(results, 5) if result == 1)]
    await memory.close()


async def test_two_event_loops_write(memory: SQLiteMemory, wrote: list[str]) -> None:
    def other() -> None:
        async def append_all() -> None:
            for number in range(200):
                await memory.append(ADA, "theirs", [said(number)])

        asyncio.run(append_all())

    await append(memory, 0, 3)  # the first on the thread, and while nobody else writes, the next on the loop
    elsewhere = asyncio.create_task(asyncio.to_thread(other))
    await append(memory, 3, 200)
    await elsewhere
    assert await numbers(memory) == await numbers(memory, "theirs") == list(range(200))
    assert set(wrote) == {LOOP, THREAD}
