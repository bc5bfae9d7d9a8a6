"""A remote agent that streams, asks, refuses and hangs, for the tests of the way out."""

from __future__ import annotations

import asyncio

from codin.task import AgentResponse, Task

__all__ = ["Translator"]


class Translator:
    """Says everything in French."""

    id = name = "translator"
    description = "Says it in French."
    tools = ()

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.stuck = asyncio.Event()
        self.stopped = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        self.heard.append(task.text)
        if task.text == "hang":
            await self._hang()
        if task.text == "refuse":
            return AgentResponse.rejected("not today")
        if task.text == "which":
            tone = await task.ask("Formal or familiar?", data=["formal", "familiar"])
            return AgentResponse.completed(f"{tone.text}: bonjour")
        if task.text == "letter":
            tone = await task.ask("Formal or familiar?")
            return AgentResponse.completed(f"{tone.text}, {await task.ask('How many lines?', schema=int)} lines")
        if task.text == "secret":
            return AgentResponse.completed(f"{len((await task.authorize('Which key?')).text)} letters")
        if task.text == "data":
            return AgentResponse.completed(data={"fr": "bonjour"})
        await task.status("looking it up")
        for word in ("bon", "jour ", task.text):
            await task.write(word)
        return AgentResponse.completed()

    async def _hang(self) -> None:
        self.stuck.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
