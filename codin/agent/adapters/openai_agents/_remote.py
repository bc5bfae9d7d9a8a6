"""A remote agent as a tool of the OpenAI Agents SDK."""

from __future__ import annotations

from typing import Any

from agents.tool_context import ToolContext

from agents import FunctionTool
from codin.agent.adapters._questions import object_of, parse_json
from codin.agent.adapters._remote import Remote, result_of
from codin.client import Peer

__all__ = ["tool"]


def tool(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> FunctionTool:
    """A remote agent as a tool: `Agent(name, tools=[tool("http://…")])`.

    In an agent that codin serves, what the peer asks goes to the caller, and the answer to the same task of the peer.
    Elsewhere the question is the result of the tool.

    Args:
        peer: a URL, a name, or a connected peer.
        name: of the tool; the card's by default.
        description: for the model; what the card says by default. A URL or name with both is not asked for its card.
    """
    remote = Remote(peer, name=name, description=description)

    async def call(context: ToolContext[Any], arguments: str) -> str:
        return result_of(await remote.invoke(object_of(parse_json(arguments))))

    return FunctionTool(
        name=remote.name,
        description=remote.description,
        params_json_schema=dict(remote.input_schema),
        on_invoke_tool=call,
        strict_json_schema=False,  # the schema is the peer's, and need not be of the strict kind
    )
