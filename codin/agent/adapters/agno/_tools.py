"""The tools of an agent, as tools of codin; and the agents within it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from agno.agent import Agent
from agno.team import Team
from agno.tools import Toolkit
from agno.tools.function import Function

from codin.agent.adapters._uses import used_by
from codin.agent.adapters.agno._native_tools import as_tool
from codin.tool import Tool

__all__ = ["parts", "tools_of"]


def tools_of(agent: Any) -> Sequence[Tool]:
    """The tools that an agent or a team is given. Those that are made anew for each run are not known here."""
    return [as_tool(function) for function in _functions(_listed(agent.tools))]


def parts(obj: object) -> Iterator[object]:
    """The members of a team, and what an agent or a team uses in its tools."""
    if not isinstance(obj, (Agent, Team)):
        return
    known: Any = obj
    if isinstance(obj, Team):
        yield from _listed(known.members)
    for tool in _listed(known.tools):
        for function in {**tool.functions, **tool.async_functions}.values() if isinstance(tool, Toolkit) else [tool]:
            yield from used_by(getattr(function, "entrypoint", function))


def _listed(given: Any) -> Sequence[Any]:
    """What is given as a list. A function that makes one for each run is not called."""
    return cast("list[Any]", given) if isinstance(given, list) else []


def _functions(tools: Sequence[Any]) -> Iterator[Function]:
    for tool in tools:
        if isinstance(tool, Toolkit):
            yield from _functions(list({**tool.functions, **tool.async_functions}.values()))
        elif isinstance(tool, Function):
            yield tool
        elif callable(tool):
            yield cast("Any", Function).from_callable(tool)
