"""The test's side of an official client: what it is told to do, and what it gives, as codin's types.

The client itself is another process, in the language of its SDK: `peers/a2a_sdk_client.py`, `peers/js/client.mjs`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from codin import a2a

__all__ = ["OfficialClient", "Refused"]

_numbers = count(1)


class Refused(Exception):
    """The official client raised.

    Attributes:
        name: of the error's class, which both SDKs call the same.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


@dataclass(frozen=True)
class OfficialClient:
    """An official client that calls one agent.

    Args:
        port: where the client's process takes calls.
        url: of the agent.
        token: the bearer token it has.
        binding: the one it speaks; None is JSON-RPC. Only the Python client has gRPC.
    """

    port: int
    url: str = ""
    token: str | None = None
    binding: str | None = None

    def to(self, url: str, token: str | None = None) -> OfficialClient:
        """The same client, calling another agent."""
        return replace(self, url=url, token=token)

    async def card(self) -> a2a.AgentCard:
        return a2a.AgentCard.model_validate(await self._one("card"))

    async def send(
        self, text: str, configuration: Mapping[str, Any] | None = None, **fields: Any
    ) -> a2a.Task | a2a.Message:
        """Send a text; `fields` are those of the message."""
        params = {**_message(text, fields), "configuration": configuration or {}}
        return a2a.SendMessageResponse.model_validate(await self._one("send", **params)).value

    async def stream(self, text: str, **fields: Any) -> AsyncGenerator[a2a.StreamResponse]:
        async for value in self._values("stream", _message(text, fields)):
            yield a2a.StreamResponse.model_validate(value)

    async def subscribe(self, task_id: str) -> AsyncGenerator[a2a.StreamResponse]:
        async for value in self._values("subscribe", {"id": task_id}):
            yield a2a.StreamResponse.model_validate(value)

    async def get(self, task_id: str, **params: Any) -> a2a.Task:
        return a2a.Task.model_validate(await self._one("get", id=task_id, **params))

    async def list(self, **params: Any) -> a2a.ListTasksResponse:
        return a2a.ListTasksResponse.model_validate(await self._one("list", **params))

    async def cancel(self, task_id: str) -> a2a.Task:
        return a2a.Task.model_validate(await self._one("cancel", id=task_id))

    async def create_push(self, task_id: str, url: str, **fields: Any) -> a2a.TaskPushNotificationConfig:
        made = await self._one("create_push", taskId=task_id, url=url, **fields)
        return a2a.TaskPushNotificationConfig.model_validate(made)

    async def get_push(self, task_id: str, config_id: str) -> a2a.TaskPushNotificationConfig:
        found = await self._one("get_push", taskId=task_id, id=config_id)
        return a2a.TaskPushNotificationConfig.model_validate(found)

    async def list_push(self, task_id: str) -> list[a2a.TaskPushNotificationConfig]:
        page = await self._one("list_push", taskId=task_id)
        return a2a.ListTaskPushNotificationConfigsResponse.model_validate(page).configs

    async def delete_push(self, task_id: str, config_id: str) -> None:
        assert [value async for value in self._values("delete_push", {"taskId": task_id, "id": config_id})] == []

    async def _one(self, verb: str, **params: Any) -> dict[str, Any]:
        (value,) = [value async for value in self._values(verb, params)]
        return value

    async def _values(self, verb: str, params: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        call = {"do": verb, "url": self.url, "token": self.token, "params": params, "binding": self.binding}
        async with aclosing(self._answers(call)) as answers:
            async for answer in answers:
                if "error" in answer:
                    raise Refused(**answer["error"])
                if "end" in answer:
                    return
                yield answer["value"]
        raise AssertionError("the client has hung up; its words are above")

    async def _answers(self, call: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        try:
            writer.write(json.dumps(call).encode() + b"\n")
            while line := await reader.readline():
                yield json.loads(line)
        finally:
            writer.close()


def _message(text: str, fields: dict[str, Any]) -> dict[str, Any]:
    message_id = f"message-{next(_numbers)}"
    return {"message": {"messageId": message_id, "role": "ROLE_USER", "parts": [{"text": text}], **fields}}
