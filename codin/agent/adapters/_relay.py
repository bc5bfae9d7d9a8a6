"""Passing on what another agent streams, asks and answers."""

from __future__ import annotations

from codin import a2a
from codin.agent.adapters._remote import news_of, question_data
from codin.client import Event, Reply
from codin.task import AgentResponse, Task

__all__ = ["Relay", "passed_on"]


class Relay:
    """Writes what a peer streams."""

    def __init__(self, task: Task) -> None:
        self._task = task

    async def take(self, event: Event) -> None:
        """Pass one event on: text of artifacts as it comes, and what a status says while the peer is at work."""
        if event.kind == "artifact":
            await self._task.write(event.text)
        elif text := news_of(event):
            await self._task.status(text, metadata=event.value.metadata)


def passed_on(reply: Reply) -> AgentResponse:
    """A reply as one's own, once its text was written. A question has the token `{"task": …, "context": …}`."""
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
