"""The tools of a graph's tool nodes, as tools of the agent; and what is in its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel

from codin.agent.adapters._uses import used_by
from codin.agent.adapters.langchain._native_tools import as_tool
from codin.agent.adapters.langgraph._shape import Graph
from codin.tool import Tool

__all__ = ["parts", "tools_of"]


def tools_of(graph: Graph) -> Sequence[Tool]:
    """The tools of every tool node, each once."""
    found: dict[str, Tool] = {}
    for node in graph.nodes.values():
        found |= {name: as_tool(tool) for name, tool in _tools_by_name(node.bound).items()}
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
