"""The official SDK's client under the common loop. It has one transport, httpx."""

# The SDK is in the peer's environment, which the type checker does not see.
# pyright: basic, reportMissingImports=false
from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import Message, Part, Role, SendMessageRequest, StreamResponse

from benchmarks.rig import calls, clients


@asynccontextmanager
async def opened(url: str, streaming: bool, transport: str) -> AsyncGenerator[clients.Client]:
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        client = ClientFactory(ClientConfig(httpx_client=http, streaming=streaming)).create(card)

        async def ask(text: str) -> str:
            answer = ""
            async for event in client.send_message(_request(text)):
                answer += _text(event)
            return answer

        async def follow(text: str) -> AsyncIterator[str]:
            async for event in client.send_message(_request(text)):
                yield _text(event)

        yield clients.Client(ask, follow)


def _request(text: str) -> SendMessageRequest:
    message = Message(message_id=calls.fresh_id(), role=Role.ROLE_USER, parts=[Part(text=text)])
    return SendMessageRequest(message=message)


def _text(event: StreamResponse) -> str:
    if event.HasField("artifact_update"):
        return event.artifact_update.artifact.parts[0].text
    if event.HasField("task") and event.task.artifacts:
        return event.task.artifacts[0].parts[0].text
    return ""


if __name__ == "__main__":
    clients.main(opened)
