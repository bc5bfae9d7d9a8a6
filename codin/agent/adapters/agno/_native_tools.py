"""Tools of codin as functions of Agno, and the other way."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, cast

from agno.tools.function import Function, FunctionCall, FunctionExecutionResult, ToolResult

from codin.agent.adapters._native_tools import NativeTool, Offered, lent, offered, unknown, usable
from codin.agent.adapters._questions import object_of
from codin.errors import ToolError, ToolFailed
from codin.tool import Tool, ToolRegistry, ToolSpec

__all__ = ["AgnoTool", "as_tool", "native_tools", "tool_of"]

_NOT_OF_A_RUN = {"self", "return"}


def native_tools(*tools: Tool | ToolRegistry) -> list[Function]:
    """Tools of codin for an agent or a team: `Agent(tools=native_tools(shout))`, to be run with `arun`.

    An error is the result, in words.

    Args:
        tools: tools, or registries of which it is the newest version of each.

    Raises:
        ConfigError: one is no tool, or two have one name and version.
    """
    return [
        Function(
            name=each.name,
            description=each.description,
            parameters=each.input_schema,
            entrypoint=each.told,
            skip_entrypoint_processing=True,
        )
        for each in offered(tools, _Told)
    ]


class _Told(Offered):
    # Agno would tell the model what this raises, and print the traceback.
    async def told(self, /, **arguments: Any) -> str:
        """What the model is told."""
        try:
            return await self.text(**arguments)
        except ToolError as error:
            return str(error)


class AgnoTool(NativeTool):
    """A function of Agno by the names codin gives things."""

    def __init__(self, function: Function) -> None:
        super().__init__(function.name)
        self._function = function

    @property
    def spec(self) -> ToolSpec:
        known = self._function
        return ToolSpec(
            known.description or "", object_of(known.parameters), approval=bool(known.requires_confirmation)
        )

    @property
    def needs(self) -> str:
        if self._function.external_execution or self._function.requires_user_input:
            return "what its user does in a run"
        given = set(getattr(self._function, "_framework_params", None) or ()) - _NOT_OF_A_RUN
        return f"{', '.join(sorted(given))}, which a run gives" if given else ""

    async def call(self, arguments: dict[str, Any]) -> Any:
        call = FunctionCall(function=self._function, arguments=arguments)
        function = cast("Any", self._function).entrypoint
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            done = await call.aexecute()
            if inspect.isasyncgen(done.result):
                done.result = _joined([piece async for piece in done.result])
        else:
            done = await asyncio.to_thread(_executed, call)
        if done.status != "success":
            raise ToolFailed(f"{self.name!r} failed: {done.error}", tool=self.name)
        return done.result.content if isinstance(done.result, ToolResult) else done.result


def _executed(call: FunctionCall) -> FunctionExecutionResult:
    done = call.execute()
    if inspect.isgenerator(done.result):
        done.result = _joined(list(done.result))
    return done


def _joined(pieces: list[Any]) -> Any:
    return "".join(pieces) if all(isinstance(piece, str) for piece in pieces) else pieces


def as_tool(function: Function) -> Tool:
    """A function of Agno as a tool of codin; what was made of one is that one."""
    tool = lent(cast("Any", function).entrypoint)
    if tool is not None:
        return tool
    own = function.model_copy(deep=True)
    own.process_entrypoint()
    return AgnoTool(own)


def tool_of(native: object) -> Tool:
    """A `Function` of Agno as a tool of codin. Raises ConfigError."""
    if not isinstance(native, Function):
        raise unknown(native, "a Function, one of those in a toolkit's `functions`")
    made = as_tool(native)
    return usable(made) if isinstance(made, AgnoTool) else made
