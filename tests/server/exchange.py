"""One request to an ASGI application, in memory, seen and disturbed event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from codin import a2a
from tests.server.rpc import HEADERS

__all__ = ["Exchange", "call_body", "eventually", "state_of"]

Event = tuple[int, dict[str, Any]]


def call_body(method: str, params: Any = None) -> bytes:
    """The body of a JSON-RPC call."""
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}).encode()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that has no event."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Exchange:
    """A request that is being answered.

    Args:
        takes: how many body messages the client takes before it stops reading; None reads everything.
    """

    def __init__(
        self,
        app: ASGIApp,
        method: str,
        params: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        takes: int | None = None,
    ) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.events: list[Event] = []
        self.comments = 0
        self.complete = False
        self._body = call_body(method, params)
        self._decoder = a2a.SSEDecoder()
        self._takes = takes
        self._asked = False
        self._gone = asyncio.Event()
        self._changed = asyncio.Condition()
        fields = {**HEADERS, **(headers or {})}
        self._scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "root_path": "",
            "query_string": b"",
            "scheme": "http",
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        }
        self.running = asyncio.ensure_future(app(self._scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if self._takes is not None:
            if self._takes <= 0:
                await self._gone.wait()
                return
            self._takes -= 1
        if self._gone.is_set():
            return
        async with self._changed:
            self._take(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            self._changed.notify_all()

    def _take(self, body: bytes) -> None:
        self.body += body
        self.comments += body.count(b": keep-alive\n\n")
        if self.headers["content-type"].startswith("text/event-stream"):
            for event in self._decoder.feed(body):
                self.events.append((int(event.id or 0), json.loads(event.data)["result"]))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that a body message can bring about."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(condition)

    async def seen(self, count: int) -> list[Event]:
        """Wait for that many events."""
        await self.until(lambda: len(self.events) >= count)
        return self.events

    async def state(self, state: str) -> None:
        """Wait for an event that brings a state."""
        await self.until(lambda: any(state_of(event) == f"TASK_STATE_{state}" for _, event in self.events))

    async def end(self) -> list[Event]:
        """Wait for the end of the answer."""
        async with asyncio.timeout(60):
            await self.running
        assert self.complete
        return self.events

    async def json(self) -> dict[str, Any]:
        """The body of a complete answer."""
        await self.end()
        return json.loads(self.body)

    def disconnect(self) -> None:
        """The client goes away."""
        self._gone.set()

    @property
    def task_id(self) -> str:
        """The id of the task that the first event shows."""
        return self.events[0][1]["task"]["id"]

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.events]


def state_of(event: Mapping[str, Any]) -> str | None:
    """The state an event brings; None for an artifact."""
    holder = event.get("task") or event.get("statusUpdate")
    return holder["status"]["state"] if holder else None
