"""The function tools of an agent, as tools of codin; and the agents within it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, cast

from agents.tool_context import ToolContext
from pydantic_core import to_json

from agents import Agent, FunctionTool, Tool
from codin.agent.adapters._uses import used_by
from codin.tool import ToolSpec

__all__ = ["SDKTool", "parts", "tools_of"]


class SDKTool:
    """A function tool by the names codin gives things."""

    def __init__(self, tool: FunctionTool) -> None:
        self._tool = tool
        self.name: str = tool.name
        self.spec: ToolSpec = ToolSpec(tool.description, tool.params_json_schema)

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside a run, with its arguments by name and without a context."""
        arguments = to_json(kwargs).decode()
        context = ToolContext[Any](None, tool_name=self.name, tool_call_id="", tool_arguments=arguments)
        return await self._tool.on_invoke_tool(context, arguments)


def tools_of(agent: Agent[Any]) -> Sequence[SDKTool]:
    """The tools that are functions. Hosted tools, and those of MCP servers, are known to others."""
    return [SDKTool(tool) for tool in agent.tools if isinstance(tool, FunctionTool)]


def parts(agent: object) -> Iterator[object]:
    """What an agent hands off to, has as a tool, or runs in its tools and guardrails."""
    if not isinstance(agent, Agent):
        return
    known = cast("Any", agent)
    for other in known.handoffs:
        reference = getattr(other, "_agent_ref", None)  # a `Handoff` tells only the name
        yield other if reference is None else reference()
    for tool in known.tools:
        yield from _within(tool)
    for guardrail in (*known.input_guardrails, *known.output_guardrails):
        yield from used_by(guardrail.guardrail_function)


def _within(tool: Tool) -> Iterator[object]:
    if not isinstance(tool, FunctionTool):
        return
    yield getattr(tool, "_agent_instance", None)  # of `agent.as_tool()`
    invoke = getattr(tool.on_invoke_tool, "_invoke_tool_impl", tool.on_invoke_tool)
    if inspect.isfunction(invoke):  # the SDK keeps the function only in here
        yield from used_by(inspect.getclosurevars(invoke).nonlocals.get("the_func"))
