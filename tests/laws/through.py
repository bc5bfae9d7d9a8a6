"""Stores between a manager and the real one: a process that may die, and a store that answers late."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence

from codin import a2a
from codin.errors import CodinError, StoreError
from codin.task import (
    Claim,
    Commit,
    Entry,
    Fold,
    Lease,
    ListQuery,
    Owner,
    Page,
    Stored,
    TaskStore,
    decode_entry,
)

__all__ = ["Late", "Through"]


class Through:
    """One process's way to a store. After `cut` nothing gets through any more: the process has died.

    Args:
        copies: keep and give copies of folds, so that what a dying process still does to its own stays with it.
    """

    def __init__(self, inner: TaskStore, *, copies: bool = True) -> None:
        self.inner = inner
        self.copies = copies
        self.durable = inner.durable
        self.dead = False
        self._writing: set[asyncio.Future[int]] = set()

    def cut(self) -> None:
        self.dead = True

    def _alive(self) -> TaskStore:
        if self.dead:
            raise StoreError("this process has died")
        return self.inner

    async def open(self) -> None:
        await self._alive().open()

    async def close(self) -> None:
        await self._alive().close()

    def append(self, commit: Commit) -> int | asyncio.Future[int]:
        inner = self._alive()
        if self.copies and commit.fold is not None:
            commit.fold = _frozen(commit.fold)
        written = inner.append(commit)
        if isinstance(written, asyncio.Future):
            self._writing.add(written)
            written.add_done_callback(self._writing.discard)
        return written

    async def turn(self) -> None:
        """One turn of the event loop; over a store with a thread of its own, until what it is writing is written."""
        await asyncio.sleep(0)
        if self._writing:
            await asyncio.wait(tuple(self._writing))

    def lease(self, owner: Owner, context_id: str, holder: str) -> Lease | asyncio.Future[Lease]:
        return self._alive().lease(owner, context_id, holder)

    def release(self, owner: Owner, lease: Lease) -> None:
        if not self.dead:
            self.inner.release(owner, lease)

    async def load(self, owner: Owner, task_id: str) -> Stored | None:
        stored = await self._alive().load(owner, task_id)
        if self.copies and stored is not None:
            stored.fold = _frozen(stored.fold)
        return stored

    async def read(self, owner: Owner, task_id: str, after: int = 0) -> Sequence[Entry]:
        return await self._alive().read(owner, task_id, after)

    async def list(self, owner: Owner, query: ListQuery) -> Page:
        return await self._alive().list(owner, query)

    async def claim(self, owner: Owner, key: str) -> Claim | None:
        return await self._alive().claim(owner, key)

    async def unfinished(self, agent: str) -> Sequence[tuple[Owner, str, a2a.TaskState]]:
        return await self._alive().unfinished(agent)

    async def feed(self, after: int, limit: int = 256) -> Sequence[Commit]:
        return await self._alive().feed(after, limit)

    async def changed(self, after: int) -> None:
        await self._alive().changed(after)

    async def cursor(self, consumer: str) -> int:
        return await self._alive().cursor(consumer)

    async def advance(self, consumer: str, position: int) -> None:
        await self._alive().advance(consumer, position)

    async def cursors(self, prefix: str) -> Sequence[tuple[str, int]]:
        return await self._alive().cursors(prefix)

    async def forget(self, consumer: str) -> None:
        await self._alive().forget(consumer)

    async def trim(self, *, chunks_before: int, tasks_before: int) -> None:
        await self._alive().trim(chunks_before=chunks_before, tasks_before=tasks_before)


class Late(Through):
    """A store over memory that behaves as one behind a thread: futures, groups, reads that take a while, copies.

    Args:
        rhythm: how many waiting commits each turn of the event loop takes; without one, only `commit` and `fail` do.
    """

    def __init__(self, inner: TaskStore, rhythm: Iterator[int] | None = None) -> None:
        super().__init__(inner)
        self._rhythm = rhythm
        self._waiting: deque[tuple[Commit, asyncio.Future[int]]] = deque()
        self._ticking = False
        self._arrived: list[asyncio.Future[None]] = []

    def cut(self) -> None:
        super().cut()
        self._waiting.clear()

    def append(self, commit: Commit) -> int | asyncio.Future[int]:
        self._alive()
        if commit.fold is not None:
            commit.fold = _frozen(commit.fold)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((commit, future))
        for arrived in self._arrived:
            arrived.set_result(None)
        self._arrived = []
        if self._rhythm is not None and not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick, self._rhythm)
        return future

    def _tick(self, rhythm: Iterator[int]) -> None:
        self.commit(next(rhythm))
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._tick, rhythm)
        else:
            self._ticking = False

    @property
    def waiting(self) -> Sequence[Commit]:
        """The commits that nobody has answered yet."""
        return [commit for commit, _ in self._waiting]

    async def arrival(self) -> None:
        """Wait until a commit waits."""
        if not self._waiting:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._arrived.append(future)
            await future

    def commit(self, count: int | None = None) -> None:
        """Take the oldest `count` (default: all) waiting commits, in order."""
        for _ in range(len(self._waiting) if count is None else min(count, len(self._waiting))):
            commit, future = self._waiting.popleft()
            try:
                position = self.inner.append(commit)
            except CodinError as error:
                future.set_exception(error)
            else:
                assert isinstance(position, int)
                future.set_result(position)

    def fail(self, error: Exception) -> None:
        """Answer the oldest waiting commit with an error; it is not in the store."""
        self._waiting.popleft()[1].set_exception(error)

    def lease(self, owner: Owner, context_id: str, holder: str) -> Lease | asyncio.Future[Lease]:
        lease = self._alive().lease(owner, context_id, holder)
        assert isinstance(lease, Lease)
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: future.done() or future.set_result(lease))
        return future

    async def load(self, owner: Owner, task_id: str) -> Stored | None:
        stored = await super().load(owner, task_id)
        if stored is not None:
            stored.tail = _copies(stored.tail)
        await self._take_a_while()
        return stored

    async def read(self, owner: Owner, task_id: str, after: int = 0) -> Sequence[Entry]:
        entries = _copies(await super().read(owner, task_id, after))
        await self._take_a_while()
        return entries

    async def claim(self, owner: Owner, key: str) -> Claim | None:
        claim = await super().claim(owner, key)
        await self._take_a_while()
        return claim

    async def _take_a_while(self) -> None:
        for _ in range(1 if self._rhythm is None else next(self._rhythm)):
            await asyncio.sleep(0)


def _frozen(fold: Fold) -> Fold:
    """What a store keeps: the fold as it is now, and not as the log goes on to change it."""
    return Fold.restore(fold.last, fold.changed, fold.to_json())


def _copies(entries: Sequence[Entry]) -> Sequence[Entry]:
    return [decode_entry(entry.number, entry.kind, entry.at, entry.body) for entry in entries]
