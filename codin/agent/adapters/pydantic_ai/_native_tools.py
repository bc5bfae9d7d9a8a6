"""Tools of codin as tools of Pydantic AI, and the other way."""

from __future__ import annotations

from typing import Any, cast

from pydantic_ai import ModelRetry, ToolReturn
from pydantic_ai import Tool as FunctionTool
from pydantic_ai.exceptions import ToolFailed
from pydantic_core import to_json

from codin.agent.adapters._native_tools import NativeTool, Offered, lent, offered, unknown, usable
from codin.errors import InvalidArguments, ToolError
from codin.tool import Tool, ToolRegistry, ToolSpec

__all__ = ["PydanticTool", "as_tool", "native_tools", "tool_of"]


def native_tools(*tools: Tool | ToolRegistry) -> list[FunctionTool[Any]]:
    """Tools of codin for an agent: `Agent(model, tools=native_tools(shout))`.

    Arguments that do not fit are a `ModelRetry`, of which the agent's `retries` are the bound; any other error is a
    result that says so.

    Args:
        tools: tools, or registries of which it is the newest version of each.

    Raises:
        ConfigError: one is no tool, or two have one name and version.
    """
    return [
        FunctionTool[Any].from_schema(each.told, each.name, each.description, each.input_schema)
        for each in offered(tools, _Told)
    ]


class _Told(Offered):
    async def told(self, /, **arguments: Any) -> Any:
        """What the model is told."""
        try:
            return await self.value(**arguments)
        except InvalidArguments as error:
            raise ModelRetry(str(error)) from error
        except ToolError as error:
            raise ToolFailed(str(error)) from error


class PydanticTool(NativeTool):
    """A tool by the names codin gives things."""

    def __init__(self, tool: FunctionTool[Any]) -> None:
        super().__init__(tool.name)
        self._tool = tool

    @property
    def spec(self) -> ToolSpec:
        schema = self._tool.function_schema
        return ToolSpec(
            self._tool.description or "",
            schema.json_schema,
            schema.return_schema or None,
            approval=self._tool.requires_approval,
            timeout=self._tool.timeout,
        )

    @property
    def needs(self) -> str:
        tool = self._tool
        return "the context of a run" if tool.takes_ctx or tool.prepare or tool.args_validator else ""

    async def call(self, arguments: dict[str, Any]) -> Any:
        schema = self._tool.function_schema
        nowhere: Any = None  # of a run; it takes none
        result = await schema.call(schema.validator.validate_json(to_json(arguments)), nowhere)
        return result.return_value if isinstance(result, ToolReturn) else result


def as_tool(tool: FunctionTool[Any]) -> Tool:
    """A tool of Pydantic AI as one of codin; what was made of one is that one."""
    return lent(tool.function) or PydanticTool(tool)


def tool_of(native: object) -> Tool:
    """A `Tool` of Pydantic AI as a tool of codin. Raises ConfigError."""
    if not isinstance(native, FunctionTool):
        raise unknown(native, "a Tool, one of those in a toolset's `tools`")
    made = as_tool(cast("FunctionTool[Any]", native))
    return usable(made) if isinstance(made, PydanticTool) else made
