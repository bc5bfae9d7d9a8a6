"""A desk where callers meet one agent: sends messages through a real task manager, and keeps what was streamed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast

from codin import a2a
from codin.agent import Agent
from codin.task import USAGE_KEY, Limits, StatusEntry, TaskManager, TaskStore
from codin.trust import ANONYMOUS, Caller

__all__ = ["Desk", "Turn"]

_PATIENCE = 120.0  # seconds after which something hangs, and is not only slow


@dataclass
class Turn:
    """One message and what came of it: the task at the end, every event in between, and the bill before it."""

    task: a2a.Task
    events: list[a2a.StreamResponse] = field(default_factory=list[a2a.StreamResponse])
    before: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def state(self) -> str:
        return self.task.status.state.name

    @property
    def text(self) -> str:
        """The newest text artifact."""
        texts = [artifact for artifact in self.task.artifacts if artifact.artifact_id.startswith("text-")]
        return a2a.text_of(texts[-1].parts) if texts else ""

    @property
    def chunks(self) -> list[str]:
        """The pieces of text as they were streamed, without the update that closes the artifact."""
        updates = [event.artifact_update for event in self.events if event.artifact_update is not None]
        return [
            a2a.text_of(update.artifact.parts)
            for update in updates
            if update.artifact.artifact_id.startswith("text-") and not update.last_chunk
        ]

    @property
    def data(self) -> Any:
        """The newest data artifact."""
        found = [part.data for artifact in self.task.artifacts for part in artifact.parts if part.kind == "data"]
        return found[-1] if found else None

    @property
    def said(self) -> str:
        """The text of the final status: a question, or a reason."""
        message = self.task.status.message
        return a2a.text_of(message.parts) if message else ""

    @property
    def questions(self) -> list[Mapping[str, Any]]:
        message = self.task.status.message
        data = next((part.data for part in message.parts if part.kind == "data"), None) if message else None
        return data["questions"] if data else []

    @property
    def news(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Text and metadata of the WORKING updates that say something."""
        updates = [event.status_update for event in self.events if event.status_update is not None]
        return [
            (a2a.text_of(update.status.message.parts), update.metadata or {})
            for update in updates
            if update.status.message is not None and update.status.state is a2a.TaskState.WORKING
        ]

    @property
    def usage(self) -> Mapping[str, int]:
        """What the turn has cost: by how much the task's bill has grown."""
        bill: Mapping[str, int] = (self.task_metadata or {}).get(USAGE_KEY, {})
        grown = {name: count - self.before.get(name, 0) for name, count in bill.items()}
        return {name: count for name, count in grown.items() if count}

    @property
    def task_metadata(self) -> Mapping[str, Any] | None:
        updates = [event.status_update for event in self.events if event.status_update is not None]
        return updates[-1].metadata if updates else None


class Desk:
    """One process that serves an agent."""

    def __init__(self, agent: Agent, store: TaskStore | None = None, *, limits: Limits | None = None) -> None:
        self.manager = TaskManager(agent.handle, store, agent=agent.id, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def send(
        self,
        content: Any,
        *,
        context: str | None = None,
        task: a2a.Task | None = None,
        caller: Caller = ANONYMOUS,
    ) -> Turn:
        """Send and wait until the turn rests."""
        turn = await self.manager.submit(caller, _request(content, context, task), streaming=True)
        subscription = await turn.stream()
        events: list[a2a.StreamResponse] = []
        async with asyncio.timeout(_PATIENCE):
            while not subscription.reader.ended:
                await subscription.reader.wait()
                entries = subscription.reader.take()
                events += [a2a.StreamResponse.from_json(entry.body) for entry in entries]
                last = entries[-1] if entries else None
                if isinstance(last, StatusEntry) and last.state is a2a.TaskState.AUTH_REQUIRED:
                    break
            assert subscription.first is not None
            begun: Any = a2a.Task.from_json(subscription.first[1]).metadata or {}
            return Turn(a2a.Task.from_json(await turn.outcome()), events, begun.get(USAGE_KEY, {}))

    async def begin(self, content: Any, *, context: str | None = None) -> a2a.Task:
        """Send and do not wait."""
        turn = await self.manager.submit(ANONYMOUS, _request(content, context, None), streaming=True)
        return a2a.Task.from_json(await turn.accepted())

    async def cancel(self, task: a2a.Task) -> a2a.Task:
        async with asyncio.timeout(_PATIENCE):
            return a2a.Task.from_json(await self.manager.cancel(ANONYMOUS, a2a.CancelTaskRequest(id=task.id)))

    async def get(self, task: a2a.Task) -> a2a.Task:
        return a2a.Task.from_json(await self.manager.get(ANONYMOUS, a2a.GetTaskRequest(id=task.id)))

    async def close(self) -> None:
        await self.manager.drain()


def _request(content: Any, context: str | None, task: a2a.Task | None) -> a2a.SendMessageRequest:
    message = a2a.Message(message_id=str(uuid.uuid4()), role=a2a.Role.USER, parts=_parts(content))
    message.context_id = context
    message.task_id = task.id if task else None
    return a2a.SendMessageRequest(message=message)


def _parts(content: Any) -> list[a2a.Part]:
    if isinstance(content, str):
        return [a2a.Part(text=content)]
    if isinstance(content, a2a.Part):
        return [content]
    items = cast("list[Any]", content) if isinstance(content, list) else []
    parts = [item for item in items if isinstance(item, a2a.Part)]
    return parts or [a2a.Part(data=content)]
