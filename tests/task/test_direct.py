"""Direct messages: an agent that answers a message with a message, and keeps no task."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from codin import a2a
from codin.errors import ConfigError
from codin.task import AgentResponse, Limits, NeedInput, Reject, Task, converse
from codin.trust import Caller
from tests.task.desk import forever

pytestmark = pytest.mark.anyio

Agent = Callable[[Task], Awaitable[AgentResponse]]


async def _talk(agent: Agent, *, limits: Limits | None = None, **fields: Any) -> a2a.Message:
    async def handle(task: Task) -> AgentResponse:
        return await agent(task)

    message = a2a.Message(message_id="m", role=a2a.Role.USER, parts=[a2a.Part(text="hello")], **fields)
    return await converse(handle, Caller("alice"), a2a.SendMessageRequest(message=message), limits or Limits())


@pytest.mark.parametrize(
    "response",
    [AgentResponse.message("hi"), AgentResponse.completed("hi"), AgentResponse.message([a2a.Part(text="hi")])],
)
async def test_a_message_is_answered_with_a_message(response: AgentResponse) -> None:
    async def answers(task: Task) -> AgentResponse:
        assert (task.text, task.context_id, task.caller.id) == ("hello", "c", "alice")
        return response

    answer = await _talk(answers, context_id="c")
    assert (answer.role, answer.context_id, answer.task_id) == (a2a.Role.AGENT, "c", None)
    assert a2a.text_of(answer.parts) == "hi"


async def test_a_context_is_made_when_none_is_named() -> None:
    async def answers(task: Task) -> AgentResponse:
        return AgentResponse.message(task.context_id)

    answer = await _talk(answers)
    assert answer.context_id == a2a.text_of(answer.parts) != ""


async def test_a_task_id_is_refused() -> None:
    with pytest.raises(a2a.TaskNotFound, match="keeps none"):
        await _talk(forever, task_id="t")


@pytest.mark.parametrize("verb", ["write", "status", "artifact", "ask", "authorize"])
async def test_there_is_no_task_to_write_to(verb: str) -> None:
    async def writes(task: Task) -> AgentResponse:
        with pytest.raises(ConfigError, match="no task to write to"):
            await getattr(task, verb)("x")
        return AgentResponse.message("refused")

    assert a2a.text_of((await _talk(writes)).parts) == "refused"


async def test_a_refusal_is_said_in_a_message() -> None:
    async def refuses(task: Task) -> AgentResponse:
        raise Reject("not me")

    assert a2a.text_of((await _talk(refuses)).parts) == "not me"


async def _raises(task: Task) -> AgentResponse:
    raise RuntimeError("the password is hunter2")


async def _exits(task: Task) -> AgentResponse:
    sys.exit(3)


async def _returns_none(task: Task) -> AgentResponse:
    return None  # type: ignore[return-value]


async def _says_nothing(task: Task) -> AgentResponse:
    return AgentResponse.completed()


async def _asks(task: Task) -> AgentResponse:
    raise NeedInput("which?")


@pytest.mark.parametrize("agent", [_raises, _exits, _returns_none, _says_nothing, _asks])
async def test_anything_else_is_an_invalid_answer(agent: Agent) -> None:
    with pytest.raises(a2a.InvalidAgentResponse) as caught:
        await _talk(agent)
    assert "hunter2" not in str(caught.value)


async def test_it_takes_no_longer_than_a_run_may() -> None:
    with pytest.raises(a2a.InvalidAgentResponse, match="longer"):
        await asyncio.wait_for(_talk(forever, limits=Limits(run_timeout=0.01)), 20)
