"""What an agent can use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_type

import codin
from codin.tool import Tool, ToolExecutor, ToolSpec, tool


class Shout:
    """A tool by plain attributes."""

    name = "shout"
    spec = ToolSpec("Say it louder.")

    async def invoke(self, text: str) -> str:
        return text.upper()


@dataclass(frozen=True)
class Search:
    """A tool whose members cannot be written, with keywords of its own."""

    name: str
    spec: ToolSpec

    async def invoke(self, words: str, *, limit: int = 10) -> Sequence[Mapping[str, int]]:
        return [{words: limit}]


class Anything:
    """A tool that takes whatever its schema says."""

    @property
    def name(self) -> str:
        return "anything"

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec("Takes anything.", {"type": "object"}, output_schema={"type": "string"})

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        return repr((args, kwargs))


SEARCH = ToolSpec(
    description="Finds books.",
    input_schema={"type": "object", "properties": {"words": {"type": "string"}, "limit": {"type": "integer"}}},
    output_schema={"type": "array"},
)
TOOLS: list[Tool] = [Shout(), Search("search", SEARCH), Anything()]
TOOL: codin.Tool = Shout()


@tool
async def whisper(text: str, *, times: int = 1) -> str:
    """A tool that is a function."""
    return text.lower() * times


class Shelf:
    """A class with a tool."""

    @tool(tags=["books"], idempotent=True, retries=2)
    def find(self, words: str) -> list[str]:
        return [words]


FUNCTIONS: list[Tool] = [whisper, Shelf().find]


async def functions_stay_what_they_were(task: codin.Task) -> None:
    assert_type(await whisper("hello", times=2), str)
    assert_type(Shelf().find("hello"), list[str])
    assert_type(await whisper.invoke(text="hello"), Any)
    assert_type(await ToolExecutor(FUNCTIONS).call("whisper", {"text": "hello"}, task=task), Any)
    assert_type(await task.tool("whisper", text="hello"), Any)


async def tools_are_used(tool: Tool) -> None:
    assert_type(tool.name, str)
    assert_type(tool.spec.description, str)
    assert_type(tool.spec.input_schema, Mapping[str, Any])
    assert_type(tool.spec.output_schema, Mapping[str, Any] | None)
    assert_type(await tool.invoke("hello", limit=3), Any)
    assert_type(await Shout().invoke("hello"), str)


def tools_are_told_from_other_objects(thing: object) -> str:
    return thing.name if isinstance(thing, Tool) else "no tool"
