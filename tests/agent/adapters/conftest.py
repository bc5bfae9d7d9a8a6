"""A model on a local port with a client that speaks to it, and a remote agent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from codin.client import Peer, connect
from codin.server import App
from codin.task import Limits
from codin.testing import ModelServer, model_server
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening

pytest.register_assert_rewrite(
    "tests.agent.adapters.approvals", "tests.agent.adapters.natives", "tests.agent.adapters.outward"
)


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


@pytest.fixture
def translator() -> Translator:
    return Translator()


@pytest.fixture
async def url(anyio_backend: str, translator: Translator) -> AsyncIterator[str]:
    async with listening(App(translator, limits=Limits(drain=0.1))) as served:
        yield served.url


@pytest.fixture
async def peer(url: str) -> AsyncIterator[Peer]:
    async with connect(url) as peer:
        yield peer


@pytest.fixture(params=["peer", "url"])
def target(request: pytest.FixtureRequest, peer: Peer, url: str) -> Peer | str:
    """The remote agent as tools are made of it: connected, or as a module names it that nobody runs yet."""
    return peer if request.param == "peer" else url
