"""A remote A2A agent as an agent of this server: what it streams, asks and answers is passed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from codin.agent.adapters._profile import AdapterOptions, Profile
from codin.agent.adapters._relay import Relay, passed_on
from codin.agent.adapters._remote import Remote, schemas_of
from codin.client import Peer
from codin.errors import ConfigError
from codin.task import AgentResponse, Task

__all__ = ["RemoteAgent", "adapt", "parts"]


def adapt(peer: object, **options: Unpack[AdapterOptions]) -> RemoteAgent:
    """A connected peer as an agent: `App(as_agent(peer))` inside `async with connect(...) as peer`.

    Raises:
        ConfigError: this is no peer, or it is not connected.
    """
    if not isinstance(peer, Peer):
        raise ConfigError(f"{type(peer).__name__} is no agent and no peer")
    return RemoteAgent(peer, **options)


def parts(obj: object) -> Sequence[object] | None:
    """None for a peer: that a program calls an agent does not mean that it passes everybody on to it."""
    return None if isinstance(obj, Peer) else ()


class RemoteAgent(Profile):
    """A remote agent that is handed every message, and whose answers become those of the task here.

    Its name, skills and modes are those of its card. The task there has a context of its own.
    """

    def __init__(self, peer: Peer, **options: Unpack[AdapterOptions]) -> None:
        card = peer.card
        self._remote = Remote(peer)
        schemas = schemas_of(card)
        super().__init__(
            options,
            name=card.name,
            description=card.description,
            framework="a2a",
            skills=card.skills,
            input_modes=card.default_input_modes,
            output_modes=card.default_output_modes,
            input_schema=schemas.get("inputSchema"),
            output_schema=schemas.get("outputSchema"),
        )

    async def handle(self, task: Task) -> AgentResponse:
        """Pass the message on, and pass on what comes back."""
        place: dict[str, Any] = task.resume or {}
        reply = await self._remote.call(
            task.message.parts,
            task_id=place.get("task"),
            context_id=place.get("context"),
            on_event=Relay(task).take,
        )
        return passed_on(reply)
