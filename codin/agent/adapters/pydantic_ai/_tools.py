"""The function tools of an agent, as tools of codin; and what it uses in them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic_ai import FunctionToolset, Tool
from pydantic_ai.agent import AbstractAgent, WrapperAgent
from pydantic_ai.toolsets import AbstractToolset

from codin.agent.adapters._uses import used_by
from codin.errors import ConfigError
from codin.tool import ToolSpec

__all__ = ["FunctionTool", "parts", "tools_of"]


class FunctionTool:
    """A tool by the names codin gives things."""

    def __init__(self, tool: Tool[Any]) -> None:
        self._tool = tool
        self.function: Any = tool.function
        self.name: str = tool.name
        self.spec: ToolSpec = ToolSpec(tool.description or "", tool.function_schema.json_schema)

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside a run.

        Raises:
            ConfigError: it takes the context of a run.
        """
        if self._tool.takes_ctx:
            raise ConfigError(f"the tool {self.name!r} takes the context of a run", hint="run its agent")
        result = self.function(*args, **kwargs)
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


def parts(agent: object) -> Iterator[object]:
    """What an agent wraps, and what it uses in its tools and output functions: other agents are run there."""
    if not isinstance(agent, AbstractAgent):
        return
    known = cast("AbstractAgent[Any, Any]", agent)
    if isinstance(known, WrapperAgent):
        yield known.wrapped
    for tool in tools_of(known):
        yield from used_by(tool.function)
    given: Any = known.output_type
    for output in cast("Sequence[Any]", given) if isinstance(given, (list, tuple)) else [given]:
        yield from used_by(getattr(output, "output_function", getattr(output, "output", output)))
