"""Tools of codin as tools of LangChain, and the other way."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.tools import BaseTool, ToolException
from pydantic import BaseModel, PrivateAttr

from codin.agent.adapters._native_tools import NativeTool, Offered, offered, unknown, usable
from codin.agent.adapters._questions import object_of
from codin.agent.adapters.langchain._arguments import arguments_schema
from codin.errors import ToolError
from codin.tool import Tool, ToolRegistry, ToolSpec

__all__ = ["LangChainTool", "as_tool", "native_tools", "tool_of"]


def native_tools(*tools: Tool | ToolRegistry) -> list[BaseTool]:
    """Tools of codin for models, agents and graphs: `create_agent(model, native_tools(shout))`.

    They are async, as those of `tool(peer)` are. An error is a message to the model with the status `error`.

    Args:
        tools: tools, or registries of which it is the newest version of each.

    Raises:
        ConfigError: one is no tool, or two have one name and version.
    """
    return [_CodinTool(each) for each in offered(tools, Offered)]


class _CodinTool(BaseTool):
    _offered: Offered = PrivateAttr()

    def __init__(self, offered: Offered) -> None:
        super().__init__(
            name=offered.name,
            description=offered.description,
            args_schema=offered.input_schema,
            handle_tool_error=True,
        )
        self._offered = offered

    @property
    def lent(self) -> Tool:
        """The tool that it is made of."""
        return self._offered.tool

    # Nothing but arguments in the signature: LangChain would put its config into an argument of that name.
    async def _arun(self, /, **arguments: Any) -> str:
        try:
            return await self._offered.text(**arguments)
        except ToolError as error:
            raise ToolException(str(error)) from error

    def _run(self, /, **arguments: Any) -> str:
        raise NotImplementedError(f"the tool {self.name!r} is async: use ainvoke or astream")


class LangChainTool(NativeTool):
    """A LangChain tool by the names codin gives things."""

    def __init__(self, tool: BaseTool) -> None:
        super().__init__(tool.name)
        self._tool = tool

    @property
    def spec(self) -> ToolSpec:
        """What the model knows of it; arguments that are injected are not in it."""
        schema: Any = arguments_schema(self._tool) or self._tool.tool_call_schema
        fields = object_of(schema) or cast("type[BaseModel]", schema).model_json_schema()
        return ToolSpec(self._tool.description, {name: each for name, each in fields.items() if name != "description"})

    @property
    def needs(self) -> str:
        injected: set[str] = set(getattr(self._tool, "_injected_args_keys", ()))
        if not isinstance(self._tool.args_schema, dict):
            shown: Any = self._tool.tool_call_schema
            injected |= _fields(self._tool.get_input_schema()) - _fields(shown)
        return f"{', '.join(sorted(injected))}, which a graph injects" if injected else ""

    async def call(self, arguments: dict[str, Any]) -> Any:
        return await self._tool.ainvoke(arguments)


def _fields(model: Any) -> set[str]:
    return set(getattr(model, "model_fields", ()))


def as_tool(tool: BaseTool) -> Tool:
    """A LangChain tool as one of codin; what was made of one is that one."""
    return tool.lent if isinstance(tool, _CodinTool) else LangChainTool(tool)


def tool_of(native: object) -> Tool:
    """A tool of LangChain or LangGraph as a tool of codin. Raises ConfigError."""
    if not isinstance(native, BaseTool):
        raise unknown(native, "a BaseTool")
    made = as_tool(native)
    return usable(made) if isinstance(made, LangChainTool) else made
