"""A tool is whatever has a name, a spec and a coroutine."""

from __future__ import annotations

import pytest

from codin.tool import Tool, ToolSpec

pytestmark = pytest.mark.anyio


class Shout:
    name = "shout"
    spec = ToolSpec("Say it louder.", {"type": "object", "properties": {"text": {"type": "string"}}})

    async def invoke(self, text: str) -> str:
        return text.upper()


class Mute:
    name = "mute"
    spec = ToolSpec("Cannot be used.")


async def test_a_plain_class_is_a_tool() -> None:
    tool: Tool = Shout()  # pyright holds the protocol to it; the next line asks at run time
    assert isinstance(tool, Tool)
    assert await tool.invoke(text="hello") == "HELLO"


def test_without_the_coroutine_it_is_none() -> None:
    assert not isinstance(Mute(), Tool)


def test_a_spec_takes_no_argument_unless_it_says_so() -> None:
    spec = ToolSpec("The time in UTC.")
    assert spec.input_schema == {"type": "object", "properties": {}}
    assert spec.output_schema is None
    assert spec == ToolSpec("The time in UTC.")
    assert hash(spec) == hash(ToolSpec("The time in UTC."))
