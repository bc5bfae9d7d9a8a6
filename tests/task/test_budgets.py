"""The budget of a task: what calls reserve, give back and use up; and the bill, which counts everything once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.client import Reply
from codin.errors import ConnectError, DeadlineExceeded, TransportError
from codin.task import (
    USAGE_KEY,
    AgentResponse,
    Decision,
    Handler,
    Limits,
    NeedInput,
    Task,
    TaskManager,
    TaskStore,
    open_store,
)
from codin.trust import ANONYMOUS, Budget, Caller, CallLimits
from tests.server.clock import pass_time

pytestmark = pytest.mark.anyio


class Others:
    """The other agents: each call costs what is said, and ends when it is let."""

    def __init__(self, *costs: Mapping[str, Any], error: Exception | None = None) -> None:
        self.costs: list[Mapping[str, Any]] = list(costs)
        self.error = error
        self.under_way = 0
        self.at_once = 0
        self.given: list[CallLimits] = []
        self.begun = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        self.given.append(options["limits"])
        number = len(self.given)
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        self.begun.release()
        try:
            await asyncio.sleep(0)  # as a network does it
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            reply = task_reply(f"t{number}", self.costs.pop(0) if self.costs else {})
            options["learn"](reply.value, agent)
            return reply
        finally:
            self.under_way -= 1


def task_reply(task_id: str, cost: Mapping[str, Any], state: a2a.TaskState = a2a.TaskState.COMPLETED) -> Reply:
    metadata: dict[str, Any] | None = {USAGE_KEY: dict(cost)} if cost else None
    return Reply(a2a.Task(id=task_id, context_id="c", status=a2a.TaskStatus(state=state), metadata=metadata))


def request(text: str = "go", task_id: str | None = None) -> a2a.SendMessageRequest:
    message = a2a.Message(message_id="m", role=a2a.Role.USER, task_id=task_id, parts=[a2a.Part(text=text)])
    return a2a.SendMessageRequest(message=message)


async def run(
    handle: Handler,
    others: Others | None = None,
    budget: Budget | None = None,
    limits: Limits | None = None,
    **options: Any,
) -> dict[str, Any]:
    manager = TaskManager(handle, call=others, limits=limits, **options)
    called = None if budget is None else CallLimits(budget=budget)
    async with asyncio.timeout(120):
        turn = await manager.submit(ANONYMOUS, request(), called=called)
        task = json.loads(await turn.outcome())
        await manager.close()
    return task


def bill(task: Mapping[str, Any]) -> dict[str, Any]:
    return task.get("metadata", {}).get(USAGE_KEY, {})


async def calls(task: Task, *budgets: Budget | None) -> list[str]:
    """Calls side by side, and what came of each."""

    async def call(budget: Budget | None) -> str:
        try:
            return (await task.call("http://other/", "work", budget=budget)).task_id or ""
        except a2a.A2AError as error:
            return error.reason

    return await asyncio.gather(*map(call, budgets))


def doing(*budgets: Budget | None) -> Handler:
    async def handle(task: Task) -> AgentResponse:
        return AgentResponse.completed(",".join(await calls(task, *budgets)))

    return handle


def text(task: Mapping[str, Any]) -> str:
    return task["artifacts"][0]["parts"][0]["text"]


# -- spent once --------------------------------------------------------------------------------------------------------


async def test_two_calls_at_once_never_spend_the_budget_twice() -> None:
    others = Others({"total_tokens": 60}, {"total_tokens": 40})
    task = await run(doing(None, None, None), others, Budget(tokens=100))
    assert others.at_once == 1
    assert [limits.budget.tokens for limits in others.given] == [100, 40]
    assert text(task) == "t1,t2,CALL_BUDGET_SPENT"
    assert bill(task) == {"total_tokens": 100}


async def test_shares_run_side_by_side_and_what_is_left_goes_on() -> None:
    others = Others({"total_tokens": 10}, {"total_tokens": 10})
    task = await run(doing(Budget(tokens=60), Budget(tokens=40)), others, Budget(tokens=100))
    assert others.at_once == 2
    assert sorted(limits.budget.tokens or 0 for limits in others.given) == [40, 60]
    assert bill(task) == {"total_tokens": 20}


async def test_a_share_that_is_not_free_waits_and_then_gets_what_there_is() -> None:
    others = Others({"total_tokens": 60}, {"total_tokens": 1})
    task = await run(doing(Budget(tokens=80), Budget(tokens=80)), others, Budget(tokens=100))
    assert others.at_once == 1
    assert [limits.budget.tokens for limits in others.given] == [80, 40]
    assert text(task) == "t1,t2"


async def test_a_hundred_calls_at_once_stay_within_the_budget() -> None:
    others = Others(*[{"input_tokens": 7, "output_tokens": 3, "money": 0.5}] * 100)
    task = await run(doing(*[Budget(tokens=15, money=1.0)] * 100), others, Budget(tokens=200, money=100.0))
    assert others.at_once > 1
    done = [each for each in text(task).split(",") if each != "CALL_BUDGET_SPENT"]
    assert len(done) == 20
    assert bill(task) == {"input_tokens": 140, "output_tokens": 60, "money": 10.0}


async def test_what_the_run_has_cost_itself_counts() -> None:
    others = Others({"total_tokens": 5})

    async def handle(task: Task) -> AgentResponse:
        task.usage(input_tokens=50, output_tokens=30)
        assert task.limits.budget == Budget(tokens=20, money=2.0)
        return AgentResponse.completed(",".join(await calls(task, None)))

    task = await run(handle, others, Budget(tokens=100, money=2.0))
    assert others.given[0].budget == Budget(tokens=20, money=2.0)
    assert bill(task) == {"input_tokens": 50, "output_tokens": 30, "total_tokens": 5}


async def test_no_money_left_is_said_before_anybody_is_called() -> None:
    others = Others()

    async def handle(task: Task) -> AgentResponse:
        task.usage(money=2.0)
        with pytest.raises(a2a.UnsupportedOperation, match=r"no money left.*call no more agents") as caught:
            await task.call("http://other/", "work")
        return AgentResponse.completed(caught.value.reason)

    task = await run(handle, others, Budget(tokens=100, money=2.0))
    assert (text(task), others.given) == ("CALL_BUDGET_SPENT", [])


async def test_the_servers_own_budget_holds_without_a_callers() -> None:
    others = Others({"total_tokens": 30})
    limits = Limits(budget=Budget(tokens=30))
    assert text(await run(doing(None, None), others, limits=limits)) == "t1,CALL_BUDGET_SPENT"
    assert others.given[0].budget == Budget(tokens=30)


async def test_the_smaller_of_the_two_budgets_holds() -> None:
    others = Others()
    await run(doing(None), others, Budget(tokens=10, money=9.0), Limits(budget=Budget(tokens=30, money=3.0)))
    assert others.given[0].budget == Budget(tokens=10, money=3.0)


async def test_without_a_budget_nothing_waits() -> None:
    others = Others()
    await run(doing(None, None, Budget(tokens=5)), others)
    assert others.at_once == 3
    assert [limits.budget for limits in others.given] == [Budget(), Budget(), Budget(tokens=5)]


async def test_waiting_for_a_share_ends_with_the_time_of_the_call() -> None:
    others = Others()
    others.gate.clear()

    async def handle(task: Task) -> AgentResponse:
        first = asyncio.ensure_future(task.call("http://other/", "work"))
        await others.begun.acquire()
        with pytest.raises(DeadlineExceeded, match="budget=") as caught:
            await task.call("http://other/", "work", timeout=0.05)
        others.gate.set()
        await first
        return AgentResponse.completed(type(caught.value).__name__)

    assert text(await run(handle, others, Budget(tokens=10))) == "DeadlineExceeded"


# -- time --------------------------------------------------------------------------------------------------------------


async def test_a_deadline_that_has_passed_refuses_the_next_call() -> None:
    others = Others()

    async def handle(task: Task) -> AgentResponse:
        pass_time(task.deadline - asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(a2a.UnsupportedOperation, match="the time for this call is over") as caught:
            await task.call("http://other/", "work")
        return AgentResponse.completed(caught.value.reason)

    manager = TaskManager(handle, call=others)
    async with asyncio.timeout(120):
        turn = await manager.submit(ANONYMOUS, request(), called=CallLimits(deadline=_soon(60)))
        assert text(json.loads(await turn.outcome())) == "CALL_EXPIRED"
    assert others.given == []


async def test_a_call_is_told_the_earlier_of_its_time_and_the_runs() -> None:
    others = Others()

    async def handle(task: Task) -> AgentResponse:
        await task.call("http://other/", "work")
        await task.call("http://other/", "work", timeout=5)
        await task.call("http://other/", "work", timeout=5000)
        return AgentResponse.completed()

    given = _soon(60)
    manager = TaskManager(handle, call=others)
    turn = await manager.submit(ANONYMOUS, request(), called=CallLimits(deadline=given))
    await turn.outcome()
    whole, short, long = (limits.deadline or 0 for limits in others.given)
    assert given - 50 <= whole <= given
    assert short <= given - 50_000
    assert given - 50 <= long <= given


# -- calls that did not end well ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (ConnectError("nobody there"), "t2"),  # nothing was sent, and nothing spent
        (a2a.Overloaded("not now"), "t2"),
        (TransportError("cut"), "CALL_BUDGET_SPENT"),  # it may have spent all it had
    ],
)
async def test_a_share_comes_back_only_when_it_cannot_have_been_spent(error: Exception, then: str) -> None:
    others = Others(error=error)

    async def handle(task: Task) -> AgentResponse:
        with pytest.raises(type(error)):
            await task.call("http://other/", "work")
        others.error = None
        return AgentResponse.completed(",".join(await calls(task, None)))

    assert text(await run(handle, others, Budget(tokens=10))) == then


async def test_a_call_that_is_canceled_has_cost_what_the_peer_says() -> None:
    others = Others()
    others.gate.clear()

    async def call(task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        try:
            return await others(task, agent, content, options)
        except asyncio.CancelledError:
            options["learn"](task_reply("t1", {"total_tokens": 4}, a2a.TaskState.CANCELED).value, agent)
            raise

    async def handle(task: Task) -> AgentResponse:
        calling = asyncio.ensure_future(task.call("http://other/", "work"))
        await others.begun.acquire()
        calling.cancel()
        await asyncio.wait({calling})
        assert task.limits.budget.tokens == 6
        return AgentResponse.completed("ok")

    manager = TaskManager(handle, call=call)
    async with asyncio.timeout(20):
        turn = await manager.submit(ANONYMOUS, request(), called=CallLimits(budget=Budget(tokens=10)))
        assert bill(json.loads(await turn.outcome())) == {"total_tokens": 4}


@pytest.mark.parametrize("how", ["fail", "raise", "reject"])
async def test_a_task_that_did_not_end_well_has_a_bill_too(how: str) -> None:
    async def handle(task: Task) -> AgentResponse:
        task.usage(total_tokens=3)
        await task.call("http://other/", "work")
        if how == "raise":
            raise RuntimeError("no")
        return AgentResponse.rejected("no") if how == "reject" else AgentResponse.failed("no")

    assert bill(await run(handle, Others({"total_tokens": 4}))) == {"total_tokens": 7}


async def test_a_run_that_is_stopped_has_a_bill_too() -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.call("http://other/", "work")
        pass_time(60)
        await asyncio.Event().wait()
        return AgentResponse.completed()

    task = await run(handle, Others({"total_tokens": 4}), limits=Limits(run_timeout=60))
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert bill(task) == {"total_tokens": 4}


# -- the bill ----------------------------------------------------------------------------------------------------------


async def test_usage_is_a_mapping_of_the_whole_bill() -> None:
    async def handle(task: Task) -> AgentResponse:
        assert dict(task.usage) == {}
        task.usage(input_tokens=1)
        task.usage(input_tokens=2, calls=1)
        await task.call("http://other/", "work")
        assert (len(task.usage), task.usage["input_tokens"], "money" in task.usage) == (3, 10, False)
        assert {**task.usage} == {"input_tokens": 10, "calls": 1, "total_tokens": 7}
        with pytest.raises(TypeError):
            task.usage["input_tokens"] = 0  # type: ignore[index]
        return AgentResponse.completed(usage={"calls": 5})

    task = await run(handle, Others({"input_tokens": 7, "total_tokens": 7}))
    assert bill(task) == {"input_tokens": 10, "calls": 5, "total_tokens": 7}


@pytest.mark.parametrize(
    "said",
    [None, 5, "many", [], {"tokens": "many"}, {"tokens": -5}, {"tokens": True}, {"tokens": None}, {"x" * 65: 1},
     {"tokens": 1e300}, {"tokens": 10**16}],
)  # fmt: skip
async def test_a_bill_that_is_junk_costs_nothing(said: Any) -> None:
    reply = task_reply("t", {})
    assert reply.task is not None
    reply.task.metadata = {USAGE_KEY: said}

    async def call(task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        options["learn"](reply.value, agent)
        return reply

    manager = TaskManager(doing(None), call=call)
    task = json.loads(await (await manager.submit(ANONYMOUS, request())).outcome())
    assert (task["status"]["state"], bill(task)) == ("TASK_STATE_COMPLETED", {})


async def test_a_bill_of_a_thousand_names_is_cut() -> None:
    task = await run(doing(None), Others({f"n{number}": 1 for number in range(1000)}))
    assert len(bill(task)) == 32


async def test_the_same_bill_twice_adds_up_once() -> None:
    """A peer's task goes on over several calls; its bill is that of all its turns."""
    replies = [
        task_reply("t", {"total_tokens": 10}, a2a.TaskState.INPUT_REQUIRED),
        task_reply("t", {"total_tokens": 10}, a2a.TaskState.INPUT_REQUIRED),  # nothing new
        task_reply("t", {"total_tokens": 25, "money": 1}),
        task_reply("t", {"total_tokens": 5}),  # a peer that takes back what it has said
        task_reply("other", {"total_tokens": 1}),
    ]

    async def call(task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        reply = replies.pop(0)
        options["learn"](reply.value, agent)
        options["learn"](reply.value, agent)
        return reply

    async def handle(task: Task) -> AgentResponse:
        while replies:
            await task.call("http://other/", "work")
        return AgentResponse.completed()

    manager = TaskManager(handle, call=call)
    task = json.loads(await (await manager.submit(ANONYMOUS, request())).outcome())
    assert bill(task) == {"total_tokens": 26, "money": 1}


async def test_the_bill_is_told_with_a_question_and_goes_on_behind_it() -> None:
    others = Others({"total_tokens": 10}, {"total_tokens": 5})

    async def handle(task: Task) -> AgentResponse:
        task.usage(total_tokens=1)
        await task.call("http://other/", "work")
        answer = await task.ask("go on?")
        assert task.limits.budget.tokens == (50 if answer.text == "limited" else 89)
        await task.call("http://other/", "work")
        return AgentResponse.completed(answer.text)

    for said, called in (("plain", None), ("limited", CallLimits(budget=Budget(tokens=50)))):
        others.costs = [{"total_tokens": 10}, {"total_tokens": 5}]
        manager = TaskManager(handle, call=others)
        first = await manager.submit(ANONYMOUS, request(), called=CallLimits(budget=Budget(tokens=100)))
        asked = json.loads(await first.outcome())
        assert bill(asked) == {"total_tokens": 11}
        turn = await manager.submit(ANONYMOUS, request(said, asked["id"]), called=called)
        assert bill(json.loads(await turn.outcome())) == {"total_tokens": 16}
        await manager.close()


async def test_the_bill_goes_on_in_the_next_turn() -> None:
    async def handle(task: Task) -> AgentResponse:
        task.usage(total_tokens=1)
        await task.call("http://other/", "work")
        if task.text != "done":
            raise NeedInput("what now?")
        return AgentResponse.completed()

    manager = TaskManager(handle, call=Others(*[{"total_tokens": 10}] * 3))
    task = json.loads(await (await manager.submit(ANONYMOUS, request())).outcome())
    assert bill(task) == {"total_tokens": 11}
    for said, cost in (("more", 22), ("done", 33)):
        task = json.loads(await (await manager.submit(ANONYMOUS, request(said, task["id"]))).outcome())
        assert bill(task) == {"total_tokens": cost}


# -- after a restart ---------------------------------------------------------------------------------------------------


class Again:
    """The same agent in one process after another."""

    def __init__(self, path: Path, handle: Handler, others: Others) -> None:
        self.url = f"sqlite:///{path / 'tasks.db'}"
        self.handle = handle
        self.others = others

    def manager(self) -> TaskManager:
        store: TaskStore = open_store(self.url)
        return TaskManager(
            self.handle, store, call=self.others, rerunnable=True, identity="me@12345678", limits=Limits(drain=0.05)
        )


async def test_a_run_that_is_run_again_has_the_same_limits(tmp_path: Path) -> None:
    seen: list[CallLimits] = []
    late: list[bool] = []
    working = asyncio.Semaphore(0)

    async def handle(task: Task) -> AgentResponse:
        seen.append(task.limits)
        late.append(task.deadline - asyncio.get_running_loop().time() > 60)
        if len(seen) == 1:
            task.usage(total_tokens=1)
            await task.call("http://other/", "work")
            working.release()
            await asyncio.Event().wait()
        await task.call("http://other/", "work")
        return AgentResponse.completed()

    others = Others({"total_tokens": 30}, {"total_tokens": 20})
    again = Again(tmp_path, handle, others)
    first = again.manager()
    given = CallLimits(("a@12345678",), _soon(50), Budget(tokens=100))
    async with asyncio.timeout(20):
        turn = await first.submit(ANONYMOUS, request(), called=given)
        await working.acquire()
        await first.close()  # lets go of what it cannot finish
        second = again.manager()
        await second.start()
        events = await second.subscribe(ANONYMOUS, a2a.SubscribeToTaskRequest(id=turn.log.task_id), after=0)
        while not events.reader.ended:
            await events.reader.wait()
            events.reader.take()
        ended = await second.get(ANONYMOUS, a2a.GetTaskRequest(id=turn.log.task_id))
        await second.close()
    assert seen == [given, CallLimits(given.path, given.deadline, Budget(tokens=69))]
    assert late == [False, False]
    assert [limits.path for limits in others.given] == [("a@12345678", "me@12345678")] * 2
    assert bill(json.loads(ended)) == {"total_tokens": 51}


async def test_a_question_that_outlives_the_process_keeps_path_and_budget(tmp_path: Path) -> None:
    seen: list[Sequence[Any]] = []

    async def handle(task: Task) -> AgentResponse:
        if not seen:
            await task.call("http://other/", "work")
        seen.append((task.limits.path, task.limits.budget.tokens, task.limits.deadline))
        await task.ask("go on?")
        await task.call("http://other/", "work")
        return AgentResponse.completed()

    again = Again(tmp_path, handle, Others({"total_tokens": 30}, {"total_tokens": 20}))
    first = again.manager()
    deadline = _soon(50)
    async with asyncio.timeout(20):
        turn = await first.submit(
            ANONYMOUS, request(), called=CallLimits(("a@12345678",), deadline, Budget(tokens=100))
        )
        await turn.outcome()
        await first.close()
        second = again.manager()
        answered = await second.submit(ANONYMOUS, request("yes", turn.log.task_id))
        task = json.loads(await answered.outcome())
        await second.close()
    # The deadline was for the turn that asked; what was spent before the restart is spent.
    assert seen == [(("a@12345678",), 70, deadline), (("a@12345678",), 70, None)]
    assert bill(task) == {"total_tokens": 50}


def _soon(seconds: float) -> int:

    return int((time.time() + seconds) * 1000)


class HoldsOnce:
    """A guard that holds the first message until somebody has said yes."""

    def __init__(self) -> None:
        self.decisions: list[Decision | None] = [Decision("hold", "may I?"), None]

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        return self.decisions.pop(0)

    async def call(self, task: Task, target: str, content: Any) -> Decision | None:
        return None

    async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
        return None


async def test_a_message_that_a_guard_held_keeps_its_limits() -> None:
    seen: list[tuple[str, CallLimits]] = []

    async def handle(task: Task) -> AgentResponse:
        seen.append((task.text, task.limits))
        return AgentResponse.completed()

    manager = TaskManager(handle, guards=[HoldsOnce()])
    given = CallLimits(("a@12345678",), _soon(50), Budget(tokens=100))
    held = json.loads(await (await manager.submit(ANONYMOUS, request("work"), called=given)).outcome())
    assert held["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    await (await manager.submit(ANONYMOUS, request("yes", held["id"]))).outcome()
    assert seen == [("work", given.without_deadline())]
