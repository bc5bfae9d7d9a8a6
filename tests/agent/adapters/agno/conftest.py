"""A model of Agno that speaks to the local server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from agno.models.openai.like import OpenAILike

from codin.testing import ModelServer


@pytest.fixture
async def chat(model: ModelServer) -> AsyncIterator[OpenAILike]:
    # A client of its own: the shared one of Agno outlives the event loop of a test.
    async with httpx.AsyncClient(trust_env=False) as http:
        yield OpenAILike(id="local", base_url=model.url, api_key="x", http_client=http, max_retries=0)
