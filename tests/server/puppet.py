"""An agent that does what a test says, step by step: no test has to guess how far it has come."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from codin.task import AgentResponse, Task
from codin.tool import Tool

__all__ = ["Puppet", "String"]

Step = Callable[[Task], Awaitable[Any]]


class String:
    """Pulls one task. Every pull waits until the step is done, except those that end or park the task."""

    def __init__(self) -> None:
        self._steps: asyncio.Queue[tuple[Step, asyncio.Future[Any]]] = asyncio.Queue()
        self.stopped = asyncio.Event()

    def pull(self, step: Step) -> asyncio.Future[Any]:
        """Let the agent do this next; the future is what came of it."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._steps.put_nowait((step, done))
        return done

    async def write(self, *chunks: str) -> None:
        for chunk in chunks:
            await self.pull(lambda task, chunk=chunk: task.write(chunk))

    def ask(self, question: str) -> asyncio.Future[Any]:
        return self.pull(lambda task: task.ask(question))

    def authorize(self, text: str) -> asyncio.Future[Any]:
        return self.pull(lambda task: task.authorize(text))

    def end(self, response: AgentResponse | None = None) -> None:
        """Let the agent return."""

        async def leave(task: Task) -> AgentResponse:
            return response or AgentResponse.completed()

        self.pull(leave)

    async def dance(self, task: Task) -> AgentResponse:
        """The agent's side."""
        try:
            while True:
                step, done = await self._steps.get()
                result = await step(task)
                if not done.done():
                    done.set_result(result)
                if isinstance(result, AgentResponse):
                    return result
        finally:
            self.stopped.set()


class Puppet:
    """The text of a task's first message says by which string it hangs."""

    description = "Does as it is told."
    tools: Sequence[Tool] = ()

    def __init__(self, id: str = "puppet") -> None:
        self.id = id
        self.name = id.title()
        self.strings: defaultdict[str, String] = defaultdict(String)

    async def handle(self, task: Task) -> AgentResponse:
        return await self.strings[task.text].dance(task)
