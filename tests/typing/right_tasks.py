"""What an agent does with its task, and the ways it can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_type

from pydantic import BaseModel

from codin import a2a
from codin.agent import AgentResponse, NeedAuth, NeedInput, Reject, Task
from codin.client import Peer, Reply
from codin.task import Answer
from codin.trust import Budget, Caller, CallLimits


class Order(BaseModel):
    item: str
    quantity: int = 1


def reads(task: Task) -> None:
    assert_type(task.id, str)
    assert_type(task.context_id, str)
    assert_type(task.tenant, str)
    assert_type(task.caller, Caller)
    assert_type(task.deadline, float)
    assert_type(task.text, str)
    assert_type(task.message, a2a.Message)
    assert_type(task.files, Sequence[a2a.Part])
    assert_type(task.history, Sequence[a2a.Message])
    assert_type(task.artifacts, Sequence[a2a.Artifact])
    assert_type(task.metadata, Mapping[str, Any])
    assert_type(task.caller.scopes, frozenset[str])


async def writes(task: Task) -> None:
    await task.write("a chunk")
    await task.status("half way", metadata={"percent": 50})
    artifact_id = await task.artifact(Order(item="tea"), name="Order", last=False)
    assert_type(artifact_id, str)
    await task.artifact(b"\x89PNG", media_type="image/png", filename="a.png", artifact_id=artifact_id, append=True)
    task.usage(input_tokens=12, seconds=0.5)
    assert_type(task.usage["input_tokens"], int | float)
    assert_type(dict(task.usage), dict[str, int | float])


async def asks(task: Task) -> None:
    answer = await task.ask("Which one?", data={"choices": ["tea", "milk"]})
    assert_type(answer, Answer)
    assert_type(answer.text, str)
    assert_type(answer.files, Sequence[a2a.Part])
    assert_type(await task.ask("How many?", schema=int), int)
    assert_type(await task.ask("What?", schema=Order), Order)
    assert_type(await task.ask("Which numbers?", schema=list[int], data=[1, 2]), list[int])
    # No type checker can be told the type of what is no class.
    assert_type(await task.ask("Tea or milk?", schema=Literal["tea", "milk"]), Any)
    assert_type(await task.ask("How many, if any?", schema=int | None), Any)
    assert_type(await task.authorize("A token, please."), Answer)


async def calls(task: Task, peer: Peer) -> None:
    assert_type(await task.call("http://127.0.0.1:8001", "hello", timeout=5.0), Reply)
    assert_type(await task.call(peer, Order(item="tea")), Reply)
    assert_type(await task.call("translator", "hello", budget=Budget(tokens=500, money=0.5)), Reply)
    assert_type(task.limits, CallLimits)
    assert_type(task.limits.budget.tokens, int | None)
    assert_type(await task.state_of("another"), a2a.TaskState | None)


def answers(artifact: a2a.Artifact) -> list[AgentResponse]:
    return [
        AgentResponse.completed(),
        AgentResponse.completed("done", data={"n": 1}, usage={"input_tokens": 12, "cost": 0.01}),
        AgentResponse.completed(data=Order(item="tea"), artifacts=[artifact]),
        AgentResponse.input_required("Sure?", data={"choices": ["yes", "no"]}, token={"step": 2}),
        AgentResponse.auth_required("A token, please."),
        AgentResponse.rejected("Not today."),
        AgentResponse.failed("The shop is closed."),
        AgentResponse.message("hello"),
        AgentResponse.message([a2a.Part(text="hello"), a2a.Part(url="https://example.org/a.png")]),
        AgentResponse("completed", "done", metadata={"model": "small"}),
    ]


def raises(task: Task) -> None:
    if task.resume is None:
        raise NeedInput("Sure?", data=["yes", "no"], token="sure")
    if not task.caller.authenticated:
        raise NeedAuth("A token, please.")
    raise Reject("Not today.")
