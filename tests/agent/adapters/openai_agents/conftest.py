"""A model of the OpenAI Agents SDK that speaks to the local server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from agents import OpenAIChatCompletionsModel
from codin.testing import ModelServer


@pytest.fixture
async def chat(model: ModelServer) -> AsyncIterator[OpenAIChatCompletionsModel]:
    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0, timeout=60) as client:
        yield OpenAIChatCompletionsModel("local", openai_client=client)
