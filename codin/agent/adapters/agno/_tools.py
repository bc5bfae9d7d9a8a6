"""The tools of an agent, as tools of codin; and the agents within it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from agno.agent import Agent
from agno.team import Team
from agno.tools import Toolkit
from agno.tools.function import Function, FunctionCall

from codin.agent.adapters._questions import object_of
from codin.agent.adapters._uses import used_by
from codin.tool import ToolSpec

__all__ = ["AgnoTool", "parts", "tools_of"]


class AgnoTool:
    """A function of Agno by the names codin gives things."""

    def __init__(self, function: Function) -> None:
        self._function = function

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self._function.name

    @property
    def spec(self) -> ToolSpec:
        """What the model knows of it."""
        return ToolSpec(self._function.description or "", object_of(self._function.parameters))

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside a run: with its arguments by name, or with one dict of them."""
        arguments = object_of(args[0]) if args else kwargs
        done = await FunctionCall(function=self._function, arguments=arguments).aexecute()
        if done.status != "success":
            raise RuntimeError(f"the tool {self.name!r} failed")
        return done.result


def tools_of(agent: Any) -> Sequence[AgnoTool]:
    """The tools that an agent or a team is given. Those that are made anew for each run are not known here."""
    return [AgnoTool(function) for function in _functions(_listed(agent.tools))]


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
            own = tool.model_copy(deep=True)
            own.process_entrypoint()
            yield own
        elif callable(tool):
            yield cast("Any", Function).from_callable(tool)
