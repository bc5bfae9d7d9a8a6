"""Talking with an agent of this process, or with a peer, in the same way."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import anyio

from codin import a2a
from codin.agent._protocol import Agent
from codin.agent.adapters._questions import object_of
from codin.agent.adapters._remote import Remote, news_of
from codin.client import Event, Reply
from codin.task import StatusEntry, Subscription, TaskManager
from codin.trust import ANONYMOUS

__all__ = ["Distant", "Local", "Party", "Tell"]

_GRACE = 5.0  # seconds to cancel a task that nobody waits for any more

Tell = Callable[[str], Awaitable[None]]

_TEXT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"request": {"type": "string", "description": "What you want of the agent, in your own words."}},
    "required": ["request"],
}


class Party(Protocol):
    """Whom one can talk with."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def input_schema(self) -> Mapping[str, Any]: ...

    def content(self, arguments: Mapping[str, Any]) -> Sequence[a2a.Part]:
        """The message that arguments make."""
        ...

    async def send(self, parts: Sequence[a2a.Part], context: str, task: str | None, text: Tell, news: Tell) -> Reply:
        """Say something, to a task or to begin one, and wait until it rests. Being canceled cancels it."""
        ...

    async def cancel(self, reply: Reply) -> None:
        """Give up what asks."""
        ...


class Distant:
    """A remote agent."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.name: str = remote.name
        self.description: str = remote.description
        self.input_schema: Mapping[str, Any] = remote.input_schema

    def content(self, arguments: Mapping[str, Any]) -> Sequence[a2a.Part]:
        return _parts(arguments, data=self._remote.takes_data)

    async def send(self, parts: Sequence[a2a.Part], context: str, task: str | None, text: Tell, news: Tell) -> Reply:
        async def tell(event: Event) -> None:
            if event.kind == "artifact" and event.text:
                await text(event.text)
            elif said := news_of(event):
                await news(said)

        return await self._remote.call(list(parts), task_id=task, context_id=context, on_event=tell)

    async def cancel(self, reply: Reply) -> None:
        if reply.task_id is not None:
            await self._remote.cancel(reply.task_id)


class Local:
    """An agent of this process, with a task manager of its own."""

    def __init__(self, agent: Agent) -> None:
        schema = object_of(getattr(agent, "input_schema", None))
        self._takes_data = schema.get("type") == "object" and bool(schema.get("properties"))
        self.name: str = re.sub(r"\W+", "_", agent.id, flags=re.ASCII).strip("_") or "agent"
        self.description: str = agent.description
        self.input_schema: Mapping[str, Any] = schema if self._takes_data else _TEXT_SCHEMA
        self._manager = TaskManager(agent.handle, agent=agent.id)

    def content(self, arguments: Mapping[str, Any]) -> Sequence[a2a.Part]:
        return _parts(arguments, data=self._takes_data)

    async def send(self, parts: Sequence[a2a.Part], context: str, task: str | None, text: Tell, news: Tell) -> Reply:
        message = a2a.Message(message_id=str(uuid.uuid4()), role=a2a.Role.USER, parts=list(parts))
        message.context_id, message.task_id = context, task
        turn = await self._manager.submit(ANONYMOUS, a2a.SendMessageRequest(message=message), streaming=True)
        try:
            await _tell(await turn.stream(), text, news)
            return Reply(a2a.Task.from_json(await turn.outcome()))
        except asyncio.CancelledError:
            # MCP cancels every further wait, too
            with anyio.CancelScope(shield=True), anyio.move_on_after(_GRACE), suppress(a2a.TaskNotCancelable):
                await self.cancel(Reply(a2a.Task.from_json(await turn.accepted())))
            raise

    async def cancel(self, reply: Reply) -> None:
        await self._manager.cancel(ANONYMOUS, a2a.CancelTaskRequest(id=reply.task_id or ""))


def _parts(arguments: Mapping[str, Any], *, data: bool) -> Sequence[a2a.Part]:
    return [a2a.Part(data=dict(arguments)) if data else a2a.Part(text=str(arguments.get("request", "")))]


async def _tell(subscription: Subscription, text: Tell, news: Tell) -> None:
    """Pass on what is streamed, until the turn rests."""
    reader = subscription.reader
    while not reader.ended:
        await reader.wait()
        for entry in reader.take():
            event = a2a.StreamResponse.from_json(entry.body)
            update, status = event.artifact_update, event.status_update
            if update is not None and not update.last_chunk:
                await text(a2a.text_of(update.artifact.parts))
            elif status is not None and status.status.state is a2a.TaskState.WORKING and status.status.message:
                await news(a2a.text_of(status.status.message.parts))
            if isinstance(entry, StatusEntry) and entry.state is a2a.TaskState.AUTH_REQUIRED:
                return  # a stream stays open while a credential is awaited
