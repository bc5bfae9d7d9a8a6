"""Turns: one at a time per context, in order, bounded; what a busy, asking or ended task takes."""

from __future__ import annotations

import asyncio

import pytest

from codin import a2a
from codin.task import AgentResponse, Limits, Task
from codin.trust import Caller
from tests.task.desk import Desk, entries_of, message_of, state_of, text_of

pytestmark = pytest.mark.anyio


class Gate:
    """An agent that notes who is in, and lets each out when the test says so."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.open: dict[str, asyncio.Event] = {}
        self.inside = 0
        self.most = 0

    async def __call__(self, task: Task) -> AgentResponse:
        self.order.append(task.text)
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.open.setdefault(task.text, asyncio.Event()).wait()
        self.inside -= 1
        return AgentResponse.completed(task.text)

    def let(self, name: str) -> None:
        self.open.setdefault(name, asyncio.Event()).set()


async def test_turns_of_one_context_run_one_after_the_other_and_in_order() -> None:
    gate = Gate()
    desk = Desk(gate)
    names = [f"{i}" for i in range(5)]
    turns = [await desk.submit(name, context_id="c") for name in names]
    states = [state_of(await desk.get(turn.log.task_id)) for turn in turns]
    assert states == ["WORKING", *["SUBMITTED"] * 4]
    for name in reversed(names):
        gate.let(name)
    for turn in turns:
        await turn.outcome()
    assert gate.order == names
    assert gate.most == 1
    assert entries_of(await desk.log(turns[3].log.task_id)) == [
        "input", "SUBMITTED", "WORKING", "artifact", "COMPLETED",
    ]  # fmt: skip


@pytest.mark.parametrize("other", [{"context_id": "d"}, {"context_id": "c", "caller": Caller("bob")}])
async def test_another_context_or_another_caller_does_not_wait(other: dict[str, object]) -> None:
    gate = Gate()
    desk = Desk(gate)
    await desk.submit("first", context_id="c")
    gate.let("second")
    assert state_of(await desk.send("second", **other)) == "COMPLETED"
    gate.let("first")


async def test_too_many_in_one_context_are_refused_and_nothing_of_them_is_stored() -> None:
    gate = Gate()
    desk = Desk(gate, limits=Limits(max_waiting=2))
    for i in range(3):
        await desk.submit(str(i), context_id="c")
    with pytest.raises(a2a.Overloaded) as caught:
        await desk.submit("3", context_id="c")
    assert caught.value.retry_after
    assert (await desk.list()).total_size == 3
    for i in range(3):
        gate.let(str(i))
    await desk.until((await desk.list()).tasks[0].id, "COMPLETED")


async def test_a_parked_question_blocks_nobody() -> None:
    async def ask(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text if task.text == "ask" else "done")

    desk = Desk(ask)
    asking = await desk.send("ask", context_id="c")
    assert text_of(await desk.send("other", context_id="c")) == "done"
    assert text_of(await desk.send("blue", task_id=asking["id"])) == "blue"
    assert desk.manager.running == 0


async def test_an_answer_waits_for_the_turn_of_its_context() -> None:
    gate = Gate()

    async def ask(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text) if task.text == "ask" else await gate(task)

    desk = Desk(ask)
    asking = await desk.send("ask", context_id="c")
    await desk.submit("busy", context_id="c")
    answer = await desk.submit("blue", task_id=asking["id"])
    assert state_of(await desk.get(asking["id"])) == "SUBMITTED"
    with pytest.raises(a2a.UnsupportedOperation) as caught:
        await desk.submit("red", task_id=asking["id"])
    assert caught.value.reason == "TASK_BUSY"
    gate.let("busy")
    await answer.outcome()
    assert text_of(await desk.get(asking["id"])) == "blue"


async def test_a_message_to_a_working_task_is_refused() -> None:
    gate = Gate()
    desk = Desk(gate)
    turn = await desk.submit("a")
    with pytest.raises(a2a.UnsupportedOperation) as caught:
        await desk.submit("b", task_id=turn.log.task_id)
    assert caught.value.reason == "TASK_BUSY"
    gate.let("a")
    await turn.outcome()
    assert "input" not in entries_of(await desk.log(turn.log.task_id))[1:]


async def test_a_message_to_an_ended_task_is_refused() -> None:
    async def done(task: Task) -> AgentResponse:
        return AgentResponse.completed("done")

    desk = Desk(done)
    task = await desk.send()
    with pytest.raises(a2a.UnsupportedOperation, match="has ended") as caught:
        await desk.submit("more", task_id=task["id"])
    assert caught.value.reason == "UNSUPPORTED_OPERATION"


async def test_a_message_with_another_context_than_its_task_is_refused() -> None:
    async def ask(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text)

    desk = Desk(ask)
    task = await desk.send(context_id="c")
    with pytest.raises(a2a.InvalidParams) as caught:
        await desk.submit("blue", task_id=task["id"], context_id="d")
    assert caught.value.violations[0].field == "message.contextId"
    assert text_of(await desk.send("blue", task_id=task["id"], context_id="c")) == "blue"


async def test_no_more_turns_run_at_once_than_the_limit() -> None:
    gate = Gate()
    desk = Desk(gate, limits=Limits(max_running=2))
    first = await desk.submit("a")
    await desk.submit("b")
    with pytest.raises(a2a.Overloaded):
        await desk.submit("c")
    gate.let("a")
    await first.outcome()
    await desk.submit("d")
    assert desk.manager.running == 2
    gate.let("b")
    gate.let("d")


@pytest.mark.parametrize("ask", [1, 2])
async def test_asking_gives_the_slot_back_once(ask: int) -> None:
    """Two questions at once are a mistake of the agent; the count of running turns survives it."""

    async def asks(task: Task) -> AgentResponse:
        answers = await asyncio.gather(*(task.ask(f"q{i}") for i in range(ask)))
        return AgentResponse.completed(answers[0].text)

    desk = Desk(asks)
    task = await desk.send()
    if state_of(task) == "INPUT_REQUIRED":
        task = await desk.send("blue", task_id=task["id"])
    assert state_of(task) == ("COMPLETED" if ask == 1 else "FAILED")
    assert desk.manager.running == 0


@pytest.mark.parametrize("writes", [False, True])
async def test_an_agent_that_stops_waiting_for_its_answer_has_failed(writes: bool) -> None:
    """Its turn is over: somebody else may have the context by now."""

    async def impatient(task: Task) -> AgentResponse:
        try:
            async with asyncio.timeout(0):
                await task.ask("which?")
        except TimeoutError:
            if writes:
                await task.write("nobody said")
        return AgentResponse.completed("nothing")

    desk = Desk(impatient)
    turn = await desk.submit(context_id="c")
    await desk.until(turn.log.task_id, "FAILED")
    task = await desk.get(turn.log.task_id)
    assert "did not wait" in message_of(task)
    assert text_of(task) == ""
    assert desk.manager.running == 0
    with pytest.raises(a2a.UnsupportedOperation, match="has ended"):
        await desk.submit("blue", task_id=task["id"])


async def test_the_message_of_a_failed_task_does_not_show_what_was_raised() -> None:
    async def fails(task: Task) -> AgentResponse:
        raise RuntimeError("the database password is hunter2")

    task = await Desk(fails).send()
    assert state_of(task) == "FAILED"
    assert "RuntimeError" in message_of(task)
    assert "hunter2" not in str(task)
