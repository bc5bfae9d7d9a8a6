"""Guards before a call to another agent: it passes, is refused, or waits until somebody has answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from codin import a2a
from codin.client import Reply
from codin.task import AgentResponse, Decision, Task, TaskManager
from codin.trust import ANONYMOUS, Caller

pytestmark = pytest.mark.anyio


class OnCalls:
    """Decides on calls by a script; lets everything else pass."""

    def __init__(self, *decisions: Decision | None) -> None:
        self.decisions = list(decisions)
        self.targets: list[str] = []

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        return None

    async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
        return None

    async def call(self, task: Task, target: str, content: Any) -> Decision | None:
        self.targets.append(target)
        return self.decisions.pop(0)


async def echo(task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
    message = a2a.Message(message_id="r", role=a2a.Role.AGENT, parts=[a2a.Part(text=f"{agent} heard {content}")])
    return Reply(message)


async def caller(task: Task) -> AgentResponse:
    return AgentResponse.completed((await task.call("http://127.0.0.1:1/", task.text)).text)


async def send(manager: TaskManager, text: str, task_id: str | None = None) -> dict[str, Any]:
    message = a2a.Message(message_id="m", role=a2a.Role.USER, task_id=task_id, parts=[a2a.Part(text=text)])
    turn = await manager.submit(ANONYMOUS, a2a.SendMessageRequest(message=message))
    return json.loads(await turn.outcome())


async def test_a_call_that_may_pass() -> None:
    guard = OnCalls(None)
    task = await send(TaskManager(caller, guards=[guard], call=echo), "hi")
    assert task["artifacts"][0]["parts"] == [{"text": "http://127.0.0.1:1/ heard hi"}]
    assert guard.targets == ["http://127.0.0.1:1/"]


async def test_a_call_that_is_refused_does_not_go_out() -> None:
    called: list[str] = []

    async def record(task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        called.append(agent)
        return await echo(task, agent, content, options)

    manager = TaskManager(caller, guards=[OnCalls(Decision("refuse", "not today", "policy"))], call=record)
    task = await send(manager, "hi")
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert called == []


async def test_a_call_that_is_held_goes_out_after_the_answer() -> None:
    guard = OnCalls(Decision("hold", "may I?", "gate"), None)
    manager = TaskManager(caller, guards=[guard], call=echo)
    asked = await send(manager, "hi")
    assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert asked["status"]["message"]["parts"] == [{"text": "may I?"}]
    task = await send(manager, "yes", asked["id"])
    assert task["artifacts"][0]["parts"] == [{"text": "http://127.0.0.1:1/ heard hi"}]
