"""Tools of codin as tools of CrewAI, and the other way."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from crewai.tools import BaseTool
from crewai.tools.tool_failure import ToolFailure
from pydantic import BaseModel, ConfigDict

from codin.agent.adapters._native_tools import NativeTool, Offered, lent, offered, unknown, usable
from codin.agent.adapters.crewai._tool import AsyncTool
from codin.errors import ToolError, ToolFailed
from codin.tool import Tool, ToolRegistry, ToolSpec

__all__ = ["CrewTool", "native_tools", "tool_of", "tools_of"]


def native_tools(*tools: Tool | ToolRegistry) -> list[BaseTool]:
    """Tools of codin for an agent: `Agent(..., tools=native_tools(shout))`. An error is a `ToolFailure`.

    Args:
        tools: tools, or registries of which it is the newest version of each.

    Raises:
        ConfigError: one is no tool, or two have one name and version.
    """
    made: list[BaseTool] = []
    for each in offered(tools, _Told):
        native = _CodinTool(name=each.name, description=each.description, args_schema=_arguments(each.input_schema))
        native.connect(each.told)
        made.append(native)
    return made


class _Told(Offered):
    async def told(self, /, **arguments: Any) -> Any:
        """What the model is told."""
        # CrewAI tells the model that every argument is required, and it gives null for what it leaves out.
        required = self.input_schema.get("required", ())
        given = {name: value for name, value in arguments.items() if value is not None or name in required}
        try:
            return await self.text(**given)
        except ToolError as error:
            return ToolFailure(message=str(error), retryable=error.retryable)


class _CodinTool(AsyncTool):
    def alone(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The same in a task: the tool itself goes back to where the task is."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(copy_context().run, asyncio.run, work).result()


def _arguments(schema: Mapping[str, Any]) -> type[BaseModel]:
    """What CrewAI wants of a schema: a model that has it as it is, and leaves the check to the tool."""

    class Arguments(BaseModel):
        model_config = ConfigDict(extra="allow")

        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {"properties": {}, **copy.deepcopy(dict(schema))}

    return Arguments


class CrewTool(NativeTool):
    """A CrewAI tool by the names codin gives things."""

    def __init__(self, tool: BaseTool) -> None:
        super().__init__(tool.name)
        self._tool = tool

    @property
    def spec(self) -> ToolSpec:
        result = getattr(self._tool, "result_schema", None)
        output = None if result is None else result.model_json_schema(mode="serialization")
        return ToolSpec(self._tool.description, self._tool.args_schema.model_json_schema(), output)

    async def call(self, arguments: dict[str, Any]) -> Any:
        result = await (
            self._tool.arun(**arguments) if self._is_async else asyncio.to_thread(self._tool.run, **arguments)
        )
        if isinstance(result, ToolFailure):
            raise ToolFailed(f"{self.name!r} failed: {result.message}", tool=self.name, retryable=result.retryable)
        return result

    @property
    def _is_async(self) -> bool:
        if (function := getattr(self._tool, "func", None)) is not None:
            return inspect.iscoroutinefunction(function)
        return type(self._tool)._arun is not BaseTool._arun  # pyright: ignore[reportPrivateUsage]


def _as_tool(tool: BaseTool) -> Tool:
    made = lent(tool.work) if isinstance(tool, AsyncTool) else None
    return made or CrewTool(tool)


def tools_of(tools: Iterable[object]) -> Sequence[Tool]:
    """Each tool once."""
    return list({tool.name: _as_tool(tool) for tool in tools if isinstance(tool, BaseTool)}.values())


def tool_of(native: object) -> Tool:
    """A tool of CrewAI as a tool of codin. Raises ConfigError."""
    if not isinstance(native, BaseTool):
        raise unknown(native, "a BaseTool")
    made = _as_tool(native)
    return usable(made) if isinstance(made, CrewTool) else made
