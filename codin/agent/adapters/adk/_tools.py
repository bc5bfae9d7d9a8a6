"""What an ADK object is made of: its agents and nodes, and their tools as tools of the agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from google.adk.agents import BaseAgent, LlmAgent
from google.adk.apps import App
from google.adk.runners import Runner
from google.adk.tools import AgentTool, BaseTool, FunctionTool
from google.adk.workflow import BaseNode, Edge, Workflow

from codin.agent.adapters._uses import used_by
from codin.agent.adapters.adk._native_tools import as_tool
from codin.tool import Tool

__all__ = ["nodes_of", "parts", "tools_of"]


def nodes_of(root: BaseNode) -> Iterator[BaseNode]:
    """The root, its sub-agents, and the nodes of its graph, at every depth."""
    seen: set[int] = set()
    waiting: list[BaseNode] = [root]
    while waiting:
        node = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, BaseAgent):
            waiting += node.sub_agents
        elif isinstance(node, Workflow) and node.graph is not None:
            waiting += node.graph.nodes


def tools_of(root: BaseNode) -> Sequence[Tool]:
    """The tools of every agent, each name once. What a toolset holds is known only while it is connected."""
    found: dict[str, Tool] = {}
    for agent in nodes_of(root):
        if not isinstance(agent, LlmAgent):
            continue
        for tool in cast("list[Any]", cast("Any", agent).tools):
            made = tool if isinstance(tool, BaseTool) else FunctionTool(tool) if callable(tool) else None
            if made is not None:
                found.setdefault(made.name, as_tool(made, agent))
    return list(found.values())


def parts(obj: object) -> Iterator[object]:
    """The agents and nodes of an ADK object, at every depth, those it has as tools, and what its functions use."""
    root: object = obj
    if isinstance(obj, Runner):
        yield obj.app
        root = obj.agent
    elif isinstance(obj, App):
        root = obj.root_agent
    if not isinstance(root, BaseNode):
        return
    for node in nodes_of(root):
        yield from [] if node is obj else [node]
        for step in _steps(node.edges if isinstance(node, Workflow) else ()):
            yield step  # the graph has copies of them
            yield from used_by(getattr(step, "_func", step))
        for tool in cast("list[Any]", cast("Any", node).tools) if isinstance(node, LlmAgent) else []:
            yield tool.agent if isinstance(tool, AgentTool) else None
            yield from used_by(tool.func if isinstance(tool, FunctionTool) else tool)


def _steps(edges: Any) -> Iterator[Any]:
    """What stands in the edges of a workflow: in tuples, in lists, by routes, or in an `Edge`."""
    if isinstance(edges, Edge):
        yield from (edges.from_node, edges.to_node)
    elif isinstance(edges, (tuple, list, Mapping)):
        inner = cast("Mapping[Any, Any]", edges).values() if isinstance(edges, Mapping) else cast("list[Any]", edges)
        for edge in inner:
            yield from _steps(edge)
    else:
        yield edges
