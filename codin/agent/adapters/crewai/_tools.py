"""The tools of CrewAI agents, as tools of the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from crewai.tools import BaseTool

from codin.tool import ToolSpec

__all__ = ["CrewTool", "tools_of"]


class CrewTool:
    """A CrewAI tool by the names codin gives things."""

    def __init__(self, tool: BaseTool) -> None:
        self._tool = tool

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self._tool.name

    @property
    def spec(self) -> ToolSpec:
        """What the model knows of it."""
        return ToolSpec(self._tool.description, self._tool.args_schema.model_json_schema())

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside the crew."""
        return await asyncio.to_thread(self._tool.run, *args, **kwargs)


def tools_of(tools: Iterable[object]) -> Sequence[CrewTool]:
    """Each tool once."""
    return list({tool.name: CrewTool(tool) for tool in tools if isinstance(tool, BaseTool)}.values())
