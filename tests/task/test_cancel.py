"""Cancel: asked for once or ten times, of a task that works, waits, asks or is just ending."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from codin import a2a
from codin.errors import TaskClosed
from codin.task import AgentResponse, Limits, Task
from tests.task.desk import Desk, entries_of, forever, state_of, text_of

pytestmark = pytest.mark.anyio


async def test_a_working_task_is_canceled_and_unwinds() -> None:
    unwound = asyncio.Event()

    async def tidy(task: Task) -> AgentResponse:
        try:
            await asyncio.Event().wait()
        finally:
            await task.artifact("what there was", name="partial")
            unwound.set()
        raise AssertionError

    desk = Desk(tidy)
    turn = await desk.submit()
    await asyncio.sleep(0)
    task = await desk.cancel(turn.log.task_id)
    assert state_of(task) == "CANCELED"
    assert unwound.is_set()
    assert text_of(task) == "what there was"
    assert entries_of(await desk.log(task["id"])) == ["input", "WORKING", "cancel", "artifact", "CANCELED"]
    assert desk.manager.running == 0


async def test_its_sender_gets_the_canceled_task() -> None:
    desk = Desk(forever)
    turn = await desk.submit()
    outcome = asyncio.ensure_future(turn.outcome())
    await desk.cancel(turn.log.task_id)
    assert b"TASK_STATE_CANCELED" in await outcome


async def test_repeated_and_concurrent_cancels_get_the_same_task() -> None:
    desk = Desk(forever)
    turn = await desk.submit()
    answers = await asyncio.gather(*(desk.cancel(turn.log.task_id) for _ in range(5)))
    answers.append(await desk.cancel(turn.log.task_id))
    assert all(answer == answers[0] for answer in answers)
    assert entries_of(await desk.log(turn.log.task_id)).count("cancel") == 1


async def test_an_ended_task_cannot_be_canceled() -> None:
    async def done(task: Task) -> AgentResponse:
        return AgentResponse.completed("done")

    desk = Desk(done)
    task = await desk.send()
    with pytest.raises(a2a.TaskNotCancelable, match="COMPLETED"):
        await desk.cancel(task["id"])


async def test_an_agent_that_swallows_the_cancellation_is_not_waited_for() -> None:
    stubborn_writes: list[type[Exception]] = []
    go = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn(task: Task) -> AgentResponse:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                await task.write("never mind ")
        try:
            await task.write("late")
        except TaskClosed as error:
            stubborn_writes.append(type(error))
        ended.set()
        return AgentResponse.completed("my own outcome")

    desk = Desk(stubborn, limits=Limits(cancel_grace=0.01))
    turn = await desk.submit(context_id="c")
    await asyncio.sleep(0)
    task = await desk.cancel(turn.log.task_id)
    assert state_of(task) == "CANCELED"
    assert text_of(task) == "never mind "
    assert desk.manager.running == 1  # it keeps its slot as long as it runs
    go.set()
    await ended.wait()
    await asyncio.sleep(0)
    assert stubborn_writes == [TaskClosed]
    assert desk.manager.running == 0
    assert entries_of(await desk.log(task["id"]))[-1] == "CANCELED"


async def test_an_outcome_in_the_grace_is_not_the_agents_choice() -> None:
    async def hasty(task: Task) -> AgentResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return AgentResponse.completed("I was faster")
        raise AssertionError

    desk = Desk(hasty)
    turn = await desk.submit()
    await asyncio.sleep(0)
    assert state_of(await desk.cancel(turn.log.task_id)) == "CANCELED"


async def test_a_question_in_the_grace_is_refused() -> None:
    refused = asyncio.Event()

    async def asks(task: Task) -> AgentResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await task.ask("really?")
            except TaskClosed:
                refused.set()
            raise
        raise AssertionError

    desk = Desk(asks)
    turn = await desk.submit()
    await asyncio.sleep(0)
    task = await desk.cancel(turn.log.task_id)
    assert refused.is_set()
    assert entries_of(await desk.log(task["id"])) == ["input", "WORKING", "cancel", "CANCELED"]


async def test_a_parked_task_ends_at_once_and_its_coroutine_unwinds() -> None:
    unwound = asyncio.Event()

    async def asks(task: Task) -> AgentResponse:
        try:
            await task.ask("which?")
        finally:
            unwound.set()
        raise AssertionError

    desk = Desk(asks)
    task = await desk.send()
    assert state_of(await desk.cancel(task["id"])) == "CANCELED"
    await unwound.wait()
    with pytest.raises(a2a.UnsupportedOperation, match="has ended"):
        await desk.submit("blue", task_id=task["id"])


@pytest.mark.parametrize("pause", [False, True])
async def test_a_parked_task_without_a_coroutine_ends_as_well(pause: bool) -> None:
    async def asks(task: Task) -> AgentResponse:
        if pause:
            return AgentResponse.input_required("which?")
        await task.ask("which?")
        raise AssertionError

    desk = Desk(asks, limits=Limits(park_timeout=0.0))
    task = await desk.send()
    for _ in range(5):
        await asyncio.sleep(0)
    answers = await asyncio.gather(desk.cancel(task["id"]), desk.cancel(task["id"]))
    assert [state_of(answer) for answer in answers] == ["CANCELED", "CANCELED"]


async def test_a_queued_task_ends_at_once_and_never_runs() -> None:
    ran: list[str] = []
    go = asyncio.Event()

    async def slow(task: Task) -> AgentResponse:
        ran.append(task.text)
        await go.wait()
        return AgentResponse.completed()

    desk = Desk(slow)
    first = await desk.submit("first", context_id="c")
    second = await desk.submit("second", context_id="c")
    third = await desk.submit("third", context_id="c")
    assert state_of(await desk.cancel(second.log.task_id)) == "CANCELED"
    go.set()
    await first.outcome()
    await third.outcome()
    assert ran == ["first", "third"]


async def test_a_cancel_that_meets_the_start_of_a_turn_leaks_no_slot() -> None:
    """The turn is handed on in the moment in which its next holder is canceled, before its first step."""
    go = asyncio.Event()

    async def slow(task: Task) -> AgentResponse:
        await go.wait()
        return AgentResponse.completed()

    for wait in range(6):
        go.clear()
        desk = Desk(slow)
        first = await desk.submit("first", context_id="c")
        second = await desk.submit("second", context_id="c")
        third = await desk.submit("third", context_id="c")
        await asyncio.sleep(0)
        go.set()
        for _ in range(wait):
            await asyncio.sleep(0)
        with suppress(a2a.TaskNotCancelable):
            await desk.cancel(second.log.task_id)
        await first.outcome()
        await third.outcome()
        await asyncio.sleep(0)
        assert desk.manager.running == 0


async def test_an_end_that_meets_a_cancel_is_one_end() -> None:
    async def brief(task: Task) -> AgentResponse:
        for _ in range(3):
            await asyncio.sleep(0)
        return AgentResponse.completed("done")

    for wait in range(8):
        desk = Desk(brief)
        turn = await desk.submit()
        for _ in range(wait):
            await asyncio.sleep(0)
        try:
            canceled = state_of(await desk.cancel(turn.log.task_id)) == "CANCELED"
        except a2a.TaskNotCancelable:
            canceled = False
        log = entries_of(await desk.log(turn.log.task_id))
        assert log[-1] == ("CANCELED" if canceled else "COMPLETED")
        assert sum(word in {"CANCELED", "COMPLETED"} for word in log) == 1


async def test_cancelling_the_request_does_not_cancel_the_cancel() -> None:
    unwinding = asyncio.Event()
    go = asyncio.Event()

    async def slow_to_unwind(task: Task) -> AgentResponse:
        try:
            await asyncio.Event().wait()
        finally:
            unwinding.set()
            await go.wait()
        raise AssertionError

    desk = Desk(slow_to_unwind)
    turn = await desk.submit()
    await asyncio.sleep(0)
    request = asyncio.ensure_future(desk.cancel(turn.log.task_id))
    await unwinding.wait()
    request.cancel()
    go.set()
    await desk.until(turn.log.task_id, "CANCELED")
