"""Appending: all of a commit or none of it, in one order, by the holder of the lease."""

from __future__ import annotations

import asyncio

import pytest

from codin import a2a
from codin.errors import Conflict, LeaseLost
from codin.task import Claim, InputEntry, StatusEntry, TaskLog, TaskStore
from codin.task import Fold as TaskFold
from tests.task.stores.author import ALICE, BOB, Author, append, seen

pytestmark = pytest.mark.anyio


async def test_positions_count_the_commits_of_all_tasks(store: TaskStore) -> None:
    one, two = Author(store, "task-1"), Author(store, "task-2", owner=BOB)
    first = one.commit(one.input(), one.status(a2a.TaskState.WORKING))
    assert await append(store, first) == 1
    assert first.position == 1
    assert [await two.begin(), await one.rest(), await two.rest()] == [2, 3, 4]


async def test_a_commit_that_does_not_follow_is_a_conflict_and_leaves_nothing(store: TaskStore) -> None:
    author = Author(store)
    await author.begin()
    before = seen(await store.read(ALICE, "task-1"))
    for expected in (0, 1, 3):
        late = author.commit(author.chunk("late"), expected=expected)
        with pytest.raises(Conflict, match="is at entry 2"):
            await append(store, late)
    assert seen(await store.read(ALICE, "task-1")) == before
    assert [commit.position for commit in await store.feed(0)] == [1]
    author.last = 2
    assert await author.append(author.chunk("in time")) == 2


async def test_a_task_that_is_not_there_cannot_go_on(store: TaskStore) -> None:
    author = Author(store)
    with pytest.raises(Conflict, match="is at entry 0"):
        await append(store, author.commit(author.chunk("lost"), expected=7))
    assert await store.load(ALICE, "task-1") is None


async def test_an_id_belongs_to_whoever_was_first(store: TaskStore) -> None:
    await Author(store).begin()
    thief = Author(store, owner=BOB)
    with pytest.raises(Conflict):
        await thief.begin()
    with pytest.raises(Conflict):
        await append(store, thief.commit(thief.chunk("mine"), expected=2))
    assert await store.load(BOB, "task-1") is None
    assert len(await store.read(ALICE, "task-1")) == 2


async def test_a_key_is_taken_once_for_each_owner(store: TaskStore) -> None:
    await Author(store, "task-1").begin(key="key")
    with pytest.raises(Conflict, match="'key' is taken"):
        await Author(store, "task-2").begin(key="key")
    await Author(store, "task-3", owner=BOB).begin(key="key")
    assert await store.claim(ALICE, "key") == Claim("key", "digest", "task-1", 2)
    assert await store.claim(BOB, "key") == Claim("key", "digest", "task-3", 2)
    assert await store.claim(BOB, "another") is None
    assert await store.load(ALICE, "task-2") is None


async def test_a_conflict_hurts_nobody_who_commits_beside_it(store: TaskStore) -> None:
    await Author(store, "taken").begin(key="key")
    authors = [Author(store, f"task-{number}") for number in range(20)]
    thief, clash = Author(store, "taken"), Author(store, "other")
    commits = [author.commit(author.input(), author.status(a2a.TaskState.WORKING)) for author in authors]
    commits.insert(5, thief.commit(thief.input()))
    commits.insert(12, clash.commit(clash.input(), claim=Claim("key", "digest", "other", 1)))
    results = await asyncio.gather(*(append(store, commit) for commit in commits), return_exceptions=True)
    assert [type(results.pop(12)), type(results.pop(5))] == [Conflict, Conflict]
    assert results == list(range(2, 22))
    assert [commit.position for commit in await store.feed(0)] == list(range(1, 22))
    assert await store.load(ALICE, "other") is None


async def test_of_two_commits_on_one_number_one_is_taken(store: TaskStore) -> None:
    author = Author(store)
    await author.begin()
    one, two = author.commit(author.chunk("one")), author.commit(author.chunk("two"), expected=2)
    results = await asyncio.gather(append(store, one), append(store, two), return_exceptions=True)
    assert results[0] == 2
    assert isinstance(results[1], Conflict)
    assert [entry.number for entry in await store.read(ALICE, "task-1")] == [1, 2, 3]


