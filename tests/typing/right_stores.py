"""Where task logs are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import assert_type

from codin import a2a
from codin.server import App
from codin.task import Claim, Commit, Entry, Lease, ListQuery, MemoryStore, Owner, Page, Stored, TaskStore, open_store
from codin.task.stores import SQLiteStore

STORES: list[TaskStore] = [
    MemoryStore(),
    MemoryStore(max_ended=100),
    SQLiteStore("tasks.db"),
    SQLiteStore(Path("tasks.db"), synchronous="full"),
    open_store("sqlite:///tasks.db?synchronous=full"),
]


async def reads(store: TaskStore, owner: Owner) -> None:
    assert_type(await store.load(owner, "1"), Stored | None)
    assert_type(await store.read(owner, "1", after=3), Sequence[Entry])
    assert_type(await store.claim(owner, "order-7"), Claim | None)
    assert_type(await store.feed(after=0), Sequence[Commit])
    page = await store.list(owner, ListQuery(state=a2a.TaskState.WORKING, page_size=10))
    assert_type(page.tasks, list[tuple[int, str]])
    tasks, total, more = page
    assert_type((len(tasks), total, more), tuple[int, int, bool])


async def follows_the_feed(store: TaskStore) -> int:
    position = await store.cursor("audit")
    await store.changed(position)
    for commit in await store.feed(position):
        assert_type(commit.owner.caller, str)
        assert_type(commit.entries, Sequence[Entry])
        position = commit.position
    await store.advance("audit", position)
    return position


async def writes(store: TaskStore, commit: Commit) -> Lease:
    position = store.append(commit)
    if not isinstance(position, int):
        position = await position
    assert_type(position, int)
    lease = store.lease(Owner("", "shout", "ada"), "context", "holder")
    return lease if isinstance(lease, Lease) else await lease


class CountingStore(MemoryStore):
    """A store that adds to one of codin's."""

    appended = 0

    def append(self, commit: Commit) -> int:
        self.appended += len(commit.entries)
        return super().append(commit)


class WrappedStore:
    """A store written from the promise alone."""

    durable = False

    def __init__(self, store: TaskStore) -> None:
        self._store = store

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()

    def append(self, commit: Commit) -> int | asyncio.Future[int]:
        return self._store.append(commit)

    def lease(self, owner: Owner, context_id: str, holder: str) -> Lease | asyncio.Future[Lease]:
        return self._store.lease(owner, context_id, holder)

    def release(self, owner: Owner, lease: Lease) -> None:
        self._store.release(owner, lease)

    async def load(self, owner: Owner, task_id: str) -> Stored | None:
        return await self._store.load(owner, task_id)

    async def read(self, owner: Owner, task_id: str, after: int = 0) -> Sequence[Entry]:
        return await self._store.read(owner, task_id, after)

    async def list(self, owner: Owner, query: ListQuery) -> Page:
        return await self._store.list(owner, query)

    async def claim(self, owner: Owner, key: str) -> Claim | None:
        return await self._store.claim(owner, key)

    async def unfinished(self, agent: str) -> Sequence[tuple[Owner, str, a2a.TaskState]]:
        return await self._store.unfinished(agent)

    async def feed(self, after: int, limit: int = 256) -> Sequence[Commit]:
        return await self._store.feed(after, limit)

    async def changed(self, after: int) -> None:
        await self._store.changed(after)

    async def cursor(self, consumer: str) -> int:
        return await self._store.cursor(consumer)

    async def advance(self, consumer: str, position: int) -> None:
        await self._store.advance(consumer, position)

    async def cursors(self, prefix: str) -> Sequence[tuple[str, int]]:
        return await self._store.cursors(prefix)

    async def forget(self, consumer: str) -> None:
        await self._store.forget(consumer)

    async def trim(self, *, chunks_before: int, tasks_before: int) -> None:
        await self._store.trim(chunks_before=chunks_before, tasks_before=tasks_before)


def serves_from_stores_of_ones_own(agent: object) -> list[App]:
    return [App(agent, store=CountingStore()), App(agent, store=WrappedStore(MemoryStore()))]
