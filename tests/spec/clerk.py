"""The agents that the rules are tested with."""

from __future__ import annotations

from typing import Any

from codin.agent import agent
from codin.task import AgentResponse, Task
from tests.server.puppet import Puppet

__all__ = ["Clerk", "parrot"]


class Clerk(Puppet):
    """Does what the first word says; any other text is the string that it hangs by."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("clerk")
        self.input_modes = ["text/plain", "application/json"]
        self.heard: list[Task] = []
        vars(self).update(attributes)

    async def handle(self, task: Task) -> AgentResponse:
        self.heard.append(task)
        verb, _, words = task.text.partition(" ")
        match verb:
            case "say":
                return AgentResponse.completed(words)
            case "ask":
                return AgentResponse.completed((await task.ask(words)).text)
            case "authorize":
                await task.authorize(words)
                return AgentResponse.completed("thank you")
            case "fail":
                return AgentResponse.failed(words)
            case "reject":
                return AgentResponse.rejected(words)
            case "raise":
                raise RuntimeError(words)
            case _:
                return await super().handle(task)


@agent(reply="message")
async def parrot(text: str) -> str:
    """Says it again, and keeps nothing."""
    if text == "raise":
        raise RuntimeError("the secret detail")
    return text