async def test_what_follows_within_one_group_is_taken(store: TaskStore) -> None:
    author = Author(store)
    commits = [author.commit(author.input(), author.status(a2a.TaskState.WORKING))]
    commits += [author.commit(author.chunk(f"{number} ")) for number in range(40)]
    commits.append(author.commit(author.status(a2a.TaskState.COMPLETED)))
    assert await asyncio.gather(*(append(store, commit) for commit in commits)) == list(range(1, 43))
    stored = await store.load(ALICE, "task-1")
    assert stored is not None
    assert stored.fold.text("text-1") == "".join(f"{number} " for number in range(40))


async def test_only_the_holder_of_the_lease_appends(store: TaskStore) -> None:
    author = Author(store)
    await author.begin()
    mine = author.commit(author.chunk("mine"))
    theirs = store.lease(ALICE, author.context_id, "another")
    assert not isinstance(theirs, asyncio.Future)
    assert theirs.fence > mine.lease.fence
    with pytest.raises(LeaseLost):
        await append(store, mine)
    assert len(await store.read(ALICE, "task-1")) == 2
    mine.lease = theirs
    assert await append(store, mine) == 2
    store.release(ALICE, theirs)
    author.last = 3
    late = author.commit(author.chunk("late"))
    late.lease = theirs
    with pytest.raises(LeaseLost):
        await append(store, late)


async def test_a_large_commit_is_whole(store: TaskStore) -> None:
    author = Author(store)
    await author.begin()
    pieces = [f"{number} «ü»\x00 " * 10 for number in range(1000)]
    await author.append(*(author.chunk(piece, append=number > 0) for number, piece in enumerate(pieces)))
    await author.append(author.chunk("x" * 3_000_000), author.status(a2a.TaskState.COMPLETED))
    stored = await store.load(ALICE, "task-1")
    assert stored is not None
    assert stored.fold.text("text-1") == "".join(pieces) + "x" * 3_000_000
    assert [entry.number for entry in await store.read(ALICE, "task-1")] == list(range(1, 1005))


async def test_two_hundred_logs_at_once(store: TaskStore) -> None:
    async def write(number: int) -> None:
        task_id, context_id = f"task-{number}", f"context-{number % 50}"
        log = TaskLog(store, ALICE, task_id, context_id, TaskFold(task_id, context_id))
        lease = store.lease(ALICE, context_id, "test")
        assert not isinstance(lease, asyncio.Future)
        log.lease = lease
        maker = Author(store, task_id, context_id=context_id)
        log.append(InputEntry(number, b'{"messageId":"m"}'), StatusEntry(log.ids, a2a.TaskState.WORKING, number))
        for index in range(10):
            log.append(maker.chunk(f"{index},", append=index > 0))
            if index % 3 == number % 3:
                await log.settled()
            else:
                await asyncio.sleep(0)
        log.append(StatusEntry(log.ids, a2a.TaskState.COMPLETED, number))
        await log.settled()
        store.release(ALICE, lease)

    async with asyncio.timeout(60):
        await asyncio.gather(*(write(number) for number in range(200)))
    commits = await store.feed(0, limit=10_000)
    assert [commit.position for commit in commits] == list(range(1, len(commits) + 1))
    told: dict[str, list[int]] = {}
    for commit in commits:
        told.setdefault(commit.task_id, []).extend(entry.number for entry in commit.entries)
    assert told == {f"task-{number}": list(range(1, 14)) for number in range(200)}
    for number in range(200):
        stored = await store.load(ALICE, f"task-{number}")
        assert stored is not None
        assert stored.fold.text("text-1") == "0,1,2,3,4,5,6,7,8,9,"
        assert stored.state is a2a.TaskState.COMPLETED


async def test_a_task_is_read_as_it_was_at_one_moment(store: TaskStore) -> None:
    async def write() -> None:
        author = Author(store)
        for _ in range(150):
            await author.begin()
            await author.rest(a2a.TaskState.INPUT_REQUIRED)

    async with asyncio.timeout(60):
        writing = asyncio.create_task(write())
        while not writing.done():
            stored = await store.load(ALICE, "task-1")
            if stored is not None:
                state, changed, after = stored.state, stored.changed, stored.fold.last
                assert [entry.number for entry in stored.tail] == list(range(after + 1, after + 1 + len(stored.tail)))
                fold = TaskLog.restore(store, stored, ()).fold
                assert (fold.state, fold.changed) == (state, changed)
            await asyncio.sleep(0)
        await writing
