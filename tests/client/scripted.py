"""A peer that answers by script: its card by itself, and every call by the next step. It speaks either binding."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote

from codin import a2a
from codin.client import Backoff, Peer, connect
from tests.net.wire import Exchange, serving

spoken = "JSONRPC"
"""The binding that the cards here name; a test that runs for both sets it."""

RESUME = "urn:codin:a2a:resume:v1"
SWIFT = Backoff(tries=3, first=0.001, longest=0.002)
PATIENT = 5.0
BRIEF = 0.1


BINDINGS = ("JSONRPC", "HTTP+JSON")
_TYPED: Mapping[str, Callable[[str], Any]] = {
    "historyLength": int,
    "pageSize": int,
    "includeArtifacts": {"true": True, "false": False}.__getitem__,
}
_VERBS = {":cancel": "CancelTask", ":subscribe": "SubscribeToTask"}


class Call:
    """One call that came in, and ways to answer it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.headers = exchange.headers
        self.body = exchange.body
        self.binding = "JSONRPC" if exchange.path == "/" or not _is_resource(exchange) else "HTTP+JSON"
        self.id: Any = None
        self.method: str
        self.params: dict[str, Any]
        if self.binding == "JSONRPC":
            envelope = json.loads(exchange.body)
            self.id, self.method, self.params = envelope["id"], envelope["method"], envelope["params"]
        else:
            self.method, self.params = _asked(exchange)

    def framed(self, result: bytes) -> bytes:
        """The JSON of a result as it travels."""
        return result if self.binding == "HTTP+JSON" else b'{"jsonrpc":"2.0","id":1,"result":%s}' % result

    def _envelope(self, result: Any) -> bytes:
        return self.framed(json.dumps(result).encode())

    def _problem(self, error: a2a.A2AError) -> bytes:
        if self.binding == "HTTP+JSON":
            return a2a.status_bytes(error)
        return a2a.error_bytes(json.dumps(self.id).encode(), error)

    async def result(self, result: Any) -> None:
        await self.exchange.answer(self._envelope(result))

    async def error(
        self, error: a2a.A2AError, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        usual = 200 if self.binding == "JSONRPC" else error.http_status
        await self.exchange.answer(self._problem(error), status=status or usual, headers=headers)

    async def fail(self, error: a2a.A2AError) -> None:
        """An error in the middle of a stream."""
        await self.exchange.chunk(b"event: error\n" + a2a.sse_event(self._problem(error)))

    async def begin(self) -> None:
        await self.exchange.begin()

    async def event(self, result: Any, number: int | None = None) -> None:
        await self.exchange.chunk(a2a.sse_event(self._envelope(result), number))

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


def _is_resource(exchange: Exchange) -> bool:
    path = exchange.path.partition("?")[0]
    return path.startswith(("/message:", "/tasks", "/acme/"))


def _asked(exchange: Exchange) -> tuple[str, dict[str, Any]]:
    """The operation that a request for a resource stands for, and the request object."""
    path, _, query = exchange.path.partition("?")
    params = {name: _TYPED.get(name, str)(value) for name, value in parse_qsl(query, strict_parsing=bool(query))}
    params |= json.loads(exchange.body or b"{}")
    if path.startswith("/acme/"):
        path, params["tenant"] = path.removeprefix("/acme"), "acme"
    if path.startswith("/message:"):
        return {"send": "SendMessage", "stream": "SendStreamingMessage"}[path.partition(":")[2]], params
    if path == "/tasks":
        return "ListTasks", params
    name = path.removeprefix("/tasks/")
    suffix = next((suffix for suffix in _VERBS if name.endswith(suffix)), "")
    return _VERBS.get(suffix, "GetTask"), {**params, "id": unquote(name.removesuffix(suffix))}


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
            "supportedInterfaces": [{"url": url, "protocolBinding": spoken, "protocolVersion": "1.0"}],
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
