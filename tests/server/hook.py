"""A receiver of push notifications that writes down what comes and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from codin.net import AddressGuard
from codin.task import PushPolicy
from tests.server.exchange import state_of
from tests.server.sockets import listening

__all__ = ["Delivery", "Hook", "hooked", "patient"]


@dataclass(frozen=True)
class Delivery:
    """One POST."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def word(self) -> str:
        """The state that it brings, or the text of its artifact."""
        state = state_of(self.event)
        if state is not None:
            return state.removeprefix("TASK_STATE_")
        return "".join(part["text"] for part in self.event["artifactUpdate"]["artifact"]["parts"])


class Hook:
    """An ASGI application.

    Attributes:
        url: set while it listens.
        answers: what it says next, as status and headers; 200 when nothing is left.
        gate: nothing is answered while it is clear.
    """

    def __init__(self) -> None:
        self.url = ""
        self.deliveries: list[Delivery] = []
        self.answers: list[tuple[int, Mapping[str, str]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.most_under_way = 0
        self._waiting: list[Delivery] = []
        self._changed = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":  # whoever posts has died in the middle
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        status, fields = self.answers.pop(0) if self.answers else (200, dict[str, str]())
        delivery = Delivery(scope["path"], headers, body)
        self._waiting.append(delivery)
        self.most_under_way = max(self.most_under_way, self.under_way)
        async with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()
        await self.gate.wait()
        self._waiting = [each for each in self._waiting if each is not delivery]
        named = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": named})
        await send({"type": "http.response.body", "body": b""})

    @property
    def under_way(self) -> int:
        """How many are not answered."""
        return len(self._waiting)

    def forget_unanswered(self) -> None:
        """As if the receiver had never seen what it has not answered."""
        self.deliveries = [each for each in self.deliveries if not any(each is waiting for waiting in self._waiting)]

    @property
    def words(self) -> list[str]:
        return [delivery.word for delivery in self.deliveries]

    async def seen(self, count: int) -> list[Delivery]:
        """Wait for that many deliveries."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: len(self.deliveries) >= count)
        return self.deliveries

    async def state(self, state: str) -> list[Delivery]:
        """Wait for a delivery that brings a state."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: state in self.words)
        return self.deliveries


@asynccontextmanager
async def hooked() -> AsyncGenerator[Hook]:
    """A hook on a free port of this machine."""
    hook = Hook()
    async with listening(hook) as served:
        hook.url = f"{served.url}/hook"
        try:
            yield hook
        finally:
            hook.gate.set()


def patient(**settings: Any) -> PushPolicy:
    """A policy under which this machine may be posted to, and that waits for nothing long."""
    quick: dict[str, Any] = {"guard": AddressGuard(allow_loopback=True), "first_pause": 0.001, "drain": 2.0}
    return PushPolicy(**{**quick, **settings})
