"""Bounds: each is an error with a name, and no agent takes the event loop from the others."""

from __future__ import annotations

import asyncio

import pytest

from codin.task import AgentResponse, LimitReached, Limits, Task
from tests.task.desk import Desk, entries_of, forever, message_of, state_of

pytestmark = pytest.mark.anyio


async def test_a_run_that_takes_too_long_has_failed() -> None:
    desk = Desk(forever, limits=Limits(run_timeout=0.01))
    task = await desk.send(context_id="c")
    assert state_of(task) == "FAILED"
    assert "took longer" in message_of(task)
    assert desk.manager.running == 0
    assert state_of(await desk.send(context_id="c")) == "FAILED"  # the context is free again


async def test_time_in_which_a_person_thinks_is_not_run_time() -> None:
    async def asks(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text)

    desk = Desk(asks, limits=Limits(run_timeout=0.2))
    task = await desk.send()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await desk.until(task["id"], "FAILED")
    assert state_of(await desk.send("blue", task_id=task["id"])) == "COMPLETED"


async def test_a_run_that_times_out_and_swallows_it_has_failed_as_well() -> None:
    go = asyncio.Event()

    async def stubborn(task: Task) -> AgentResponse:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        return AgentResponse.completed("after all")

    desk = Desk(stubborn, limits=Limits(run_timeout=0.01, cancel_grace=0.01))
    task = await desk.send()
    assert state_of(task) == "FAILED"
    go.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert state_of(await desk.get(task["id"])) == "FAILED"
    assert desk.manager.running == 0


async def test_too_many_entries_fail_the_task() -> None:
    async def chatty(task: Task) -> AgentResponse:
        for _ in range(100):
            await task.write("x")
        return AgentResponse.completed()

    desk = Desk(chatty, limits=Limits(max_entries=20))
    task = await desk.send()
    assert state_of(task) == "FAILED"
    assert "20 entries" in message_of(task)
    assert len(await desk.log(task["id"])) <= 22  # the outcome is always said


async def test_too_many_bytes_fail_the_task() -> None:
    async def verbose(task: Task) -> AgentResponse:
        while True:
            await task.artifact(b"x" * 1000)

    desk = Desk(verbose, limits=Limits(max_task_bytes=10_000))
    task = await desk.send()
    assert state_of(task) == "FAILED"
    assert "10000 bytes" in message_of(task)
    assert sum(len(entry.body) for entry in await desk.log(task["id"])) < 12_000


@pytest.mark.parametrize("pause", [False, True])
async def test_the_bytes_of_a_task_are_those_of_all_its_turns(pause: bool) -> None:
    async def one_more(task: Task) -> AgentResponse:
        await task.artifact(b"x" * 1000)
        if pause:
            return AgentResponse.input_required("more?")
        while True:
            await task.ask("more?")
            await task.artifact(b"x" * 1000)

    desk = Desk(one_more, limits=Limits(max_task_bytes=10_000))
    task = await desk.send()
    for _ in range(20):
        if state_of(task) == "FAILED":
            break
        task = await desk.send("yes", task_id=task["id"])
    assert state_of(task) == "FAILED"


async def test_an_agent_may_catch_the_limit_and_still_end_well() -> None:
    async def careful(task: Task) -> AgentResponse:
        try:
            while True:
                await task.status("busy")
        except LimitReached:
            return AgentResponse.completed("as far as I came")

    assert state_of(await Desk(careful, limits=Limits(max_entries=10)).send()) == "COMPLETED"


@pytest.mark.parametrize("kind", ["write", "status", "artifact"])
async def test_a_flood_leaves_the_loop_to_others(kind: str) -> None:
    async def flood(task: Task) -> AgentResponse:
        for _ in range(2000):
            match kind:
                case "write":
                    await task.write("x")
                case "status":
                    await task.status("x")
                case _:
                    await task.artifact("x", artifact_id="a")
        return AgentResponse.completed()

    desk = Desk(flood)
    turn = await desk.submit()
    turns = 0
    while state_of(await desk.get(turn.log.task_id)) == "WORKING":
        await asyncio.sleep(0)
        turns += 1
    assert turns > 20
    log = entries_of(await desk.log(turn.log.task_id))
    assert log[-1] == "COMPLETED"
    assert len(log) >= 2003
