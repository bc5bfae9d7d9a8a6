"""A model of ADK that speaks to the local server, and sessions that outlive a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from google.adk.integrations.openai import OpenAILlm
from google.adk.sessions import BaseSessionService, DatabaseSessionService
from openai import AsyncOpenAI

from codin.testing import ModelServer
from tests.agent.adapters.adk.durable import SERVICES, open_sessions


@pytest.fixture
async def llm(model: ModelServer) -> AsyncIterator[OpenAILlm]:
    # A client of its own: the one that ADK makes outlives the event loop of a test.
    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0, timeout=60) as client:
        yield OpenAILlm(model="local", client=client)


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def sessions(anyio_backend: str, service: str, tmp_path: Path) -> AsyncIterator[Callable[[], BaseSessionService]]:
    """Opens the same sessions anew, as a process does that is started again."""
    opened: list[BaseSessionService] = []

    def again() -> BaseSessionService:
        opened.append(open_sessions(service, tmp_path))
        return opened[-1]

    yield again
    for each in opened:
        if isinstance(each, DatabaseSessionService):
            await each.close()
