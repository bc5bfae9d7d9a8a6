"""A model of ADK that speaks to the local server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from google.adk.integrations.openai import OpenAILlm
from openai import AsyncOpenAI

from codin.testing import ModelServer


@pytest.fixture
async def llm(model: ModelServer) -> AsyncIterator[OpenAILlm]:
    # A client of its own: the one that ADK makes outlives the event loop of a test.
    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0) as client:
        yield OpenAILlm(model="local", client=client)
