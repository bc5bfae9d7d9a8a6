"""Reading: one task, the list of tasks, what recovery looks at. Another owner sees nothing."""

from __future__ import annotations

import pytest

from codin import a2a
from codin.task import ListQuery, Owner, TaskLog, TaskStore
from tests.task.stores.author import ALICE, BOB, Author, seen

pytestmark = pytest.mark.anyio


async def test_entries_come_back_as_they_went(store: TaskStore) -> None:
    author = Author(store)
    entries = [author.input("héllo"), author.status(a2a.TaskState.WORKING), author.chunk("a", append=False)]
    entries += [author.artifact("report"), author.status(a2a.TaskState.COMPLETED)]
    await author.append(*entries)
    stored = await store.read(ALICE, "task-1")
    assert seen(stored) == seen(entries)
    assert seen(await store.read(ALICE, "task-1", 3)) == seen(entries[3:])
    assert await store.read(ALICE, "task-1", 5) == []
    assert await store.read(ALICE, "task-1", 10**12) == []


async def test_before_it_rests_a_task_is_all_tail(store: TaskStore) -> None:
    author = Author(store)
    await author.begin()
    await author.append(author.chunk("so far", append=False))
    stored = await store.load(ALICE, "task-1")
    assert stored is not None
    assert (stored.owner, stored.task_id, stored.context_id) == (ALICE, "task-1", author.context_id)
    assert (stored.state, stored.changed, stored.trimmed) == (a2a.TaskState.WORKING, 1000, 0)
    assert stored.fold.last == 0
    assert [entry.number for entry in stored.tail] == [1, 2, 3]
    assert TaskLog.restore(store, stored, ()).fold.to_json() == author.fold.to_json()


async def test_the_fold_is_stored_where_a_task_rests(store: TaskStore) -> None:
    author = Author(store)
    await author.begin()
    await author.append(author.chunk("so far", append=False), author.artifact("report"))
    await author.rest(a2a.TaskState.INPUT_REQUIRED)
    resting = author.fold.to_json()
    stored = await store.load(ALICE, "task-1")
    assert stored is not None
    assert (stored.fold.last, stored.fold.changed, stored.fold.to_json()) == (5, 1002, resting)
    assert list(stored.tail) == []
    await author.begin()
    stored = await store.load(ALICE, "task-1")
    assert stored is not None
    assert stored.state is a2a.TaskState.WORKING
    assert [entry.number for entry in stored.tail] == [6, 7]
    assert TaskLog.restore(store, stored, ()).fold.to_json() == author.fold.to_json()
    await author.rest()
    stored = await store.load(ALICE, "task-1")
    assert stored is not None
    assert (stored.fold.last, stored.fold.to_json(), list(stored.tail)) == (8, author.fold.to_json(), [])


@pytest.mark.parametrize("stranger", [BOB, Owner("tenant", "echo", "alice"), Owner("", "other", "alice")])
async def test_a_stranger_and_a_wrong_id_get_the_same(store: TaskStore, stranger: Owner) -> None:
    await (await Author(store).whole("text")).store.load(ALICE, "task-1")
    for owner, task_id in ((stranger, "task-1"), (ALICE, "task-2"), (ALICE, "")):
        assert await store.load(owner, task_id) is None
        assert list(await store.read(owner, task_id)) == []
    assert await store.list(stranger, ListQuery()) == ([], 0, False)


async def test_a_list_is_newest_first_and_the_id_decides(store: TaskStore) -> None:
    for name, at in (("b", 5), ("a", 5), ("c", 5), ("old", 1), ("new", 9), ("é", 5)):
        await Author(store, name, at=at).begin()
    page = await store.list(ALICE, ListQuery())
    assert page == ([(9, "new"), (5, "é"), (5, "c"), (5, "b"), (5, "a"), (1, "old")], 6, False)


async def test_a_new_status_moves_a_task_to_the_front(store: TaskStore) -> None:
    first, second = Author(store, "first", at=1), Author(store, "second", at=2)
    await first.begin()
    await second.begin()
    first.at = 3
    await first.append(first.chunk("text is not a status"))
    assert [task_id for _, task_id in (await store.list(ALICE, ListQuery())).tasks] == ["second", "first"]
    await first.rest()
    assert [task_id for _, task_id in (await store.list(ALICE, ListQuery())).tasks] == ["first", "second"]


@pytest.mark.parametrize("size", [1, 3, 7, 20, 50])
async def test_pages_are_the_whole_list_in_pieces(store: TaskStore, size: int) -> None:
    expected = sorted(((number * 7 % 4, f"task-{number:02}") for number in range(20)), reverse=True)
    for at, name in expected[::2] + expected[1::2]:
        await Author(store, name, at=at).begin()
    found: list[tuple[int, str]] = []
    more = True
    while more:
        page = await store.list(ALICE, ListQuery(page_size=size, before=found[-1] if found else None))
        assert page.total == 20
        assert len(page.tasks) == min(size, 20 - len(found))
        found += page.tasks
        more = page.more
    assert found == expected


async def test_filters_hold_together_and_on_every_page(store: TaskStore) -> None:
    for number in range(12):
        author = Author(store, f"task-{number:02}", context_id=f"context-{number % 2}", at=number)
        await author.begin()
        if number % 3 == 0:
            author.at = number
            await author.rest(a2a.TaskState.INPUT_REQUIRED)

    async def found(query: ListQuery) -> list[int]:
        return [int(task_id[-2:]) for _, task_id in (await store.list(ALICE, query)).tasks]

    assert await found(ListQuery(context_id="context-1")) == [11, 9, 7, 5, 3, 1]
    assert await found(ListQuery(state=a2a.TaskState.INPUT_REQUIRED)) == [9, 6, 3, 0]
    assert await found(ListQuery(changed_after=9)) == [11, 10]
    both = ListQuery("context-0", a2a.TaskState.WORKING, changed_after=2, page_size=2)
    page = await store.list(ALICE, both)
    assert page == ([(10, "task-10"), (8, "task-08")], 3, True)
    assert await store.list(
        ALICE, ListQuery("context-0", a2a.TaskState.WORKING, changed_after=2, page_size=2, before=page.tasks[-1])
    ) == ([(4, "task-04")], 3, False)
    assert await found(ListQuery(context_id="no such")) == []


async def test_recovery_finds_what_has_not_ended_oldest_first(store: TaskStore) -> None:
    states = [a2a.TaskState.INPUT_REQUIRED, a2a.TaskState.COMPLETED, a2a.TaskState.AUTH_REQUIRED]
    states += [a2a.TaskState.FAILED, a2a.TaskState.CANCELED, a2a.TaskState.REJECTED]
    for number, state in enumerate(states):
        author = Author(store, f"task-{number}", at=100 - number)
        await author.begin()
        await author.rest(state)
    await Author(store, "working", owner=BOB).begin()
    queued = Author(store, "queued")
    await queued.append(queued.input(), queued.status(a2a.TaskState.SUBMITTED))
    await Author(store, "other", owner=Owner("", "other", "alice")).begin()
    assert list(await store.unfinished("echo")) == [
        (ALICE, "task-0", a2a.TaskState.INPUT_REQUIRED),
        (ALICE, "task-2", a2a.TaskState.AUTH_REQUIRED),
        (BOB, "working", a2a.TaskState.WORKING),
        (ALICE, "queued", a2a.TaskState.SUBMITTED),
    ]
    assert list(await store.unfinished("nobody")) == []
