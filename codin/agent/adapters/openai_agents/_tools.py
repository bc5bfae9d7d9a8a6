"""The function tools of an agent, as tools of codin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.tool_context import ToolContext
from pydantic_core import to_json

from agents import Agent, FunctionTool
from codin.tool import ToolSpec

__all__ = ["SDKTool", "tools_of"]


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
