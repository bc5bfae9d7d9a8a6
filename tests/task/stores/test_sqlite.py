"""The SQLite file: kept, locked, migrated, shared in one process, and closed without losing what is queued."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codin import a2a
from codin.errors import ConfigError, StoreError, StoreInUse
from codin.task import AgentResponse, Task, TaskManager, open_store
from codin.task.stores import SQLiteStore
from codin.trust import ANONYMOUS
from tests.task.stores.author import ALICE, Author, append, seen

pytestmark = pytest.mark.anyio


async def test_everything_is_there_again(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    done = await Author(store, "done").whole("a", "b")
    open_ = Author(store, "open")
    await open_.begin(key="key")
    await store.advance("push", 3)
    entries = seen(await store.read(ALICE, "done"))
    await store.close()

    for synchronous in ("normal", "full"):
        store = SQLiteStore(path, synchronous)
        await store.open()
        assert seen(await store.read(ALICE, "done")) == entries
        stored = await store.load(ALICE, "done")
        assert stored is not None
        assert stored.fold.to_json() == done.fold.to_json()
        assert [commit.position for commit in await store.feed(0)] == [1, 2, 3, 4, 5]
        assert await store.cursor("push") == 3
        claim = await store.claim(ALICE, "key")
        assert claim is not None
        assert claim.task_id == "open"
        assert list(await store.unfinished("echo")) == [(ALICE, "open", a2a.TaskState.WORKING)]
        await store.close()

    await store.open()
    open_.store = store
    assert await open_.rest() == 6
    await store.close()


async def test_a_position_is_not_given_twice_when_retention_took_the_newest(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    await Author(store).whole("a")
    await store.advance("push", 3)
    await store.trim(chunks_before=10**6, tasks_before=10**6)
    await store.close()
    await store.open()
    assert await Author(store).begin() == 4
    await store.changed(3)
    await store.close()


async def test_closing_finishes_what_is_queued(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    authors = [Author(store, f"task-{number}") for number in range(500)]
    futures = [store.append(author.commit(author.input())) for author in authors]
    await store.close()
    assert all(future.done() for future in futures)
    assert [future.result() for future in futures] == list(range(1, 501))
    await store.open()
    assert len(await store.feed(0, limit=1000)) == 500
    await store.close()


async def test_who_waits_for_the_feed_is_told_of_the_end(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    waiting = asyncio.create_task(store.changed(0))
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreError, match="is not open"):
        await waiting


async def test_a_closed_store_says_so(path: Path) -> None:
    store = SQLiteStore(path)
    await store.close()
    author = Author(store)
    with pytest.raises(StoreError, match="is not open"):
        await append(store, author.commit(author.input()))
    with pytest.raises(StoreError, match="is not open"):
        await store.load(ALICE, "task-1")
    assert not path.exists()


async def test_two_managers_share_one_store(path: Path) -> None:
    store = SQLiteStore(path)
    await asyncio.gather(store.open(), store.open())
    await store.close()
    await Author(store).begin()
    closing, reopened = asyncio.create_task(store.close()), asyncio.create_task(store.open())
    await asyncio.gather(closing, reopened)  # one leaves while another comes: the lock is free again in time
    assert len(await store.read(ALICE, "task-1")) == 2
    await store.close()
    with pytest.raises(StoreError, match="is not open"):
        await store.read(ALICE, "task-1")


def test_a_store_moves_to_a_new_event_loop(path: Path) -> None:
    store = SQLiteStore(path)

    async def begin(task_id: str) -> int:
        await store.open()
        return await Author(store, task_id).begin()

    async def close() -> None:
        await begin("task-3")
        await store.close()
        with pytest.raises(StoreError):
            await store.load(ALICE, "task-1")

    assert [asyncio.run(begin("task-1")), asyncio.run(begin("task-2"))] == [1, 2]  # neither of them closes it
    asyncio.run(close())


def test_two_event_loops_do_not_share_a_store(path: Path) -> None:
    store = SQLiteStore(path)
    one, two = asyncio.new_event_loop(), asyncio.new_event_loop()
    one.run_until_complete(store.open())
    with pytest.raises(ConfigError, match="another event loop"):
        two.run_until_complete(store.open())
    one.run_until_complete(store.close())
    two.run_until_complete(store.open())
    two.run_until_complete(store.close())
    for loop in (one, two):
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


_HOLD = """
import asyncio, sys
from codin.task.stores import SQLiteStore

async def main():
    store = SQLiteStore(sys.argv[1])
    await store.open()
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


