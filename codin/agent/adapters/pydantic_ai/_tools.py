"""The function tools of an agent, as tools of codin."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from pydantic_ai import FunctionToolset, Tool
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.toolsets import AbstractToolset

from codin.errors import ConfigError
from codin.tool import ToolSpec

__all__ = ["FunctionTool", "tools_of"]


class FunctionTool:
    """A tool by the names codin gives things."""

    def __init__(self, tool: Tool[Any]) -> None:
        self._tool = tool
        self.name: str = tool.name
        self.spec: ToolSpec = ToolSpec(tool.description or "", tool.function_schema.json_schema)

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside a run.

        Raises:
            ConfigError: it takes the context of a run.
        """
        if self._tool.takes_ctx:
            raise ConfigError(f"the tool {self.name!r} takes the context of a run", hint="run its agent")
        function: Any = self._tool.function
        result = function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def tools_of(agent: AbstractAgent[Any, Any]) -> Sequence[FunctionTool]:
    """The tools that are functions, each once. What a toolset asks others for is known only in a run."""
    found: dict[str, FunctionTool] = {}

    def visit(toolset: AbstractToolset[Any]) -> None:
        if isinstance(toolset, FunctionToolset):
            found.update({name: FunctionTool(tool) for name, tool in toolset.tools.items()})

    for toolset in agent.toolsets:
        toolset.apply(visit)
    return list(found.values())
