"""What a process finds that an earlier one left, and what it leaves itself when it is shut down."""

from __future__ import annotations

import asyncio

import pytest

from codin import a2a
from codin.task import AgentResponse, Limits, MemoryStore, Task
from tests.task.desk import Desk, Json, entries_of, forever, message_of, state_of, text_of

pytestmark = pytest.mark.anyio


class Runs:
    """An agent that notes its runs; the first of a working task never ends."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.hang = True

    async def __call__(self, task: Task) -> AgentResponse:
        self.texts.append(task.text)
        await task.write(f"run {len(self.texts)}")
        if task.text == "ask":
            await task.write(f", {(await task.ask('which?')).text}")
            return AgentResponse.completed()
        if self.hang:
            await asyncio.Event().wait()
        return AgentResponse.completed()


async def test_a_task_that_was_working_has_failed_after_a_restart() -> None:
    store, agent = MemoryStore(), Runs()
    turn = await (desk := Desk(agent, store)).submit()
    await asyncio.sleep(0)
    await desk.crash()
    desk = Desk(agent, store)
    task = await desk.get(turn.log.task_id)
    assert state_of(task) == "FAILED"
    assert "interrupted by restart" in message_of(task)
    assert text_of(task) == "run 1"
    assert agent.texts == ["hello"]


async def test_a_rerunnable_agent_runs_again_from_the_top() -> None:
    store, agent = MemoryStore(), Runs()
    turn = await (desk := Desk(agent, store, rerunnable=True)).submit()
    await asyncio.sleep(0)
    await desk.crash()
    agent.hang = False
    desk = Desk(agent, store, rerunnable=True)
    await desk.manager.start()
    await desk.until(turn.log.task_id, "COMPLETED")
    assert text_of(await desk.get(turn.log.task_id)) == "run 2"
    assert agent.texts == ["hello", "hello"]


async def test_queued_tasks_go_on_in_their_order() -> None:
    store, agent = MemoryStore(), Runs()
    desk = Desk(agent, store)
    turns = [await desk.submit(name, context_id="c") for name in ("first", "second", "third")]
    await asyncio.sleep(0)
    await desk.crash()
    agent.hang = False
    desk = Desk(agent, store)
    await desk.manager.start()
    await desk.until(turns[2].log.task_id, "COMPLETED")
    assert agent.texts == ["first", "second", "third"]
    assert [state_of(await desk.get(turn.log.task_id)) for turn in turns] == ["FAILED", "COMPLETED", "COMPLETED"]
    for turn in turns[1:]:
        assert entries_of(await desk.log(turn.log.task_id))[:3] == ["input", "SUBMITTED", "WORKING"]


async def test_a_parked_task_waits_for_its_answer_over_a_restart() -> None:
    store, agent = MemoryStore(), Runs()
    task = await (desk := Desk(agent, store)).send("ask")
    await desk.crash()
    desk = Desk(agent, store)
    assert state_of(await desk.get(task["id"])) == "INPUT_REQUIRED"
    assert desk.manager.running == 0
    task = await desk.send("blue", task_id=task["id"])
    assert (state_of(task), text_of(task)) == ("COMPLETED", "run 2, blue")  # the agent wrote other text this time


async def test_a_parked_task_survives_an_event_loop_that_is_just_closed() -> None:
    """Nobody has drained: every task of the loop is canceled, and that is no outcome."""
    store, agent = MemoryStore(), Runs()
    for text, state in (("ask", "INPUT_REQUIRED"), ("work", "WORKING")):
        turn = await (desk := Desk(agent, store)).submit(text)
        for _ in range(3):
            await asyncio.sleep(0)
        await desk.crash()
        for _ in range(3):
            await asyncio.sleep(0)
        assert entries_of(await desk.log(turn.log.task_id))[-1] in {state, "artifact"}


@pytest.mark.parametrize("drained", [False, True])
def test_a_program_that_just_ends_leaves_its_work_to_the_next(drained: bool) -> None:
    """Its event loop cancels everything, after one run of it has cancelled itself; that one is no work that is left."""
    store, agent = MemoryStore(), Runs()

    async def handle(task: Task) -> AgentResponse:
        mine = asyncio.current_task()
        if task.text == "stop" and mine is not None:
            mine.cancel()
        return await agent(task)

    async def first() -> tuple[Json, Json, str]:
        desk = Desk(handle, store, rerunnable=True, limits=Limits(drain=0.01))
        stopped, asking, turn = await desk.send("stop"), await desk.send("ask"), await desk.submit("work")
        await desk.until(turn.log.task_id, "WORKING")
        if drained:
            await desk.manager.close()
        return stopped, asking, turn.log.task_id

    async def second(asking: Json, working: str) -> Json:
        desk = Desk(handle, store, rerunnable=True)
        await desk.manager.start()
        await desk.until(working, "COMPLETED")
        task = await desk.send("blue", task_id=asking["id"])
        await desk.manager.close()
        return task

    stopped, asking, working = asyncio.run(first())
    assert (state_of(stopped), message_of(stopped)) == ("FAILED", "The agent stopped itself.")
    agent.hang = False
    assert state_of(asyncio.run(second(asking, working))) == "COMPLETED"


async def test_recovery_asks_for_the_tasks_of_its_own_agent_only() -> None:
    store, agent = MemoryStore(), Runs()
    turn = await (desk := Desk(agent, store, agent="one")).submit()
    await Desk(agent, store, agent="two").manager.start()
    assert entries_of(await desk.log(turn.log.task_id)) == ["input", "WORKING", "artifact"]


# -- drain -------------------------------------------------------------------------------------------------------------


async def test_a_drain_refuses_messages_and_waits_for_running_turns() -> None:
    go = asyncio.Event()

    async def slow(task: Task) -> AgentResponse:
        await go.wait()
        return AgentResponse.completed("done")

    desk = Desk(slow)
    turn = await desk.submit()
    await asyncio.sleep(0)
    draining = asyncio.ensure_future(desk.manager.drain())
    await asyncio.sleep(0)
    with pytest.raises(a2a.Overloaded, match="shutting down"):
        await desk.submit()
    assert not draining.done()
    go.set()
    await draining
    assert state_of(await desk.get(turn.log.task_id)) == "COMPLETED"


async def test_what_still_runs_when_the_drain_is_over_has_failed() -> None:
    desk = Desk(forever, limits=Limits(drain=0.01))
    turn = await desk.submit()
    await asyncio.sleep(0)
    await desk.manager.drain()
    task = await desk.get(turn.log.task_id)
    assert (state_of(task), message_of(task)[:27]) == ("FAILED", "The server was shut down be")


async def test_what_still_runs_and_may_run_again_is_left_for_the_next_process() -> None:
    store, agent = MemoryStore(), Runs()
    desk = Desk(agent, store, rerunnable=True, limits=Limits(drain=0.01))
    turn = await desk.submit()
    await asyncio.sleep(0)
    await desk.manager.drain()
    assert state_of(await desk.get(turn.log.task_id)) == "WORKING"
    agent.hang = False
    desk = Desk(agent, store, rerunnable=True)
    await desk.manager.start()
    await desk.until(turn.log.task_id, "COMPLETED")


async def test_a_drain_starts_no_queued_turn_and_loses_none() -> None:
    store, go = MemoryStore(), asyncio.Event()
    ran: list[str] = []

    async def slow(task: Task) -> AgentResponse:
        ran.append(task.text)
        await go.wait()
        return AgentResponse.completed()

    desk = Desk(slow, store)
    await desk.submit("first", context_id="c")
    second = await desk.submit("second", context_id="c")
    await asyncio.sleep(0)
    draining = asyncio.ensure_future(desk.manager.drain())
    await asyncio.sleep(0)
    go.set()
    await draining
    assert ran == ["first"]
    assert state_of(await desk.get(second.log.task_id)) == "SUBMITTED"
    desk = Desk(slow, store)
    await desk.manager.start()
    await desk.until(second.log.task_id, "COMPLETED")
    assert ran == ["first", "second"]


async def test_a_drain_lets_parked_coroutines_go_and_keeps_their_tasks() -> None:
    store, unwound = MemoryStore(), asyncio.Event()

    async def asks(task: Task) -> AgentResponse:
        try:
            return AgentResponse.completed((await task.ask("which?")).text)
        finally:
            unwound.set()

    desk = Desk(asks, store)
    task = await desk.send()
    await desk.manager.drain()
    assert unwound.is_set()
    assert state_of(await Desk(asks, store).send("blue", task_id=task["id"])) == "COMPLETED"
