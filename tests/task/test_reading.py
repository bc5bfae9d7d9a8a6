"""Readers: get, list, subscribe and resume, also after retention; the feed and its cursors."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from codin import a2a
from codin.task import AgentResponse, MemoryStore, Reader, Subscription, Task, TaskStore
from codin.task.stores import SQLiteStore
from tests.laws.accumulate import accumulate, comparable
from tests.task.desk import ALICE, Desk, forever, state_of, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TaskStore:
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "tasks.db")


async def _writes(task: Task) -> AgentResponse:
    for letter in "abc":
        await task.write(letter)
    await task.artifact({"n": 1}, name="numbers")
    return AgentResponse.completed()


async def _subscribe(desk: Desk, task_id: str, after: int | None = None) -> Subscription:
    return await desk.manager.subscribe(ALICE, a2a.SubscribeToTaskRequest(id=task_id), after)


def _rest(reader: Reader) -> list[int]:
    return [entry.number for entry in reader.take()]


async def _trim(store: TaskStore, *, tasks: bool = False) -> None:
    later = int(time.time() * 1000) + 60_000
    await store.trim(chunks_before=later, tasks_before=later if tasks else 0)


async def test_a_finished_task_is_read_again_from_any_number(store: TaskStore) -> None:
    desk = Desk(_writes, store)
    task = await desk.send()
    last = (await desk.log(task["id"]))[-1].number
    for after in range(last + 1):
        subscription = await _subscribe(desk, task["id"], after)
        assert subscription.first is None
        numbers = _rest(subscription.reader)
        assert numbers == [number for number in range(2, last + 1) if number > after]
        assert subscription.reader.ended
    await store.close()


@pytest.mark.parametrize("running", [False, True])
async def test_a_number_beyond_the_end_is_an_error(running: bool) -> None:
    desk = Desk(forever if running else _writes)
    turn = await desk.submit()
    if not running:
        await turn.outcome()
    last = turn.log.committed
    await _subscribe(desk, turn.log.task_id, last)
    with pytest.raises(a2a.InvalidParams) as caught:
        await _subscribe(desk, turn.log.task_id, last + 1)
    assert caught.value.reason == "EVENT_NUMBER_UNKNOWN"


async def test_an_ended_task_cannot_be_subscribed_to_without_a_number() -> None:
    desk = Desk(_writes)
    task = await desk.send()
    with pytest.raises(a2a.UnsupportedOperation, match="has ended"):
        await _subscribe(desk, task["id"])


async def test_a_subscription_begins_with_the_task_and_goes_on_with_the_tail() -> None:
    go = asyncio.Event()

    async def writes(task: Task) -> AgentResponse:
        await task.write("a")
        await go.wait()
        await task.write("b")
        return AgentResponse.completed()

    desk = Desk(writes)
    turn = await desk.submit()
    await asyncio.sleep(0)
    subscription = await _subscribe(desk, turn.log.task_id)
    assert subscription.first is not None
    number, task = subscription.first
    assert (number, text_of(json.loads(task))) == (3, "a")
    go.set()
    await turn.outcome()
    assert _rest(subscription.reader) == [4, 5, 6]


async def test_a_send_stream_closes_at_a_question_and_a_subscription_does_not() -> None:
    async def asks(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text)

    desk = Desk(asks)
    turn = await desk.submit(streaming=True)
    await turn.outcome()
    stream, subscription = await turn.stream(), await _subscribe(desk, turn.log.task_id, 0)
    assert (_rest(stream.reader), stream.reader.ended) == ([4], True)
    assert (_rest(subscription.reader), subscription.reader.ended) == ([2, 4], False)
    await desk.send("blue", task_id=turn.log.task_id)
    assert _rest(subscription.reader) == [6, 7, 8]
    assert subscription.reader.ended


async def test_a_send_stream_stays_open_while_a_credential_is_awaited() -> None:
    async def asks(task: Task) -> AgentResponse:
        await task.authorize("log in")
        return AgentResponse.completed()

    desk = Desk(asks)
    turn = await desk.submit(streaming=True)
    assert state_of(json.loads(await turn.outcome())) == "AUTH_REQUIRED"
    stream = await turn.stream()
    assert (_rest(stream.reader), stream.reader.ended) == ([4], False)
    await desk.send("secret", task_id=turn.log.task_id)
    assert (_rest(stream.reader), stream.reader.ended) == ([6, 7], True)


async def test_history_length_bounds_the_messages() -> None:
    async def asks(task: Task) -> AgentResponse:
        await task.ask("one?")
        await task.ask("two?")
        return AgentResponse.completed()

    desk = Desk(asks)
    task = await desk.send("zero")
    await desk.send("first", task_id=task["id"])
    await desk.send("second", task_id=task["id"])
    lengths: dict[int | None, list[str]] = {}
    for length in (None, 0, 1, 3, 99):
        request = a2a.GetTaskRequest(id=task["id"], history_length=length)
        got = json.loads(await desk.manager.get(ALICE, request))
        lengths[length] = [message["parts"][0]["text"] for message in got.get("history", ())]
    everything = ["zero", "one?", "first", "two?", "second"]
    assert lengths == {None: everything, 0: [], 1: everything[-1:], 3: everything[-3:], 99: everything}


# -- retention ---------------------------------------------------------------------------------------------------------


async def test_what_is_left_after_retention_is_the_task(store: TaskStore) -> None:
    desk = Desk(_writes, store)
    task = await desk.send()
    whole = [entry.body for entry in await desk.log(task["id"]) if entry.public]
    await _trim(store)
    assert await desk.get(task["id"]) == task
    last = (await desk.log(task["id"]))[-1].number
    for after in range(last + 1):
        subscription = await _subscribe(desk, task["id"], after)
        seen = [] if subscription.first is None else [b'{"task":%s}' % subscription.first[1]]
        seen += [entry.body for entry in subscription.reader.take()]
        assert subscription.reader.ended
        if after < last:
            assert subscription.first is not None
            assert subscription.first[0] == last
        if after == 0:
            assert comparable(accumulate(seen)) == comparable(accumulate(whole) | {"history": task.get("history", [])})
    with pytest.raises(a2a.InvalidParams):
        await _subscribe(desk, task["id"], last + 1)
    await store.close()


async def test_the_repeat_of_a_key_after_retention_is_the_task(store: TaskStore) -> None:
    desk = Desk(_writes, store)
    task = await desk.send(key="k")
    await _trim(store)
    assert await desk.send(key="k") == task
    await store.close()


async def test_a_task_beyond_its_retention_is_unknown_and_its_key_is_free(store: TaskStore) -> None:
    desk = Desk(_writes, store)
    task = await desk.send(key="k")
    await _trim(store, tasks=True)
    with pytest.raises(a2a.TaskNotFound):
        await desk.get(task["id"])
    assert (await desk.list()).total_size == 0
    assert (await desk.send(key="k"))["id"] != task["id"]
    await store.close()


async def test_retention_leaves_tasks_alone_that_have_not_ended(store: TaskStore) -> None:
    async def asks(task: Task) -> AgentResponse:
        await task.write("before ")
        await task.write((await task.ask("which?")).text)
        return AgentResponse.completed()

    desk = Desk(asks, store)
    task = await desk.send()
    await _trim(store, tasks=True)
    await desk.manager.drain()
    desk = Desk(asks, store)
    assert text_of(await desk.send("blue", task_id=task["id"])) == "before blue"
    await store.close()


async def test_a_reader_that_is_slower_than_retention_still_gets_everything(store: TaskStore) -> None:
    desk = Desk(_writes, store)
    turn = await desk.submit(streaming=True)
    stream = await turn.stream()
    await turn.outcome()
    await _trim(store)
    assert _rest(stream.reader) == list(range(3, turn.log.committed + 1))
    await store.close()


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_pages_cover_all_tasks_once_newest_first(store: TaskStore) -> None:
    desk = Desk(_writes, store)
    made = [(await desk.send())["id"] for _ in range(7)]
    for size in (1, 3, 7, 100):
        seen: list[str] = []
        token = ""
        while True:
            page = await desk.list(page_size=size, page_token=token or None)
            assert page.total_size == 7
            assert page.page_size == size
            seen += [task.id for task in page.tasks]
            token = page.next_page_token
            if not token:
                break
        assert sorted(seen) == sorted(made)
    await store.close()


async def test_a_token_belongs_to_its_caller_and_its_filters() -> None:
    desk = Desk(_writes)
    for _ in range(3):
        await desk.send(context_id="c")
    token = (await desk.list(page_size=1, context_id="c")).next_page_token
    assert (await desk.list(page_size=1, context_id="c", page_token=token)).tasks
    for wrong in ({"context_id": "d"}, {"status": a2a.TaskState.COMPLETED}, {}):
        with pytest.raises(a2a.InvalidParams) as caught:
            await desk.list(page_size=1, page_token=token, **wrong)
        assert caught.value.violations[0].field == "pageToken"
    for forged in ("x", "e30=", token[:-4] + "AAAA", "\u00e9"):
        with pytest.raises(a2a.InvalidParams):
            await desk.list(page_size=1, context_id="c", page_token=forged)


async def test_lists_filter_by_state_and_context_and_leave_artifacts_out() -> None:
    async def either(task: Task) -> AgentResponse:
        if task.text == "ask":
            return AgentResponse.input_required("which?")
        return await _writes(task)

    desk = Desk(either)
    asking = await desk.send("ask", context_id="c")
    done = await desk.send("go", context_id="d")
    assert [task.id for task in (await desk.list(status=a2a.TaskState.INPUT_REQUIRED)).tasks] == [asking["id"]]
    (listed,) = (await desk.list(context_id="d")).tasks
    assert (listed.id, listed.artifacts) == (done["id"], [])
    (listed,) = (await desk.list(context_id="d", include_artifacts=True)).tasks
    assert len(listed.artifacts) == 2


# -- the feed ----------------------------------------------------------------------------------------------------------


async def test_a_consumer_with_a_cursor_sees_every_entry_once_while_tasks_run(store: TaskStore) -> None:
    desk = Desk(_writes, store)
    await desk.manager.start()
    seen: list[tuple[str, int]] = []
    positions: list[int] = []
    done = False

    async def consume(consumer: str) -> None:
        while True:
            position = await store.cursor(consumer)
            commits = await store.feed(position, 3)
            for commit in commits:
                positions.append(commit.position)
                seen.extend((commit.task_id, entry.number) for entry in commit.entries)
            if commits:
                await store.advance(consumer, commits[-1].position)
            elif done:
                return
            else:
                await store.changed(position)

    consuming = asyncio.ensure_future(consume("push"))
    tasks = await asyncio.gather(*(desk.send(context_id=str(i % 4)) for i in range(20)))
    done = True
    await desk.send()  # one more commit, for a consumer that waits
    await asyncio.wait_for(consuming, 60)
    assert positions == sorted(set(positions))
    for task in tasks:
        numbers = [number for task_id, number in seen if task_id == task["id"]]
        assert numbers == [entry.number for entry in await desk.log(task["id"])]
    await store.close()


async def test_cursors_are_each_consumers_own_and_never_go_back(store: TaskStore) -> None:
    await store.open()
    await store.advance("push", 5)
    await store.advance("push", 3)
    assert (await store.cursor("push"), await store.cursor("audit")) == (5, 0)
    await store.close()


async def test_memory_keeps_the_newest_ended_tasks_and_every_other() -> None:
    async def either(task: Task) -> AgentResponse:
        return AgentResponse.input_required("which?") if task.text == "ask" else AgentResponse.completed()

    desk = Desk(either, MemoryStore(max_ended=3))
    parked = [await desk.send("ask") for _ in range(5)]
    ended = [await desk.send("go", key=str(i)) for i in range(5)]
    for task in (*parked, *ended[2:]):
        await desk.get(task["id"])
    for task in ended[:2]:
        with pytest.raises(a2a.TaskNotFound):
            await desk.get(task["id"])
    assert (await desk.send("go", key="0"))["id"] != ended[0]["id"]
