"""Guards: the one seam for policy, before a message is taken in and before an outcome is anybody's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from codin import a2a
from codin.task import AgentResponse, Decision, MemoryStore, NeedInput, Reject, Task
from codin.trust import Caller
from tests.laws.accumulate import accumulate, comparable
from tests.task.desk import Desk, entries_of, message_of, state_of, text_of

pytestmark = pytest.mark.anyio


class Policy:
    """A guard that takes its decisions from two lists, and passes when they are empty."""

    def __init__(self, submit: list[Decision | None] = [], outcome: list[Decision | None] = []) -> None:  # noqa: B006
        self._submit = list(submit)
        self._outcome = list(outcome)
        self.seen: list[str] = []

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        return self._submit.pop(0) if self._submit else None

    async def call(self, task: Task, target: str, content: Any) -> Decision | None:
        return None

    async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
        self.seen.append(response.outcome)
        return self._outcome.pop(0) if self._outcome else None


REFUSE = Decision("refuse", "not today", "policy")
HOLD = Decision("hold", "may it?", "policy")
HOLD_AUTH = Decision("hold", "who says so?", "policy", auth=True)
PASS = Decision("pass", "checked", "policy")


async def _echo(task: Task) -> AgentResponse:
    return AgentResponse.completed(task.text)


async def _asks(task: Task) -> AgentResponse:
    return AgentResponse.completed((await task.ask("which?")).text)


async def test_a_refused_message_is_a_rejected_task_and_runs_nothing() -> None:
    desk = Desk(_echo, guards=[Policy([REFUSE])])
    task = await desk.send()
    assert (state_of(task), message_of(task), text_of(task)) == ("REJECTED", "not today", "")
    log = await desk.log(task["id"])
    assert entries_of(log) == ["input", "decision", "REJECTED"]
    assert json.loads(log[1].body) == {"action": "refuse", "reason": "not today", "guard": "policy"}
    assert desk.manager.running == 0


async def test_a_pass_with_a_reason_is_recorded() -> None:
    desk = Desk(_echo, guards=[Policy([PASS], [PASS])])
    task = await desk.send()
    assert entries_of(await desk.log(task["id"])) == [
        "input", "decision", "WORKING", "decision", "artifact", "COMPLETED",
    ]  # fmt: skip


@pytest.mark.parametrize(("hold", "state"), [(HOLD, "INPUT_REQUIRED"), (HOLD_AUTH, "AUTH_REQUIRED")])
async def test_a_held_message_runs_when_a_person_has_answered(hold: Decision, state: str) -> None:
    desk = Desk(_echo, guards=[Policy([hold])])
    task = await desk.send("the real one")
    assert (state_of(task), message_of(task)) == (state, hold.reason)
    task = await desk.send("approved", task_id=task["id"])
    assert (state_of(task), text_of(task)) == ("COMPLETED", "the real one")


@pytest.mark.parametrize("restart", [False, True])
async def test_a_held_answer_reaches_the_question_when_it_is_approved(restart: bool) -> None:
    store = MemoryStore()
    desk = Desk(_asks, store, guards=[Policy([None, HOLD])])
    task = await desk.send()
    task = await desk.send("blue", task_id=task["id"])
    assert (state_of(task), message_of(task)) == ("INPUT_REQUIRED", "may it?")
    if restart:
        await desk.manager.drain()
        desk = Desk(_asks, store)
    task = await desk.send("approved", task_id=task["id"])
    assert (state_of(task), text_of(task)) == ("COMPLETED", "blue")


async def test_a_refused_answer_ends_the_task_and_its_coroutine() -> None:
    unwound = asyncio.Event()

    async def asks(task: Task) -> AgentResponse:
        try:
            return await _asks(task)
        finally:
            unwound.set()

    desk = Desk(asks, guards=[Policy([None, REFUSE])])
    task = await desk.send()
    assert state_of(await desk.send("blue", task_id=task["id"])) == "REJECTED"
    await asyncio.wait_for(unwound.wait(), 20)
    assert desk.manager.running == 0


@pytest.mark.parametrize("decision", [REFUSE, HOLD])
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_stopped_turn_streams_and_repeats_like_any_other(decision: Decision, key: str | None) -> None:
    desk = Desk(_echo, guards=[Policy([decision])])
    turns = [await desk.submit(streaming=True, key=key)]
    if key is not None:
        turns.append(await desk.submit(streaming=True, key=key))
    for turn in turns:
        subscription = await turn.stream()
        assert subscription.first is not None
        events = subscription.reader.take()
        assert subscription.reader.ended
        assert [event.kind for event in events] == ["status"]
        assert subscription.first[0] < events[0].number
        seen = accumulate([b'{"task":%s}' % subscription.first[1], *(event.body for event in events)])
        task = json.loads(await asyncio.wait_for(turn.outcome(), 20))
        assert comparable(seen) == comparable(task)


async def test_a_refused_outcome_is_not_shown() -> None:
    async def leaks(task: Task) -> AgentResponse:
        return AgentResponse.completed("the secret plan")

    desk = Desk(leaks, guards=[Policy(outcome=[REFUSE])])
    task = await desk.send()
    assert (state_of(task), message_of(task)) == ("FAILED", "not today")
    assert "secret" not in json.dumps(task)


async def test_a_held_outcome_waits_for_a_person_and_is_asked_about_again() -> None:
    policy = Policy(outcome=[HOLD, PASS])
    desk = Desk(_echo, guards=[policy])
    task = await desk.send("the real one")
    assert (state_of(task), message_of(task), text_of(task)) == ("INPUT_REQUIRED", "may it?", "")
    task = await desk.send("approved", task_id=task["id"])
    assert (state_of(task), text_of(task)) == ("COMPLETED", "the real one")
    assert policy.seen == ["completed", "completed"]


@pytest.mark.parametrize("raised", [NeedInput("tell me"), Reject("no")])
async def test_outcomes_that_are_raised_are_guarded_as_well(raised: Exception) -> None:
    async def raises(task: Task) -> AgentResponse:
        raise raised

    policy = Policy(outcome=[REFUSE])
    task = await Desk(raises, guards=[policy]).send()
    assert (state_of(task), len(policy.seen)) == ("FAILED", 1)


async def test_a_guard_that_fails_lets_nothing_through_and_blocks_nobody() -> None:
    class Broken(Policy):
        async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
            raise RuntimeError("the policy server is away")

    desk = Desk(_echo, guards=[Broken()])
    for _ in range(2):
        task = await desk.send("secret", context_id="c")
        assert (state_of(task), text_of(task)) == ("FAILED", "")
    assert desk.manager.running == 0


async def test_a_guard_that_fails_at_the_door_stores_nothing() -> None:
    class Broken(Policy):
        async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
            raise RuntimeError("the policy server is away")

    desk = Desk(_echo, guards=[Broken()])
    with pytest.raises(RuntimeError):
        await desk.submit()
    assert (await desk.list()).total_size == 0
