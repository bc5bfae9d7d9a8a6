"""An agent behind a task manager in memory, spoken to with parts."""

from __future__ import annotations

import uuid
from typing import Any

from codin import a2a
from codin.agent import Agent
from codin.task import ArtifactEntry, ChunkEntry, StatusEntry, TaskManager, Turn
from codin.trust import ANONYMOUS


def text(value: str) -> a2a.Part:
    return a2a.Part(text=value)


def data(value: Any) -> a2a.Part:
    return a2a.Part(data=value)


def file(value: bytes, media_type: str | None = None) -> a2a.Part:
    return a2a.Part(raw=value, media_type=media_type)


class Driver:
    """Sends to one agent, and reads what its tasks became."""

    def __init__(self, agent: Agent) -> None:
        self.manager = TaskManager(agent.handle)

    async def begin(self, *parts: a2a.Part, task_id: str | None = None) -> Turn:
        """Take a message in, and do not wait for what becomes of it."""
        message = a2a.Message(message_id=str(uuid.uuid4()), role=a2a.Role.USER, parts=list(parts), task_id=task_id)
        return await self.manager.submit(ANONYMOUS, a2a.SendMessageRequest(message=message))

    async def send(self, *parts: a2a.Part, task_id: str | None = None) -> a2a.Task:
        return a2a.Task.from_json(await (await self.begin(*parts, task_id=task_id)).outcome())

    async def cancel(self, turn: Turn) -> a2a.Task:
        return a2a.Task.from_json(await self.manager.cancel(ANONYMOUS, a2a.CancelTaskRequest(id=turn.log.task_id)))


def events(turn: Turn) -> list[str]:
    """The public entries after the input: a chunk as its text, an artifact as its id, a status as its state."""
    shown: list[str] = []
    for entry in turn.log.entries:
        if isinstance(entry, ChunkEntry):
            shown.append(entry.text)
        elif isinstance(entry, ArtifactEntry):
            shown.append(f"<{entry.artifact_id}>")
        elif isinstance(entry, StatusEntry):
            shown.append(entry.state.name)
    return shown


def answer(task: a2a.Task) -> Any:
    """What a completed task answers: text, or the value of its one data part."""
    assert task.status.state is a2a.TaskState.COMPLETED, reason(task)
    if not task.artifacts:
        return None
    (artifact,) = task.artifacts
    (part,) = artifact.parts
    return part.text if part.text is not None else part.data


def reason(task: a2a.Task) -> str:
    """The text of the status."""
    return a2a.text_of(task.status.message.parts) if task.status.message else ""
