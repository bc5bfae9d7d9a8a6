"""The agent that is checked, and its server with something else than it should say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codin.agent import Task, agent
from codin.cli.check._bench import Wishes
from codin.cli.check._catalog import chosen
from codin.cli.check._examine import examine
from codin.cli.check._report import Report
from codin.cli.check._wire import Caller
from codin.net import MemoryTransport

__all__ = ["URL", "Exchange", "Spoiled", "checked", "clerk"]

URL = "http://agent"
_LASTS = 1.5  # seconds; a busy machine asks for several streams of it meanwhile


@agent
async def clerk(task: Task) -> AsyncIterator[str]:
    """Does what the first word says, and repeats the rest."""
    word, _, rest = task.text.partition(" ")
    if word == "ask":
        yield (await task.ask(rest)).text
    elif word == "work":
        yield "begun "
        with suppress(TimeoutError):
            async with asyncio.timeout(_LASTS):
                await asyncio.Event().wait()
        yield "done"
    else:
        yield task.text.upper()


async def checked(app: ASGIApp, *only: str, caller: Caller | None = None, second: Caller | None = None) -> Report:
    """What the checks say of an application; all of them, or those that answer to the words."""
    transport = MemoryTransport({"agent": app})
    wishes = Wishes(asks="ask which?", lasts="work", caller=caller or Caller(), second=second, timeout=5.0)
    try:
        return await examine(URL, chosen(only, ()), wishes, transport)
    finally:
        await transport.aclose()


@dataclass
class Exchange:
    """One request and its answer, to be changed in between.

    Attributes:
        method: of JSON-RPC, or "" for other requests.
        call: the JSON of the request.
        document: the JSON of the answer; None where it is a stream or no JSON.
        events: of a stream, their JSON.
    """

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes
    status: int = 0
    told: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def call(self) -> Any:
        try:
            return json.loads(self.content)
        except ValueError:
            return None

    @call.setter
    def call(self, value: Any) -> None:
        self.content = json.dumps(value).encode()

    @property
    def method(self) -> str:
        call = self.call
        return call.get("method", "") if isinstance(call, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    @property
    def params(self) -> Any:
        return self.call["params"]

    @property
    def document(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @document.setter
    def document(self, value: Any) -> None:
        self.body = json.dumps(value).encode()

    @property
    def events(self) -> list[Any]:
        return [json.loads(line[6:]) for line in self.body.decode().splitlines() if line.startswith("data: ")]

    @events.setter
    def events(self, value: list[Any]) -> None:
        self.body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in value)


Change = Callable[[Exchange], None]


class Spoiled:
    """An application whose requests and answers are changed on their way.

    Args:
        before: changes a request; one that sets a status answers it.
        after: changes an answer, which is read to its end first.
    """

    def __init__(self, app: ASGIApp, *, before: Change | None = None, after: Change | None = None) -> None:
        self._app = app
        self._before = before
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode()))
        content = (await receive())["body"]
        exchange = Exchange(scope["method"], scope["path"], query, headers, content)
        if self._before is not None:
            self._before(exchange)
        if not exchange.status:
            await self._run(exchange, scope, receive)
        if self._after is not None:
            self._after(exchange)
        told = [(name.encode(), value.encode()) for name, value in exchange.told.items() if name != "content-length"]
        await send({"type": "http.response.start", "status": exchange.status, "headers": told})
        await send({"type": "http.response.body", "body": exchange.body})

    async def _run(self, exchange: Exchange, scope: Scope, receive: Receive) -> None:
        content: list[bytes] = [exchange.content]

        async def receiving() -> Message:
            return {"type": "http.request", "body": content.pop()} if content else await receive()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.told = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            else:
                exchange.body += message.get("body", b"")

        changed = {
            **scope,
            "path": exchange.path,
            "raw_path": exchange.path.encode(),
            "query_string": urlencode(exchange.query).encode(),
            "headers": [
                (name.encode(), value.encode()) for name, value in exchange.headers.items() if name != "content-length"
            ],
        }
        await self._app(changed, receiving, sending)
