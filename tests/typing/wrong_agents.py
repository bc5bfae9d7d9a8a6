"""What is not an agent, and what the decorator does not take."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import AsyncIterator

from codin import a2a
from codin.agent import Agent, AgentResponse, Task, agent


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent(identifier="loud")  # error: reportCallIssue, reportUntypedFunctionDecorator
async def louder(text: str) -> str:
    return text.upper()


@agent(reply="text")  # error: reportArgumentType
async def reply_is_one_of_two(text: str) -> str:
    return text


@agent("loud")  # error: reportArgumentType, reportUntypedFunctionDecorator
async def name_by_position(text: str) -> str:
    return text


@agent(tools=["search"])  # error: reportArgumentType
async def tools_by_name(text: str) -> str:
    return text


async def wrong_calls() -> None:
    await shout(3)  # error: reportArgumentType
    await shout("hello", 2)  # error: reportCallIssue
    await shout(message="hello")  # error: reportCallIssue
    shout("hello")  # error: reportUnusedCoroutine
    print("heard: " + shout("hello"))  # error: reportOperatorIssue
    agent(shout("hello"))  # error: reportArgumentType


class Named:
    """The attributes of an agent, for the classes below."""

    id = "named"
    name = "Named"
    description = "Has everything but `handle`."
    tools = ()


class WithoutId:
    name = "Nameless"
    description = "Has no place on a server."
    tools = ()

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)


class HandlesAtOnce(Named):
    def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)


class HandlesByYielding(Named):
    async def handle(self, task: Task) -> AsyncIterator[str]:
        yield task.text


class HandlesText(Named):
    async def handle(self, text: str) -> AgentResponse:
        return AgentResponse.completed(text)


class HandlesTheWireObject(Named):
    async def handle(self, task: a2a.Task) -> AgentResponse:
        return AgentResponse.completed(task.id)


class AnswersText(Named):
    async def handle(self, task: Task) -> str:
        return task.text


class AnswersNothing(Named):
    async def handle(self, task: Task) -> None:
        await task.write(task.text)


class WithToolNames(Named):
    tools = ("search",)

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)


class MayHaveNoName(Named):
    name: str | None = None

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)


class SaysTextForAResponse(Named):
    async def handle(self, task: Task) -> AgentResponse:
        return task.text  # error: reportReturnType


class ForgetsToAnswer(Named):
    async def handle(self, task: Task) -> AgentResponse:  # error: reportReturnType
        await task.write(task.text)


async def undecorated(text: str) -> str:
    return text


AGENTS: list[Agent] = [shout, SaysTextForAResponse(), ForgetsToAnswer()]
without_id: Agent = WithoutId()  # error: reportAssignmentType
without_handle: Agent = Named()  # error: reportAssignmentType
handles_at_once: Agent = HandlesAtOnce()  # error: reportAssignmentType
handles_by_yielding: Agent = HandlesByYielding()  # error: reportAssignmentType
handles_text: Agent = HandlesText()  # error: reportAssignmentType
handles_the_wire_object: Agent = HandlesTheWireObject()  # error: reportAssignmentType
answers_text: Agent = AnswersText()  # error: reportAssignmentType
answers_nothing: Agent = AnswersNothing()  # error: reportAssignmentType
with_tool_names: Agent = WithToolNames()  # error: reportAssignmentType
may_have_no_name: Agent = MayHaveNoName()  # error: reportAssignmentType
a_function: Agent = undecorated  # error: reportAssignmentType
a_class: Agent = HandlesText  # error: reportAssignmentType
