"""An agent on codin that does what those of the official SDKs do: see `peers/a2a_sdk_server.py`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from codin import a2a
from codin.agent import agent
from codin.server import App
from codin.task import AgentResponse, Task
from codin.trust import BearerTokens, Caller
from tests.server.hook import patient
from tests.server.sockets import listening, open_listener

__all__ = ["TOKEN", "Twin", "twin"]

TOKEN = "a1ice-t0ken"


class Twin:
    """The agent.

    Args:
        url: where it is served.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))

    async def release(self, key: str) -> None:
        """Let a task with this key say its next piece."""
        self._gates[key].release()

    async def handle(self, task: Task) -> AgentResponse | None:
        verb, _, rest = task.text.partition(" ")
        match verb:
            case "ask":
                await task.write((await task.ask(f"Which {rest}?")).text)
            case "chunks" | "steps" | "slow":
                await self._pieces(task, verb, rest)
            case "fail":
                return AgentResponse.failed(rest)
            case "tenant":
                await task.write(task.tenant)
            case _:
                await task.write(task.text.upper())
        return None

    async def _pieces(self, task: Task, verb: str, rest: str) -> None:
        count, key, *_ = [*rest.split(), "1", ""]
        for number in range(int(count)):
            if number and verb == "steps":
                await self._gates[key].acquire()
            await task.write(f"piece {number} ")
        if verb == "slow":
            await asyncio.Event().wait()


def _more(card: a2a.AgentCard, caller: Caller) -> a2a.AgentCard:
    return card.model_copy(update={"description": "Does even more."})


@agent(id="twin", reply="message")
async def _greet(text: str) -> str:
    """Answers with a message, without a task."""
    return text.removeprefix("message ").upper()


@asynccontextmanager
async def twin(
    bindings: Sequence[str], *, grpc: bool = False, message: bool = False, tokens: bool = False
) -> AsyncGenerator[Twin]:
    """The agent, on a port of this process.

    Args:
        bindings: over HTTP.
        grpc: it is reached over gRPC, too.
        message: it answers with messages; an agent on codin has tasks, or it has none.
        tokens: callers say who they are with `TOKEN`, and there is an extended card for them.
    """
    listener = open_listener()
    served = Twin(f"http://127.0.0.1:{listener.getsockname()[1]}/")

    @agent(id="twin")
    async def does(task: Task) -> AgentResponse | None:
        """Does what the first word says."""
        return await served.handle(task)

    app = App(
        _greet if message else does,
        public_url=served.url,
        bindings=bindings,
        grpc_port=0 if grpc else None,
        push=patient(),
        authenticator=BearerTokens({TOKEN: "alice"}) if tokens else None,
        extended_card=_more if tokens else None,
    )
    async with listening(app, listener):
        yield served
