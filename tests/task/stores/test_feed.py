"""The feed: every commit, in the order of commits, with a cursor for each consumer; and what retention takes."""

from __future__ import annotations

import asyncio

import pytest

from codin import a2a
from codin.errors import Conflict
from codin.task import Claim, ListQuery, PrivateEntry, TaskStore
from tests.task.stores.author import ALICE, BOB, Author, append, seen

pytestmark = pytest.mark.anyio


async def test_the_feed_tells_every_commit_as_it_was(store: TaskStore) -> None:
    one, two = Author(store, "task-1"), Author(store, "task-2", owner=BOB)
    commits = [one.commit(one.input(), one.status(a2a.TaskState.WORKING), claim=Claim("key", "digest", "task-1", 2))]
    commits.append(two.commit(two.input(), two.status(a2a.TaskState.SUBMITTED)))
    commits.append(one.commit(one.chunk("text", append=False)))
    commits.append(one.commit(one.status(a2a.TaskState.COMPLETED)))
    for commit in commits:
        done = store.append(commit)
        if isinstance(done, asyncio.Future):
            await done
    feed = await store.feed(0)
    assert [
        (c.position, c.owner, c.task_id, c.context_id, c.expected, c.state, c.changed, c.claim, seen(c.entries))
        for c in feed
    ] == [
        (n, c.owner, c.task_id, c.context_id, c.expected, c.state, c.changed, c.claim, seen(c.entries))
        for n, c in enumerate(commits, 1)
    ]


async def test_the_feed_is_read_in_pieces(store: TaskStore) -> None:
    await Author(store).whole(*"abcdefgh")
    positions: list[int] = []
    while piece := await store.feed(positions[-1] if positions else 0, limit=3):
        assert len(piece) <= 3
        positions += [commit.position for commit in piece]
    assert positions == list(range(1, 11))


async def test_waiting_for_the_feed(store: TaskStore) -> None:
    author = Author(store)
    async with asyncio.timeout(10):
        waiting = [asyncio.create_task(store.changed(0)) for _ in range(3)]
        later = asyncio.create_task(store.changed(1))
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        await author.begin()
        await asyncio.gather(*waiting)
        await store.changed(0)
        assert not later.done()
        assert [commit.position for commit in await store.feed(0)] == [1]
        await author.rest()
        await later


async def test_a_cursor_goes_forward_only(store: TaskStore) -> None:
    assert await store.cursor("push") == 0
    await store.advance("push", 7)
    await store.advance("push", 3)
    await store.advance("audit", 1)
    assert [await store.cursor(name) for name in ("push", "audit", "memory")] == [7, 1, 0]


async def test_cursors_by_the_beginning_of_their_names(store: TaskStore) -> None:
    for name, position in (("push:a", 1), ("push:ä", 2), ("push", 3), ("PUSH:a", 4), ("puzzle", 5), ("push:%", 6)):
        await store.advance(name, position)
    assert sorted(await store.cursors("push:")) == [("push:%", 6), ("push:a", 1), ("push:ä", 2)]
    await store.forget("push:a")
    await store.forget("nobody")
    assert sorted(await store.cursors("push:")) == [("push:%", 6), ("push:ä", 2)]
    assert await store.cursor("push:a") == 0


async def test_what_is_private_may_come_after_the_end(store: TaskStore) -> None:
    author = await Author(store).whole("a")
    end = author.last
    await author.append(PrivateEntry("push", author.at, b"{}"))
    await author.append(PrivateEntry("push", author.at, b"{}"))
    stored = await store.load(ALICE, "task-1")
    assert stored is not None
    assert (stored.fold.last, stored.state, list(stored.tail)) == (author.last, a2a.TaskState.COMPLETED, [])
    assert [(entry.number, entry.kind) for entry in await store.read(ALICE, "task-1", end)] == [
        (end + 1, "push"),
        (end + 2, "push"),
    ]
    assert [(commit.expected, len(commit.entries)) for commit in await store.feed(3)] == [(end, 1), (end + 1, 1)]
    with pytest.raises(Conflict):
        await append(store, author.commit(PrivateEntry("push", author.at, b"{}"), expected=end))


async def test_retention_takes_the_chunks_and_leaves_the_fold(store: TaskStore) -> None:
    old = await Author(store, "old", at=10).whole("a", "b")
    new = await Author(store, "new", at=100).whole("c")
    parked, running = Author(store, "parked", at=10), Author(store, "running", at=10)
    await parked.begin()
    await parked.append(parked.chunk("d", append=False), parked.status(a2a.TaskState.INPUT_REQUIRED))
    await running.begin()
    await running.append(running.chunk("e", append=False))
    for _ in range(2):
        await store.trim(chunks_before=50, tasks_before=0)
        assert [(e.number, e.kind) for e in await store.read(ALICE, "old")] == [
            (1, "input"), (2, "status"), (5, "status"),
        ]  # fmt: skip
    stored = await store.load(ALICE, "old")
    assert stored is not None
    assert (stored.trimmed, stored.fold.to_json()) == (5, old.fold.to_json())
    for author in (new, parked, running):
        assert len(await store.read(ALICE, author.task_id)) == author.last
        stored = await store.load(ALICE, author.task_id)
        assert stored is not None
        assert stored.trimmed == 0
    assert all(commit.entries for commit in await store.feed(0))


async def test_retention_takes_whole_tasks_with_all_that_belongs_to_them(store: TaskStore) -> None:
    for number in range(5):
        author = Author(store, f"old-{number}", at=10)
        await author.begin(key=f"key-{number}")
        await author.rest()
    working = Author(store, "working", at=10)
    await store.trim(chunks_before=50, tasks_before=50)
    assert await store.list(ALICE, ListQuery()) == ([], 0, False)
    assert await store.load(ALICE, "old-0") is None
    assert await store.claim(ALICE, "key-0") is None
    assert list(await store.feed(0)) == []
    await working.begin()
    await store.trim(chunks_before=50, tasks_before=50)
    assert [commit.position for commit in await store.feed(0)] == [11]
    again = Author(store, "old-0", at=60)
    assert await again.begin(key="key-0") == 12
    assert len(await store.read(ALICE, "old-0")) == 2
