"""What is no tool."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import AsyncIterator

from codin.tool import Tool, ToolSpec, tool


class WithoutSpec:
    name = "shout"
    description = "Say it louder."

    async def invoke(self, text: str) -> str:
        return text.upper()


class WithTextForSpec:
    name = "shout"
    spec = "Say it louder."

    async def invoke(self, text: str) -> str:
        return text.upper()


class InvokesAtOnce:
    name = "shout"
    spec = ToolSpec("Say it louder.")

    def invoke(self, text: str) -> str:
        return text.upper()


class InvokesByYielding:
    name = "shout"
    spec = ToolSpec("Say it louder.")

    async def invoke(self, text: str) -> AsyncIterator[str]:
        yield text.upper()


class IsCalled:
    name = "shout"
    spec = ToolSpec("Say it louder.")

    async def __call__(self, text: str) -> str:
        return text.upper()


class NameIsAMethod:
    spec = ToolSpec("Say it louder.")

    def name(self) -> str:
        return "shout"

    async def invoke(self, text: str) -> str:
        return text.upper()


async def function(text: str) -> str:
    return text.upper()


without_spec: Tool = WithoutSpec()  # error: reportAssignmentType
with_text_for_spec: Tool = WithTextForSpec()  # error: reportAssignmentType
invokes_at_once: Tool = InvokesAtOnce()  # error: reportAssignmentType
invokes_by_yielding: Tool = InvokesByYielding()  # error: reportAssignmentType
is_called: Tool = IsCalled()  # error: reportAssignmentType
name_is_a_method: Tool = NameIsAMethod()  # error: reportAssignmentType
a_function: Tool = function  # error: reportAssignmentType
a_class: Tool = InvokesAtOnce  # error: reportAssignmentType

ToolSpec()  # error: reportCallIssue
ToolSpec("Say it louder.", "text")  # error: reportArgumentType
ToolSpec("Say it louder.", parameters={"type": "object"})  # error: reportCallIssue
spec = ToolSpec("Say it louder.")
spec.description = "Say it more quietly."  # error: reportAttributeAccessIssue


@tool(retires=2)  # error: reportCallIssue, reportUntypedFunctionDecorator
async def misspelt(text: str) -> str:
    return text


@tool
async def whisper(text: str) -> str:
    return text.lower()


class Shelf:
    @tool
    def find(self, words: str) -> list[str]:
        return [words]


async def uses(used: Tool) -> None:
    used.invoke("hello")  # error: reportUnusedCoroutine
    await used("hello")  # error: reportCallIssue
    await used.call("hello")  # error: reportAttributeAccessIssue
    used.name = "shout"  # error: reportAttributeAccessIssue
    await whisper(5)  # error: reportArgumentType
    await whisper()  # error: reportCallIssue
    Shelf().find(5)  # error: reportArgumentType
