"""A model of Pydantic AI that speaks to the local server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from codin.testing import ModelServer


@pytest.fixture
async def chat(model: ModelServer) -> AsyncIterator[OpenAIChatModel]:
    # A client of its own: the shared one outlives the event loop of a test.
    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0, timeout=60) as client:
        yield OpenAIChatModel("local", provider=OpenAIProvider(openai_client=client))
