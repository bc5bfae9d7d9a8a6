"""A model on a local port, and the client that speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from codin.testing import ModelServer, model_server


@pytest.fixture
async def model(anyio_backend: str) -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def chat(model: ModelServer) -> AsyncIterator[ChatOpenAI]:
    # Its own HTTP client: the shared one of langchain-openai outlives the event loop of a test.
    async with httpx.AsyncClient(trust_env=False) as http:
        yield ChatOpenAI(
            model="local", base_url=model.url, api_key=SecretStr("x"), http_async_client=http, stream_usage=True
        )
