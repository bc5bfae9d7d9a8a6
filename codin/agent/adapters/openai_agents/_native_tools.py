"""Tools of codin as function tools of the OpenAI Agents SDK, and the other way."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from agents.tool import set_function_tool_failure_error_function
from agents.tool_context import ToolContext
from pydantic_core import to_json

from agents import FunctionTool
from codin.agent.adapters._native_tools import NativeTool, Offered, lent, offered, unknown, usable
from codin.agent.adapters._questions import object_of, parse_json
from codin.errors import ToolError
from codin.tool import Tool, ToolRegistry, ToolSpec

__all__ = ["SDKTool", "as_tool", "native_tools", "tool_of", "within"]


def native_tools(*tools: Tool | ToolRegistry) -> list[FunctionTool]:
    """Tools of codin for an agent: `Agent(name, tools=[*native_tools(shout)])`. An error is the result, in words.

    Args:
        tools: tools, or registries of which it is the newest version of each.

    Raises:
        ConfigError: one is no tool, or two have one name and version.
    """
    return [
        FunctionTool(
            name=each.name,
            description=each.description,
            params_json_schema=each.input_schema,
            on_invoke_tool=each.told,
            strict_json_schema=False,  # the schema is the tool's, and need not be of the strict kind
        )
        for each in offered(tools, _Told)
    ]


class _Told(Offered):
    async def told(self, context: ToolContext[Any], arguments: str) -> str:
        """What the model is told."""
        try:
            return await self.text(**object_of(parse_json(arguments)))
        except ToolError as error:
            return str(error)


class SDKTool(NativeTool):
    """A function tool by the names codin gives things."""

    def __init__(self, tool: FunctionTool) -> None:
        super().__init__(tool.name)
        self._tool = tool

    @property
    def spec(self) -> ToolSpec:
        tool = self._tool
        return ToolSpec(
            tool.description,
            tool.params_json_schema,
            getattr(tool, "output_json_schema", None),
            approval=tool.needs_approval is not False,
        )

    @property
    def needs(self) -> str:
        tool = self._tool
        if tool.tool_input_guardrails or tool.tool_output_guardrails or tool.is_enabled is not True:
            return "guardrails, or a run that enables it"
        schema = within(tool).get("schema")
        return "the context of a run" if getattr(schema, "takes_context", False) else ""

    async def call(self, arguments: dict[str, Any]) -> Any:
        text = to_json(arguments).decode()
        context = ToolContext[Any](None, tool_name=self.name, tool_call_id="", tool_arguments=text)
        return await self._raising().on_invoke_tool(context, text)

    def _raising(self) -> FunctionTool:
        """The tool, which raises what it would tell in the SDK's fixed words, that say nothing."""
        if not getattr(self._tool, "_use_default_failure_error_function", False):
            return self._tool
        return set_function_tool_failure_error_function(copy.copy(self._tool), None)


def within(tool: FunctionTool) -> Mapping[str, Any]:
    """What the SDK keeps of a decorated function, only in a closure: `the_func` and its `schema`."""
    invoke = getattr(tool.on_invoke_tool, "_invoke_tool_impl", tool.on_invoke_tool)
    return inspect.getclosurevars(invoke).nonlocals if inspect.isfunction(invoke) else {}


def as_tool(tool: FunctionTool) -> Tool:
    """A function tool as one of codin; what was made of one is that one."""
    return lent(tool.on_invoke_tool) or SDKTool(tool)


def tool_of(native: object) -> Tool:
    """A function tool of the SDK as a tool of codin. Raises ConfigError."""
    if not isinstance(native, FunctionTool):
        raise unknown(native, "a FunctionTool; hosted tools run at the provider")
    made = as_tool(native)
    return usable(made) if isinstance(made, SDKTool) else made
