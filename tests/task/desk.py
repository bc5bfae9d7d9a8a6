"""A desk in front of one task manager: sends, answers and reads in one line each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from codin import a2a
from codin.task import AgentResponse, Entry, Owner, Task, TaskManager, TaskStore, Turn
from codin.trust import Caller

__all__ = ["ALICE", "Desk", "entries_of", "forever", "message_of", "state_of", "text_of"]

ALICE = Caller("alice")

Json = dict[str, Any]


class Desk:
    """Everything a test does with a manager."""

    def __init__(
        self, handler: Callable[[Task], Awaitable[AgentResponse]], store: TaskStore | None = None, **options: Any
    ):
        async def handle(task: Task) -> AgentResponse:
            return await handler(task)

        self.manager = TaskManager(handle, store, **options)
        self._before = asyncio.all_tasks()

    async def submit(
        self, text: str = "hello", *, task_id: str | None = None, context_id: str | None = None, **options: Any
    ) -> Turn:
        caller = options.pop("caller", ALICE)
        parts = options.pop("parts", None) or [a2a.Part(text=text)]
        message = a2a.Message(
            message_id="m", role=a2a.Role.USER, parts=parts, task_id=task_id, context_id=context_id,
            metadata=options.pop("metadata", None),
        )  # fmt: skip
        return await self.manager.submit(caller, a2a.SendMessageRequest(message=message), **options)

    async def send(self, text: str = "hello", **options: Any) -> Json:
        """The task at the end of the turn."""
        return json.loads(await (await self.submit(text, **options)).outcome())

    async def crash(self) -> None:
        """The event loop of the process is closed: everything that was begun since the desk was there is canceled."""
        mine = asyncio.all_tasks() - self._before
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    async def get(self, task_id: str) -> Json:
        return json.loads(await self.manager.get(ALICE, a2a.GetTaskRequest(id=task_id)))

    async def cancel(self, task_id: str) -> Json:
        return json.loads(await self.manager.cancel(ALICE, a2a.CancelTaskRequest(id=task_id)))

    async def list(self, **filters: Any) -> a2a.ListTasksResponse:
        return a2a.ListTasksResponse.from_json(await self.manager.list(ALICE, a2a.ListTasksRequest(**filters)))

    async def log(self, task_id: str) -> Sequence[Entry]:
        return await self.manager.store.read(Owner("", self.manager.agent, ALICE.id), task_id)

    async def until(self, task_id: str, *states: str) -> None:
        """Wait until a status with one of these states has come."""
        async with self.watch(task_id) as events:
            async for event in events:
                if (
                    event.get("statusUpdate", {}).get("status", {}).get("state", "").removeprefix("TASK_STATE_")
                    in states
                ):
                    return
        raise AssertionError(f"task {task_id} ended without {states}")

    @asynccontextmanager
    async def watch(self, task_id: str, after: int = 0) -> AsyncGenerator[AsyncIterator[Json]]:
        """The public entries after a number, as they come."""
        asked = a2a.SubscribeToTaskRequest(id=task_id)
        subscription = await self.manager.subscribe(ALICE, asked, after)

        async def events() -> AsyncGenerator[Json]:
            while not subscription.reader.ended:
                await subscription.reader.wait()
                for entry in subscription.reader.take():
                    yield json.loads(entry.body)

        with subscription.reader:
            stream = events()
            try:
                yield stream
            finally:
                await stream.aclose()


def state_of(task: Json) -> str:
    """The state in a word: COMPLETED."""
    return task["status"]["state"].removeprefix("TASK_STATE_")


def message_of(task: Json) -> str:
    """What the status says."""
    return "".join(part.get("text", "") for part in task["status"].get("message", {}).get("parts", ()))


def text_of(task: Json) -> str:
    """The text of all artifacts."""
    return "".join(part.get("text", "") for artifact in task.get("artifacts", ()) for part in artifact["parts"])


def entries_of(log: Sequence[Entry]) -> list[str]:
    """The log in words: kinds, and states."""
    words: list[str] = []
    for entry in log:
        status = json.loads(entry.body).get("statusUpdate") if entry.kind == "status" else None
        words.append(state_of(status) if status else entry.kind)
    return words


async def forever(_: Task | None = None) -> AgentResponse:
    """A handler that never answers."""
    await asyncio.Event().wait()
    raise AssertionError
