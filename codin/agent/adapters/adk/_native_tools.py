"""Tools of codin as tools of Google ADK, and the other way."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Mapping
from typing import Any

from google.adk.agents import BaseAgent, RunConfig
from google.adk.agents.invocation_context import InvocationContext
from google.adk.agents.run_config import ToolThreadPoolConfig
from google.adk.sessions import InMemorySessionService
from google.adk.tools import BaseTool, FunctionTool, ToolContext
from google.adk.tools.tool_confirmation import ToolConfirmation
from google.genai import types

from codin.agent.adapters._native_tools import NativeTool, Offered, offered, unknown, usable
from codin.agent.adapters._questions import object_of
from codin.errors import ToolError, ToolFailed
from codin.tool import Tool, ToolRegistry, ToolSpec

__all__ = ["AdkTool", "as_tool", "native_tools", "tool_of"]

# pyright: reportPrivateUsage=false


def native_tools(*tools: Tool | ToolRegistry) -> list[BaseTool]:
    """Tools of codin for an agent: `LlmAgent(tools=[*native_tools(shout)])`. An error is a result `{"error": …}`.

    Args:
        tools: tools, or registries of which it is the newest version of each.

    Raises:
        ConfigError: one is no tool, or two have one name and version.
    """
    return [_CodinTool(each) for each in offered(tools, Offered)]


class _CodinTool(BaseTool):
    def __init__(self, offered: Offered) -> None:
        super().__init__(name=offered.name, description=offered.description)
        self.offered = offered

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(
            name=self.name, description=self.description, parameters_json_schema=self.offered.input_schema
        )

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> Any:
        try:
            return await self.offered.value(**args)
        except ToolError as error:
            return {"error": str(error)}


class AdkTool(NativeTool):
    """An ADK tool by the names codin gives things.

    Args:
        agent: the one that has it, whose tools see a session of their own.
    """

    def __init__(self, tool: BaseTool, agent: BaseAgent | None = None) -> None:
        super().__init__(tool.name)
        self._tool = tool
        self._agent = agent

    @property
    def spec(self) -> ToolSpec:
        """What the model knows of it."""
        declaration = self._tool._get_declaration()
        return ToolSpec(
            self._tool.description,
            {"type": "object", "properties": {}, **_schema_of(declaration)},
            approval=bool(getattr(self._tool, "_require_confirmation", False)),
        )

    @property
    def needs(self) -> str:
        if self._tool._get_declaration() is None or type(self._tool).run_async is BaseTool.run_async:
            return "a model that it is built into"
        if self._tool.is_long_running:
            return "a run that waits for it"
        if self._agent is not None or not isinstance(self._tool, FunctionTool):
            return ""
        given = inspect.signature(self._tool.func).parameters.keys() & set(self._tool._ignore_params)
        return f"{', '.join(sorted(given))}, which a run gives" if given else ""

    async def call(self, arguments: dict[str, Any]) -> Any:
        """What it gives, in a session of its own."""
        agent = self._agent or BaseAgent(name="codin")
        service = InMemorySessionService()
        around = InvocationContext(
            session_service=service,
            session=await service.create_session(app_name=agent.name, user_id="tool"),
            agent=agent,
            invocation_id=str(uuid.uuid4()),
            run_config=RunConfig(tool_thread_pool_config=ToolThreadPoolConfig()),  # else it blocks the event loop
        )
        # Whoever calls it here was asked for approval before.
        approved = ToolConfirmation(confirmed=True)
        context = ToolContext(around, function_call_id=str(uuid.uuid4()), tool_confirmation=approved)
        result = await self._tool.run_async(args=arguments, tool_context=context)
        if object_of(result).keys() == {"error"}:  # what ADK takes for a failure
            raise ToolFailed(f"{self.name!r} failed: {result['error']}", tool=self.name)
        return result


def _schema_of(declaration: types.FunctionDeclaration | None) -> Mapping[str, Any]:
    if declaration is None:
        return {}
    if declaration.parameters_json_schema is not None:
        return object_of(declaration.parameters_json_schema)
    if declaration.parameters is None:
        return {}
    return declaration.parameters.json_schema.model_dump(mode="json", exclude_none=True, by_alias=True)


def as_tool(tool: BaseTool, agent: BaseAgent | None = None) -> Tool:
    """An ADK tool as one of codin; what was made of one is that one."""
    return tool.offered.tool if isinstance(tool, _CodinTool) else AdkTool(tool, agent)


def tool_of(native: object) -> Tool:
    """A tool of ADK as a tool of codin. Raises ConfigError."""
    if not isinstance(native, BaseTool):
        raise unknown(native, "a BaseTool, such as FunctionTool(function)")
    made = as_tool(native)
    return usable(made) if isinstance(made, AdkTool) else made
