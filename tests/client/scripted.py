"""A peer that answers by script: its card by itself, and every call by the next step."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from codin import a2a
from codin.client import Backoff, Peer, connect
from tests.net.wire import Exchange, serving

RESUME = "urn:codin:a2a:resume:v1"
SWIFT = Backoff(tries=3, first=0.001, longest=0.002)
PATIENT = 5.0
BRIEF = 0.1


class Call:
    """One JSON-RPC call that came in, and ways to answer it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.headers = exchange.headers
        self.body = exchange.body
        envelope = json.loads(exchange.body)
        self.id: Any = envelope["id"]
        self.method: str = envelope["method"]
        self.params: dict[str, Any] = envelope["params"]

    def _envelope(self, **members: Any) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": self.id, **members}).encode()

    async def result(self, result: Any) -> None:
        await self.exchange.answer(self._envelope(result=result))

    async def error(self, error: a2a.A2AError, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        await self.exchange.answer(self._envelope(error=a2a.to_rpc_error(error)), status=status, headers=headers)

    async def begin(self) -> None:
        await self.exchange.begin()

    async def event(self, result: Any, number: int | None = None) -> None:
        await self.exchange.chunk(a2a.sse_event(self._envelope(result=result), number))

    async def events(self, *results: Any, start: int | None = None) -> None:
        for place, result in enumerate(results):
            await self.event(result, None if start is None else start + place)

    async def stream(self, *results: Any) -> None:
        """A whole stream, closed as it should be."""
        await self.begin()
        await self.events(*results)
        await self.end()

    async def end(self) -> None:
        await self.exchange.end()

    def cut(self) -> None:
        self.exchange.cut()


Step = Callable[[Call], Awaitable[None]]


class Script:
    """The calls a peer gets, in their order, and what it does with each."""

    def __init__(self, *steps: Step) -> None:
        self.steps = [*steps]
        self.calls: list[Call] = []

    @property
    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    async def __call__(self, exchange: Exchange) -> None:
        call = Call(exchange)
        self.calls.append(call)
        if not self.steps:
            await call.error(a2a.InternalError(f"the script has no step for {call.method}"))
            return
        await self.steps.pop(0)(call)


def card(url: str, *, resume: bool = False, **fields: Any) -> a2a.AgentCard:
    extensions = [{"uri": RESUME}] if resume else []
    return a2a.AgentCard.from_dict(
        {
            "name": "scripted",
            "description": "Does as it is told.",
            "version": "1",
            "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
            "capabilities": {"streaming": True, "extensions": extensions},
            "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain"],
            "skills": [],
            **fields,
        }
    )


@asynccontextmanager
async def talking_to(
    script: Script, *, resume: bool = False, timeout: float = PATIENT, **fields: Any
) -> AsyncGenerator[Peer]:
    """A peer that follows the script."""
    async with (
        serving(script) as url,
        connect(card(url, resume=resume, **fields), timeout=timeout, backoff=SWIFT) as peer,
    ):
        yield peer


# The protocol's objects as they travel.


def task(state: str = "WORKING", *, text: str | None = None, said: str | None = None, **fields: Any) -> dict[str, Any]:
    artifacts = [{"artifactId": "a", "parts": [{"text": text}]}] if text is not None else []
    return {"task": {"id": "t", "contextId": "c", "status": status(state, said), "artifacts": artifacts, **fields}}


def status(state: str, said: str | None = None) -> dict[str, Any]:
    if said is None:
        return {"state": f"TASK_STATE_{state}"}
    message = {"messageId": f"m-{said}", "role": "ROLE_AGENT", "parts": [{"text": said}]}
    return {"state": f"TASK_STATE_{state}", "message": message}


def now(state: str, said: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"statusUpdate": {"taskId": "t", "contextId": "c", "status": status(state, said), **fields}}


def piece(text: str, *, append: bool = True, artifact: str = "a", **fields: Any) -> dict[str, Any]:
    parts = [{"text": text}]
    update = {"taskId": "t", "contextId": "c", "artifact": {"artifactId": artifact, "parts": parts}, "append": append}
    return {"artifactUpdate": {**update, **fields}}


def message(text: str) -> dict[str, Any]:
    return {"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": text}], "contextId": "c"}}
