"""A remote A2A agent as an agent of this server: what it streams, asks and answers is passed on."""

from __future__ import annotations

from typing import Any, Unpack

from codin import a2a
from codin.agent.adapters._profile import AdapterOptions, Profile
from codin.agent.adapters._remote import Remote, news_of, question_data, schemas_of
from codin.client import Event, Peer, Reply
from codin.errors import ConfigError
from codin.task import AgentResponse, Task

__all__ = ["RemoteAgent", "adapt"]


def adapt(peer: object, **options: Unpack[AdapterOptions]) -> RemoteAgent:
    """A connected peer as an agent: `App(as_agent(peer))` inside `async with connect(...) as peer`.

    Raises:
        ConfigError: this is no peer, or it is not connected.
    """
    if not isinstance(peer, Peer):
        raise ConfigError(f"{type(peer).__name__} is no agent and no peer")
    return RemoteAgent(peer, **options)


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
            on_event=_Relay(task).take,
        )
        return _response(reply)


class _Relay:
    """Writes what a peer streams."""

    def __init__(self, task: Task) -> None:
        self._task = task

    async def take(self, event: Event) -> None:
        """Pass one event on: text of artifacts as it comes, and what a status says while the peer is at work."""
        if event.kind == "artifact":
            await self._task.write(event.text)
        elif text := news_of(event):
            await self._task.status(text, metadata=event.value.metadata)


def _response(reply: Reply) -> AgentResponse:
    state = reply.state
    if state is None:
        return AgentResponse.completed(reply.text, data=reply.data)
    if state.interrupted:
        token = {"task": reply.task_id, "context": reply.context_id}
        outcome = "auth_required" if state is a2a.TaskState.AUTH_REQUIRED else "input_required"
        return AgentResponse(outcome, reply.text, question_data(reply), token=token)
    if state is a2a.TaskState.REJECTED:
        return AgentResponse.rejected(reply.text or "The agent refused.")
    if state is not a2a.TaskState.COMPLETED:
        return AgentResponse.failed(reply.text or f"The agent ended as {state.name.lower()}.")
    return AgentResponse.completed(artifacts=_without_text(reply))


def _without_text(reply: Reply) -> list[a2a.Artifact]:
    """The artifacts with data and files; the text has been written while it came."""
    kept: list[a2a.Artifact] = []
    for artifact in reply.task.artifacts if reply.task is not None else ():
        parts = [part for part in artifact.parts if part.kind != "text"]
        if parts:
            kept.append(artifact.model_copy(update={"parts": parts}))
    return kept
