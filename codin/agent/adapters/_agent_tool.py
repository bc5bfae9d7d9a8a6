"""A remote agent as a tool of codin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from codin import a2a
from codin.agent.adapters._remote import Remote, news_of, result_of, schemas_of
from codin.client import Event, Peer, Reply
from codin.errors import ToolFailed, ToolRefused, TransportError
from codin.task import current_task
from codin.tool import ToolSpec

__all__ = ["AgentTool", "agent_tool", "ended", "tell"]

_SAID = 2000  # letters of what a peer says of a failure


def agent_tool(
    peer: Peer | str,
    *,
    name: str | None = None,
    description: str | None = None,
    scopes: Collection[str] = (),
    timeout: float | None = None,
) -> AgentTool:
    """A remote agent as a tool: `@agent(tools=[agent_tool("http://…")])`.

    In a task it is called by `task.call`: with the task's limits, deadline and guards, and canceled with it. What it
    asks, the caller of the task is asked; what it says of its work is said there.

    Args:
        peer: a URL, a name, or a connected peer.
        name, description: instead of the card's, which a URL or name with both is not asked for.
        scopes: what a caller needs for it.
        timeout: seconds for one call; the executor's by default.

    Raises:
        ConfigError: the peer is not connected, or its card could not be had.
    """
    return AgentTool(Remote(peer, name=name, description=description), scopes, timeout)


class AgentTool:
    """A remote agent as a tool. It takes what the agent's card declares, else a text `request`."""

    def __init__(self, remote: Remote, scopes: Collection[str], timeout: float | None) -> None:
        self._remote = remote
        declared: Mapping[str, Any] = schemas_of(remote.peer.card) if isinstance(remote.peer, Peer) else {}
        self._gives_data = declared.get("outputSchema") is not None
        self.name: str = remote.name
        self.spec: ToolSpec = ToolSpec(
            remote.description,
            remote.input_schema,
            declared.get("outputSchema"),
            tags=["agent"],
            scopes=scopes,
            timeout=timeout,
        )

    async def invoke(self, /, **arguments: Any) -> Any:
        """Call the agent: its data, where its card declares some, else its text.

        Raises:
            ToolRefused: it would not, or may not be called from here.
            ToolFailed: it could not, or asks where nobody can be asked.
        """
        try:
            reply = await self._remote.invoke(arguments, on_event=tell)
        except TransportError as error:
            raise ToolFailed(f"{self.name!r} failed: {error.message}", tool=self.name, retryable=True) from None
        ended(reply, self.name)
        return reply.data if self._gives_data and reply.data is not None else result_of(reply)


async def tell(event: Event) -> None:
    """Say in the running task what a peer says of its work."""
    task = current_task()
    if task is not None and (news := news_of(event)):
        await task.status(news)


def ended(reply: Reply, name: str, *, hint: str = "say it when you call it again") -> None:
    """Raise the error that stands for a reply which is no result.

    Args:
        hint: what to do about a question.
    """
    state = reply.state
    if state is None or state is a2a.TaskState.COMPLETED:
        return
    said = reply.text[:_SAID]
    if state is a2a.TaskState.REJECTED:
        raise ToolRefused(f"{name!r} refused: {said}", tool=name)
    if state.interrupted:
        raise ToolFailed(f"{name!r} asks, and nobody can be asked here: {said}", tool=name, hint=hint)
    raise ToolFailed(f"{name!r} failed: {said or state.name.lower()}", tool=name)
