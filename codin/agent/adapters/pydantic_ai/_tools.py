"""The function tools of an agent, as tools of codin; and what it uses in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic_ai import FunctionToolset, Tool
from pydantic_ai.agent import AbstractAgent, WrapperAgent
from pydantic_ai.toolsets import AbstractToolset

from codin.agent.adapters._uses import used_by
from codin.agent.adapters.pydantic_ai._native_tools import as_tool
from codin.tool import Tool as CodinTool

__all__ = ["parts", "tools_of"]


def tools_of(agent: AbstractAgent[Any, Any]) -> Sequence[CodinTool]:
    """The tools that are functions, each once. What a toolset asks others for is known only in a run."""
    return [as_tool(tool) for tool in _functions(agent)]


def _functions(agent: AbstractAgent[Any, Any]) -> Sequence[Tool[Any]]:
    found: dict[str, Tool[Any]] = {}

    def visit(toolset: AbstractToolset[Any]) -> None:
        if isinstance(toolset, FunctionToolset):
            found.update(toolset.tools)

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
    for tool in _functions(known):
        yield from used_by(tool.function)
    given: Any = known.output_type
    for output in cast("Sequence[Any]", given) if isinstance(given, (list, tuple)) else [given]:
        yield from used_by(getattr(output, "output_function", getattr(output, "output", output)))
