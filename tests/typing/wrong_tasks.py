"""Mistakes with a task, and with the response."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from codin import a2a
from codin.agent import AgentResponse, NeedInput, Reject, Task


async def reads(task: Task) -> None:
    print(task.text())  # error: reportCallIssue
    print(task.state)  # error: reportAttributeAccessIssue
    print(task.caller["id"])  # error: reportIndexIssue
    print(task.message.text)  # error: reportAttributeAccessIssue
    task.context_id = "another"  # error: reportAttributeAccessIssue


async def writes(task: Task) -> None:
    task.write("a chunk")  # error: reportUnusedCoroutine
    await task.write(42)  # error: reportArgumentType
    await task.write(b"bytes")  # error: reportArgumentType
    await task.write("a chunk", last=True)  # error: reportCallIssue
    await task.status()  # error: reportCallIssue
    await task.status({"percent": 50})  # error: reportArgumentType
    await task.artifact({"n": 1}, "Numbers")  # error: reportCallIssue
    await task.artifact({"n": 1}, mime_type="application/json")  # error: reportCallIssue
    artifact: a2a.Artifact = await task.artifact({"n": 1})  # error: reportAssignmentType
    print(artifact)
    task.usage("tokens", 12)  # error: reportCallIssue
    task.usage(tokens="12")  # error: reportArgumentType
    await task.usage(tokens=12)  # error: reportGeneralTypeIssues


async def asks(task: Task) -> str:
    answer = task.ask("Which one?")
    print(answer.text)  # error: reportAttributeAccessIssue
    await task.ask("How many?", int)  # error: reportCallIssue
    await task.ask("How many?", type=int)  # error: reportCallIssue
    await task.ask(schema=int)  # error: reportCallIssue
    how_many: str = await task.ask("How many?", schema=int)  # error: reportAssignmentType
    print(how_many)
    print((await task.ask("Which one?")).text())  # error: reportCallIssue
    return await task.ask("Which one?")  # error: reportReturnType


async def calls(task: Task) -> None:
    reply = task.call("http://127.0.0.1:8001", "hello")
    print(reply.text)  # error: reportAttributeAccessIssue
    print((await task.call("http://127.0.0.1:8001", "hello")).text())  # error: reportCallIssue
    await task.call("http://127.0.0.1:8001")  # error: reportCallIssue
    await task.call("http://127.0.0.1:8001", "hello", budget=500)  # error: reportArgumentType
    task.usage["input_tokens"] = 5  # error: reportIndexIssue
    state = await task.state_of("another")
    print(state.terminal)  # error: reportOptionalMemberAccess


async def answers(task: Task) -> list[AgentResponse]:
    return [
        AgentResponse("done"),  # error: reportArgumentType
        AgentResponse(a2a.TaskState.COMPLETED),  # error: reportArgumentType
        AgentResponse.completed("done", {"n": 1}),  # error: reportCallIssue
        AgentResponse.completed(content="done"),  # error: reportCallIssue
        AgentResponse.completed(42),  # error: reportArgumentType
        AgentResponse.completed(await task.ask("Which one?")),  # error: reportArgumentType
        AgentResponse.completed(artifacts=task.artifacts[0]),  # error: reportArgumentType
        AgentResponse.completed("done", usage={"model": "small"}),  # error: reportArgumentType
        AgentResponse.input_required(),  # error: reportCallIssue
        AgentResponse.message(["hello"]),  # error: reportArgumentType
        AgentResponse.complete("done"),  # error: reportAttributeAccessIssue
    ]


def raises(task: Task) -> None:
    if task.text == "response":
        raise AgentResponse.rejected("Not today.")  # error: reportGeneralTypeIssues
    if task.text == "question":
        raise NeedInput(data=["yes", "no"])  # error: reportCallIssue
    raise Reject("Not today.", hint="tomorrow")  # error: reportCallIssue
