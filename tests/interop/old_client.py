"""The test's side of an official client for A2A 0.3: what it is told to do, and what it gives, as plain JSON.

Nothing of it is read by codin, so that codin's own idea of 0.3 is not what codin is measured by.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from tests.interop.line import call

__all__ = ["OldClient"]

_numbers = count(1)

Fields = dict[str, Any]


@dataclass(frozen=True)
class OldClient:
    """An official client that calls one agent.

    Args:
        port: where the client's process takes calls.
        language: of the SDK.
        url: of the agent.
        token: the bearer token it has.
        binding: the one it speaks.
    """

    port: int
    language: str
    url: str = ""
    token: str | None = None
    binding: str = "JSONRPC"

    def to(self, url: str, token: str | None = None, binding: str = "JSONRPC") -> OldClient:
        """The same client, calling another agent."""
        return replace(self, url=url, token=token, binding=binding)

    async def send(self, *parts: str | Fields, configuration: Fields | None = None, **fields: Any) -> Fields:
        """Send texts or parts, and wait for the answer; `fields` are those of the message."""
        given = {"blocking": True, **(configuration or {})}
        return await self.one("send", message=_message(parts, fields), configuration=given)

    async def stream(self, *parts: str | Fields, **fields: Any) -> AsyncGenerator[Fields]:
        async with aclosing(self.all("stream", message=_message(parts, fields))) as values:
            async for value in values:
                yield value

    async def one(self, verb: str, **params: Any) -> Fields:
        """The one thing that the client gives for what it does."""
        (value,) = [value async for value in self.all(verb, **params)]
        return value

    async def all(self, verb: str, **params: Any) -> AsyncGenerator[Fields]:
        """Everything that it gives."""
        given = {"binding": self.binding, **params}
        told = {"do": verb, "url": self.url, "token": self.token, "params": given}
        async with aclosing(call(self.port, told)) as values:
            async for value in values:
                yield value


def _message(parts: tuple[str | Fields, ...], fields: Fields) -> Fields:
    listed = [{"kind": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"kind": "message", "messageId": f"m-{next(_numbers)}", "role": "user", "parts": listed, **fields}
