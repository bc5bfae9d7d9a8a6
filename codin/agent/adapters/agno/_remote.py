"""A remote A2A agent as a tool of Agno."""

from __future__ import annotations

from typing import Any

from agno.tools.function import Function

from codin.agent.adapters._remote import Remote, result_of
from codin.client import Peer

__all__ = ["tool"]


def tool(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> Function:
    """A remote agent as a tool: `Agent(tools=[tool("http://…")])`, to be run with `arun`.

    What the peer asks, the caller of the running codin task is asked.

    Args:
        peer: a URL, a name, or a connected peer.
        name, description: instead of the card's, which a URL or name with both is not asked for.
    """
    remote = Remote(peer, name=name, description=description)

    # A tool that yields could show what the peer streams, but Agno lets it run on when the run is canceled.
    async def ask_peer(**arguments: Any) -> str:
        return result_of(await remote.invoke(arguments))

    return Function(
        name=remote.name,
        description=remote.description,
        parameters=dict(remote.input_schema),
        entrypoint=ask_peer,
        skip_entrypoint_processing=True,
    )
