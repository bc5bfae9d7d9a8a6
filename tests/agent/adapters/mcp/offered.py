"""A program that offers agents as MCP tools: `python offered.py [port]`."""

from __future__ import annotations

import sys

from codin.agent.adapters.mcp import expose
from codin.task import AgentResponse, Task

__all__ = ["Waiter", "brew"]


async def brew(tea: str, cups: int = 1) -> dict[str, object]:
    """Brew tea."""
    return {"tea": tea, "cups": cups}


class Waiter:
    """Asks what there is to ask."""

    id = "tea-waiter"
    name = "Tea waiter"
    description = "Takes your order."
    tools = ()

    def __init__(self) -> None:
        self.contexts: list[str] = []

    async def handle(self, task: Task) -> AgentResponse:
        self.contexts.append(task.context_id)
        if task.text == "size":
            return AgentResponse.completed(f"{await task.ask('How many cups?', schema=int)} cups")
        if task.text == "key":
            await task.authorize("Your key, please.")
        if task.text == "refuse":
            return AgentResponse.rejected("We are closed.")
        if task.text == "break":
            raise RuntimeError("hunter2")
        if task.text == "file":
            await task.artifact(b"\x89PNG", media_type="image/png", name="tea.png")
            await task.artifact(b"bill", media_type="text/csv", filename="bill.csv")
            return AgentResponse.completed("here")
        if task.text == "tea":
            answer = await task.ask("Green or black?")
            return AgentResponse.completed(f"One {answer.text} tea.")
        await task.status("walking")
        for word in ("one ", "moment"):
            await task.write(word)
        return AgentResponse.completed()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        expose(brew, Waiter(), port=int(sys.argv[1])).run("streamable-http")
    else:
        expose(brew, Waiter()).run()
