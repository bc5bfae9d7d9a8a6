"""Agents that do what a function says, and the servers they are on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from codin.server import App
from codin.task import AgentResponse, Task
from codin.tool import Tool
from tests.server.sockets import listening, open_listener

__all__ = ["Act", "Actor", "on_sockets"]

Act = Callable[[Task], Awaitable["AgentResponse | str"]]


class Actor:
    """An agent whose `handle` is a function."""

    description = "Acts."
    tools: Sequence[Tool] = ()

    def __init__(self, id: str, act: Act, **attributes: Any) -> None:
        self.id = id
        self.name = id
        self.act = act
        vars(self).update(attributes)

    async def handle(self, task: Task) -> AgentResponse:
        outcome = await self.act(task)
        return AgentResponse.completed(outcome) if isinstance(outcome, str) else outcome


@asynccontextmanager
async def on_sockets(acts: Mapping[str, Act], **options: Any) -> AsyncGenerator[dict[str, str]]:
    """Serve each act as an agent on a server of its own. Gives their URLs, which the acts may read while they run."""
    urls: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for name, act in acts.items():
            listener = open_listener()
            urls[name] = f"http://127.0.0.1:{listener.getsockname()[1]}"
            await stack.enter_async_context(listening(App(Actor(name, act), **options), listener))
        yield urls
