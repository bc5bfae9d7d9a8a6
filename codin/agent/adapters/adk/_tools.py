"""What an ADK object is made of: its agents and nodes, and their tools as tools of the agent."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from google.adk.agents import BaseAgent, LlmAgent
from google.adk.agents.invocation_context import InvocationContext
from google.adk.apps import App
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools import AgentTool, BaseTool, FunctionTool, ToolContext
from google.adk.workflow import BaseNode, Edge, Workflow
from google.genai import types

from codin.agent.adapters._questions import object_of
from codin.agent.adapters._uses import used_by
from codin.tool import ToolSpec

__all__ = ["AdkTool", "nodes_of", "parts", "tools_of"]


class AdkTool:
    """An ADK tool by the names codin gives things."""

    def __init__(self, tool: BaseTool, agent: BaseAgent) -> None:
        self._tool = tool
        self._agent = agent

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self._tool.name

    @property
    def spec(self) -> ToolSpec:
        """What the model knows of it."""
        declaration = self._tool._get_declaration()  # pyright: ignore[reportPrivateUsage] # tools override it
        return ToolSpec(self._tool.description, {"type": "object", "properties": {}, **_schema_of(declaration)})

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside a run, with its arguments by name, in a session of its own."""
        service = InMemorySessionService()
        session = await service.create_session(app_name=self._agent.name, user_id="tool")
        around = InvocationContext(
            session_service=service, session=session, agent=self._agent, invocation_id=str(uuid.uuid4())
        )
        context = ToolContext(around, function_call_id=str(uuid.uuid4()))
        return await self._tool.run_async(args=object_of(args[0]) if args else kwargs, tool_context=context)


def _schema_of(declaration: types.FunctionDeclaration | None) -> Mapping[str, Any]:
    if declaration is None:
        return {}
    if declaration.parameters_json_schema is not None:
        return object_of(declaration.parameters_json_schema)
    if declaration.parameters is None:
        return {}
    return declaration.parameters.json_schema.model_dump(mode="json", exclude_none=True, by_alias=True)


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


def tools_of(root: BaseNode) -> Sequence[AdkTool]:
    """The tools of every agent, each name once. What a toolset holds is known only while it is connected."""
    found: dict[str, AdkTool] = {}
    for agent in nodes_of(root):
        if not isinstance(agent, LlmAgent):
            continue
        for tool in cast("list[Any]", cast("Any", agent).tools):
            made = tool if isinstance(tool, BaseTool) else FunctionTool(tool) if callable(tool) else None
            if made is not None:
                found.setdefault(made.name, AdkTool(made, agent))
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
