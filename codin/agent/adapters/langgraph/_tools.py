"""The tools of a graph's tool nodes, as tools of the agent; and what is in its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel
from pydantic import BaseModel

from codin.agent.adapters._questions import object_of
from codin.agent.adapters._uses import used_by
from codin.agent.adapters.langgraph._shape import Graph
from codin.tool import ToolSpec

__all__ = ["GraphTool", "parts", "tools_of"]


class GraphTool:
    """A LangChain tool by the names codin gives things."""

    def __init__(self, tool: BaseTool) -> None:
        self._tool = tool

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self._tool.name

    @property
    def spec(self) -> ToolSpec:
        """What the model knows of it; arguments that the graph injects are not in it."""
        schema: Any = self._tool.tool_call_schema
        fields = object_of(schema) or cast("type[BaseModel]", schema).model_json_schema()
        return ToolSpec(self._tool.description, fields)

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside the graph: with its arguments by name, or with one value."""
        return await self._tool.ainvoke(args[0] if args else kwargs)


def tools_of(graph: Graph) -> Sequence[GraphTool]:
    """The tools of every tool node, each once."""
    found: dict[str, GraphTool] = {}
    for node in graph.nodes.values():
        found |= {name: GraphTool(tool) for name, tool in _tools_by_name(node.bound).items()}
    return list(found.values())


def parts(graph: object) -> Iterator[object]:
    """The graphs and chains that are its nodes, or that the functions of its nodes and tools run."""
    if not isinstance(graph, Pregel):
        return
    for node in cast("dict[str, Any]", graph.nodes).values():
        yield node.bound
        yield from node.subgraphs
        for step in (node.bound, *_tools_by_name(node.bound).values()):
            for name in ("func", "afunc", "coroutine"):
                yield from used_by(getattr(step, name, None))


def _tools_by_name(step: object) -> dict[str, BaseTool]:
    return cast("dict[str, BaseTool]", getattr(step, "tools_by_name", {}))
