"""The SQLite store: kept, shared by managers of one process, and closed without losing what is queued."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from codin import a2a
from codin.errors import ConfigError, StoreError
from codin.task import AgentResponse, Task, TaskManager
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


async def test_who_is_called_off_while_it_opens_leaves_the_file_to_others(path: Path) -> None:
    store, other = SQLiteStore(path), SQLiteStore(path)
    for _ in range(10):
        opening = asyncio.create_task(store.open())
        await asyncio.sleep(0)  # a thread is at it
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await other.open()
        await other.close()
    await store.open()
    await store.close()


async def test_a_closed_store_says_so(path: Path) -> None:
    store = SQLiteStore(path)
    await store.close()
    author = Author(store)
    with pytest.raises(StoreError, match="is not open"):
        await append(store, author.commit(author.input()))
    with pytest.raises(StoreError, match="is not open"):
        await store.load(ALICE, "task-1")


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


async def test_what_is_queued_is_committed_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLiteStore(path, "full")
    await store.open()
    commits = [(author := Author(store, f"task-{number}")).commit(author.input()) for number in range(200)]
    loop = asyncio.get_running_loop()
    hand_over = loop.call_soon_threadsafe
    groups: list[Callable[..., object]] = []
    queued = threading.Event()

    def count(callback: Callable[..., object], *arguments: object) -> asyncio.Handle:
        groups.append(callback)
        queued.wait(60)  # the thread has done the first before it takes the next ones
        return hand_over(callback, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", count)
        futures = [store.append(commit) for commit in commits]
        queued.set()
        await asyncio.gather(*futures)
    assert len(groups) <= 2  # the first goes at once, what comes meanwhile goes together
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
