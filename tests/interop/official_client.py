"""The test's side of an official client: what it is told to do, and what it gives, as codin's types.

The client itself is another process, in the language of its SDK: `peers/a2a_sdk_client.py`, `peers/js/client.mjs`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from codin import a2a
from tests.interop.line import call

__all__ = ["OfficialClient"]

_numbers = count(1)


@dataclass(frozen=True)
class OfficialClient:
    """An official client that calls one agent.

    Args:
        port: where the client's process takes calls.
        url: of the agent.
        token: the bearer token it has.
        binding: the one it speaks; None is JSON-RPC.
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
        async with aclosing(self.values("stream", _message(text, fields))) as values:
            async for value in values:
                yield a2a.StreamResponse.model_validate(value)

    async def subscribe(self, task_id: str) -> AsyncGenerator[a2a.StreamResponse]:
        async with aclosing(self.values("subscribe", {"id": task_id})) as values:
            async for value in values:
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
        assert [value async for value in self.values("delete_push", {"taskId": task_id, "id": config_id})] == []

    async def _one(self, verb: str, **params: Any) -> dict[str, Any]:
        (value,) = [value async for value in self.values(verb, params)]
        return value

    async def values(self, verb: str, params: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Everything that the client gives, as ProtoJSON."""
        told = {"do": verb, "url": self.url, "token": self.token, "params": params, "binding": self.binding}
        async with aclosing(call(self.port, told)) as values:
            async for value in values:
                yield value


def _message(text: str, fields: dict[str, Any]) -> dict[str, Any]:
    message_id = f"message-{next(_numbers)}"
    return {"message": {"messageId": message_id, "role": "ROLE_USER", "parts": [{"text": text}], **fields}}