async def test_one_process_at_a_time(path: Path) -> None:
    store = SQLiteStore(path)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreInUse, match=f"pid {holder.pid}"):
            await store.open()
        holder.kill()
    await store.open()  # the lock of the dead holds nobody up
    other = SQLiteStore(path.parent / "." / path.name)
    with pytest.raises(StoreInUse, match="this process"):
        await other.open()
    await store.close()
    await other.open()
    await other.close()


async def test_one_bad_commit_hurts_nobody_who_commits_beside_it(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    authors = [Author(store, f"task-{number}") for number in range(10)]
    commits = [author.commit(author.input()) for author in authors]
    commits[4].changed = 2**70  # more than a row can hold
    results = await asyncio.gather(*(append(store, commit) for commit in commits), return_exceptions=True)
    assert isinstance(results.pop(4), StoreError)
    assert results == list(range(1, 10))
    assert await store.load(ALICE, "task-4") is None
    with pytest.raises(StoreError):
        await store.feed(2**70)
    assert len(await store.feed(0)) == 9
    await store.close()


@pytest.mark.parametrize("name", ["", ":memory:"])
def test_there_must_be_a_path(name: str) -> None:
    with pytest.raises(ConfigError, match="needs a file"):
        SQLiteStore(name)


def test_stores_by_url(path: Path) -> None:
    assert isinstance(open_store(f"sqlite:///{path}?synchronous=full"), SQLiteStore)
    for url in ("sqlite://", "sqlite:///", f"sqlite:///{path}?synchronous=off", f"sqlite:///{path}?journal=wal"):
        with pytest.raises(ConfigError):
            open_store(url)


async def test_a_newer_file_is_left_alone(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    await store.close()
    with sqlite3.connect(path) as file:
        version: int = file.execute("PRAGMA user_version").fetchone()[0]
        file.execute(f"PRAGMA user_version = {version + 1}")
    file.close()
    with pytest.raises(StoreError, match=f"schema version {version + 1}, and this codin knows {version}"):
        await store.open()
    with sqlite3.connect(path) as file:
        file.execute(f"PRAGMA user_version = {version}")
    file.close()
    await store.open()
    await store.close()


async def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE theirs (a)")
    file.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        await SQLiteStore(path).open()
    assert path.read_bytes() == before


async def test_what_is_no_database_is_left_alone(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(StoreError, match="not a database"):
        await SQLiteStore(path).open()
    assert path.read_text() == "Dear diary, " * 1000


async def test_a_directory_that_is_not_there(path: Path) -> None:
    with pytest.raises(StoreError, match="must exist and be writable"):
        await SQLiteStore(path / "tasks.db").open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; run the tests as another user")
async def test_a_directory_that_is_read_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="must exist and be writable"):
            await SQLiteStore(tmp_path / "tasks.db").open()
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)


async def test_a_file_that_cannot_be_opened(path: Path) -> None:
    path.mkdir()  # nobody, root included, opens a directory as a database
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match="unable to open"):
        await store.open()
    path.rmdir()
    await store.open()
    await store.close()


async def test_what_is_queued_is_committed_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLiteStore(path, "full")
    await store.open()
    commits = [(author := Author(store, f"task-{number}")).commit(author.input()) for number in range(200)]
    loop = asyncio.get_running_loop()
    hand_over = loop.call_soon_threadsafe
    groups: list[Callable[..., object]] = []

    def count(callback: Callable[..., object], *arguments: object) -> asyncio.Handle:
        groups.append(callback)
        return hand_over(callback, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", count)
        await asyncio.gather(*(append(store, commit) for commit in commits))
    assert len(groups) < 20  # the first goes at once, what comes meanwhile goes together
    await store.close()


async def test_a_manager_goes_on_where_the_last_one_ended(path: Path) -> None:
    async def greet(task: Task) -> AgentResponse:
        name = await task.ask("Who are you?")
        return AgentResponse.completed(f"Hello, {name.text}.")

    def said(text: str, task_id: str | None = None) -> a2a.SendMessageRequest:
        parts = [a2a.Part(text=text)]
        return a2a.SendMessageRequest(
            message=a2a.Message(message_id=text, role=a2a.Role.USER, parts=parts, task_id=task_id)
        )

    store = SQLiteStore(path)
    first = TaskManager(greet, store)
    async with asyncio.timeout(20):
        turn = await first.submit(ANONYMOUS, said("hello"))
        asked = a2a.Task.from_json(await turn.outcome())
        await first.drain()
        await store.close()
        second = TaskManager(greet, SQLiteStore(path))
        turn = await second.submit(ANONYMOUS, said("Ada", asked.id))
        task = a2a.Task.from_json(await turn.outcome())
        await second.drain()
        await second.store.close()
    assert task.status.state is a2a.TaskState.COMPLETED
    assert a2a.text_of(task.artifacts[0].parts) == "Hello, Ada."
    assert len(task.history) == 3
