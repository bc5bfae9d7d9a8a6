"""The function tools of an agent, as tools of codin; and the agents within it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from agents import Agent, FunctionTool, Tool
from codin.agent.adapters._uses import used_by
from codin.agent.adapters.openai_agents._native_tools import as_tool, within
from codin.tool import Tool as CodinTool

__all__ = ["parts", "tools_of"]


def tools_of(agent: Agent[Any]) -> Sequence[CodinTool]:
    """The tools that are functions. Hosted tools, and those of MCP servers, are known to others."""
    return [as_tool(tool) for tool in agent.tools if isinstance(tool, FunctionTool)]


def parts(agent: object) -> Iterator[object]:
    """What an agent hands off to, has as a tool, or runs in its tools and guardrails."""
    if not isinstance(agent, Agent):
        return
    known = cast("Any", agent)
    for other in known.handoffs:
        reference = getattr(other, "_agent_ref", None)  # a `Handoff` tells only the name
        yield other if reference is None else reference()
    for tool in known.tools:
        yield from _within(tool)
    for guardrail in (*known.input_guardrails, *known.output_guardrails):
        yield from used_by(guardrail.guardrail_function)


def _within(tool: Tool) -> Iterator[object]:
    if not isinstance(tool, FunctionTool):
        return
    yield getattr(tool, "_agent_instance", None)  # of `agent.as_tool()`
    yield from used_by(within(tool).get("the_func"))
