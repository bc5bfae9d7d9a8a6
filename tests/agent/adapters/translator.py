"""A remote agent that streams, asks, refuses and hangs, for the tests of the way out."""

from __future__ import annotations

import asyncio
from typing import Any

from codin.task import AgentResponse, Task

__all__ = ["Translator"]


class Translator:
    """Says everything in French."""

    id = name = "translator"
    description = "Says it in French."
    tools = ()

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.stuck = asyncio.Event()
        self.stopped = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        self.heard.append(task.text)
        if task.text == "refuse":
            return AgentResponse.rejected("not today")
        if task.text == "which":
            tone = await task.ask("Formal or familiar?", data=["formal", "familiar"])
            return AgentResponse.completed(f"{tone.text}: bonjour")
        if task.text == "hang":
            self.stuck.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        await task.status("looking it up")
        await task.write("bon")
        await task.write("jour")
        return AgentResponse.completed()
