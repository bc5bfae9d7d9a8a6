"""A store that answers later: nothing is seen before it is committed, and nobody waits for what will not come."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from codin import a2a
from codin.errors import StoreError
from codin.task import AgentResponse, Limits, MemoryStore, Task
from tests.laws.through import Late
from tests.task.desk import Desk, entries_of, state_of, text_of

pytestmark = pytest.mark.anyio


async def _turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _committed(store: Late, work: asyncio.Future[Any]) -> None:
    """Commit whatever arrives until the work is done."""
    while not work.done():
        store.commit()
        await asyncio.sleep(0)


async def test_nothing_runs_and_nothing_is_acknowledged_before_the_submit_is_committed() -> None:
    ran: list[str] = []

    async def notes(task: Task) -> AgentResponse:
        ran.append(task.text)
        return AgentResponse.completed()

    store = Late(MemoryStore())
    desk = Desk(notes, store)
    turn = await desk.submit(streaming=True)
    accepted = asyncio.ensure_future(turn.accepted())
    with_key = asyncio.ensure_future(desk.submit(key="k"))
    await _turns()
    assert (ran, accepted.done(), with_key.done()) == ([], False, False)
    store.commit()
    assert json.loads(await accepted)["status"]["state"] == "TASK_STATE_WORKING"
    await with_key
    await _turns()
    assert ran == ["hello", "hello"]
    store.commit()


async def test_readers_see_committed_entries_only() -> None:
    go = asyncio.Event()

    async def writes(task: Task) -> AgentResponse:
        await task.write("a")
        await task.write("b")
        await go.wait()
        return AgentResponse.completed()

    store = Late(MemoryStore())
    desk = Desk(writes, store)
    turn = await desk.submit()
    store.commit()
    await _turns()
    reader = turn.log.reader(turn.number, until_interrupted=False)
    assert reader.take() == []
    getting = asyncio.ensure_future(desk.get(turn.log.task_id))
    await _turns()
    assert not getting.done()  # the fold is ahead; it answers when the store has caught up
    store.commit(1)
    assert text_of(await getting) == "a"
    assert [entry.number for entry in reader.take()] == [3]
    go.set()
    finished = asyncio.ensure_future(turn.outcome())
    await _committed(store, finished)
    assert text_of(json.loads(finished.result())) == "ab"


async def test_what_arrives_during_a_commit_joins_the_next_one() -> None:
    async def writes(task: Task) -> AgentResponse:
        for letter in "abcdef":
            await task.write(letter)
        return AgentResponse.completed()

    store = Late(MemoryStore())
    turn = await Desk(writes, store).submit()
    sizes: list[int] = []
    finished = asyncio.ensure_future(turn.outcome())
    while not finished.done():
        await _turns()
        sizes += [len(commit.entries) for commit in store.waiting]
        store.commit()
        await asyncio.sleep(0)
    assert sizes == [2, 1, 7]


async def test_a_writer_far_ahead_of_the_store_waits_for_it() -> None:
    written = 0

    async def floods(task: Task) -> AgentResponse:
        nonlocal written
        for _ in range(1000):
            await task.write("x")
            written += 1
        return AgentResponse.completed()

    store = Late(MemoryStore())
    turn = await Desk(floods, store, limits=Limits(max_uncommitted=50)).submit()
    store.commit()
    await _turns(200)
    assert 40 <= written <= 52
    finished = asyncio.ensure_future(turn.outcome())
    await _committed(store, finished)
    assert written == 1000


async def test_an_outcome_a_question_and_a_cancel_wait_for_their_commit() -> None:
    heard: list[str] = []

    async def asks(task: Task) -> AgentResponse:
        heard.append((await task.ask("which?")).text)
        return AgentResponse.completed("done")

    store = Late(MemoryStore())
    desk = Desk(asks, store)
    turn = await desk.submit()
    store.commit()
    asked = asyncio.ensure_future(turn.outcome())
    await _turns()
    assert not asked.done()
    answering = asyncio.ensure_future(desk.submit("blue", task_id=turn.log.task_id))
    await _turns()
    assert not answering.done()  # who answers has to have seen the question
    store.commit()
    assert state_of(json.loads(await asked)) == "INPUT_REQUIRED"
    answer = await answering
    cancelling = asyncio.ensure_future(desk.cancel(turn.log.task_id))
    await _turns()
    assert not cancelling.done()
    await _committed(store, cancelling)
    assert state_of(cancelling.result()) == "CANCELED"
    assert b"CANCELED" in await answer.outcome()


async def test_a_cancel_during_the_commit_of_a_question_ends_the_task() -> None:
    async def asks(task: Task) -> AgentResponse:
        await task.ask("which?")
        raise AssertionError

    for wait in range(6):
        store = Late(MemoryStore())
        desk = Desk(asks, store)
        turn = await desk.submit()
        store.commit()
        await store.arrival()
        cancelling = asyncio.ensure_future(desk.cancel(turn.log.task_id))
        await _turns(wait)
        await _committed(store, cancelling)
        assert state_of(cancelling.result()) == "CANCELED"
        assert entries_of(await desk.log(turn.log.task_id))[-1] == "CANCELED"


async def test_concurrent_answers_are_one_answer_and_refusals() -> None:
    async def asks(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text)

    store = Late(MemoryStore())
    desk = Desk(asks, store)
    turn = await desk.submit()
    asked = asyncio.ensure_future(turn.outcome())
    await _committed(store, asked)
    sending = asyncio.gather(*(desk.submit(str(i), task_id=turn.log.task_id) for i in range(4)), return_exceptions=True)
    await _committed(store, sending)
    refused = [result for result in sending.result() if isinstance(result, BaseException)]
    assert [type(error) for error in refused] == [a2a.UnsupportedOperation] * 3
    await _committed(store, asyncio.ensure_future(desk.until(turn.log.task_id, "COMPLETED")))
    assert entries_of(await desk.log(turn.log.task_id)).count("input") == 2


async def test_two_who_ask_for_a_task_that_is_not_at_hand_get_the_same_one() -> None:
    async def asks(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text)

    store = Late(inner := MemoryStore())
    first = Desk(asks, store)
    turn = await first.submit()
    await _committed(store, asyncio.ensure_future(turn.outcome()))
    await first.manager.drain()
    store = Late(inner)
    desk = Desk(asks, store)
    cancels = asyncio.gather(*(desk.cancel(turn.log.task_id) for _ in range(4)))
    await _committed(store, cancels)
    assert [state_of(task) for task in cancels.result()] == ["CANCELED"] * 4
    assert entries_of(await desk.log(turn.log.task_id)).count("cancel") == 1


# -- a store that fails ------------------------------------------------------------------------------------------------


async def test_a_submit_that_cannot_be_stored_is_an_error_for_everybody_who_waits() -> None:
    ran: list[str] = []

    async def notes(task: Task) -> AgentResponse:
        ran.append(task.text)
        return AgentResponse.completed()

    store = Late(MemoryStore())
    desk = Desk(notes, store)
    turn = await desk.submit(streaming=True, context_id="c")
    with_key = asyncio.ensure_future(desk.submit("with a key", key="k", context_id="d"))
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(turn.accepted()), asyncio.ensure_future(turn.outcome())]
    await _turns()
    store.fail(StoreError("disk full"))
    store.fail(StoreError("disk full"))
    for waiter in (*waiting, with_key):
        with pytest.raises(StoreError, match="disk full"):
            await asyncio.wait_for(waiter, 20)
    with pytest.raises(a2a.TaskNotFound):
        await desk.get(turn.log.task_id)
    await _turns()
    assert (ran, desk.manager.running) == ([], 0)
    for options in ({"context_id": "c"}, {"context_id": "d", "key": "k"}):  # nothing is held, no key is taken
        sending = asyncio.ensure_future(desk.send("again", **options))
        await _committed(store, sending)
        assert state_of(sending.result()) == "COMPLETED"


@pytest.mark.parametrize("action", ["write", "ask", "return"])
async def test_a_commit_that_fails_reaches_the_run_its_readers_and_its_sender(action: str) -> None:
    raised: list[str] = []
    ended = asyncio.Event()

    async def acts(task: Task) -> AgentResponse:
        if task.text == "fine":
            return AgentResponse.completed("fine")
        try:
            while action == "write":
                await task.write("x")
                await asyncio.sleep(0)
            if action == "ask":
                await task.ask("which?")
            return AgentResponse.completed("done")
        except StoreError as error:
            raised.append(error.message)
            raise
        finally:
            ended.set()

    store = Late(MemoryStore())
    desk = Desk(acts, store)
    turn = await desk.submit(context_id="c")
    store.commit()
    reader = turn.log.reader(turn.number, until_interrupted=False)
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(turn.outcome()), asyncio.ensure_future(reader.wait())]
    await store.arrival()
    store.fail(StoreError("disk full"))
    for waiter in waiting:
        with pytest.raises(StoreError, match="disk full"):
            await asyncio.wait_for(waiter, 20)
    await asyncio.wait_for(ended.wait(), 20)
    await _turns()
    assert raised == ([] if action == "return" else ["disk full"])
    assert desk.manager.running == 0
    sending = asyncio.ensure_future(desk.send("fine", context_id="c"))  # its context is free
    await _committed(store, sending)
    assert text_of(sending.result()) == "fine"


async def test_a_queued_task_that_cannot_be_stored_blocks_nobody_behind_it() -> None:
    go = asyncio.Event()

    async def slow(task: Task) -> AgentResponse:
        await go.wait()
        return AgentResponse.completed(task.text)

    store = Late(MemoryStore())
    desk = Desk(slow, store)
    first = await desk.submit("first", context_id="c")
    store.commit()
    await desk.submit("second", context_id="c")
    store.fail(StoreError("disk full"))
    third = await desk.submit("third", context_id="c")
    go.set()
    both = asyncio.gather(first.outcome(), third.outcome())
    await _committed(store, both)
    assert [text_of(json.loads(task)) for task in both.result()] == ["first", "third"]


async def test_a_task_whose_commit_failed_can_still_be_canceled() -> None:
    async def writes(task: Task) -> AgentResponse:
        await task.write("x")
        await asyncio.Event().wait()
        raise AssertionError

    store = Late(MemoryStore())
    desk = Desk(writes, store)
    turn = await desk.submit()
    store.commit()
    await store.arrival()
    store.fail(StoreError("disk full"))
    await _turns()
    cancelling = asyncio.ensure_future(desk.cancel(turn.log.task_id))
    await _committed(store, cancelling)
    assert state_of(cancelling.result()) == "CANCELED"


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_a_request_that_goes_away_during_its_commit_leaves_its_key_behind() -> None:
    async def echo(task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)

    for wait in range(8):
        store = Late(MemoryStore())
        desk = Desk(echo, store)
        first = asyncio.ensure_future(desk.submit("hello", key="k"))
        await _turns(wait)
        first.cancel()
        second = asyncio.ensure_future(desk.send("hello", key="k"))
        await _turns()
        await _committed(store, second)
        assert text_of(second.result()) == "hello"
        listing = await desk.list()
        assert listing.total_size == 1


async def test_a_guest_of_a_key_whose_submit_failed_tries_for_itself() -> None:
    async def echo(task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)

    store = Late(MemoryStore())
    desk = Desk(echo, store)
    first = asyncio.ensure_future(desk.submit("hello", key="k"))
    await store.arrival()
    second = asyncio.ensure_future(desk.send("hello", key="k"))
    await _turns()
    store.fail(StoreError("disk full"))
    await _committed(store, second)
    assert state_of(second.result()) == "COMPLETED"
    with pytest.raises(StoreError):
        await first
    assert (await desk.list()).total_size == 1
