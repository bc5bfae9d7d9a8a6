"""Vectors for the search by meaning, from a server that speaks OpenAI's embeddings."""

from __future__ import annotations

import httpx
import pytest

from codin.errors import BadResponse, ConfigError, ConnectError
from codin.mesh.registry import Embeddings
from codin.net import HttpxTransport
from codin.testing import model_server
from tests.mesh.registry.desk import Agent, opened

pytestmark = pytest.mark.anyio


async def test_agents_are_found_by_the_vectors_of_a_real_server() -> None:
    async with model_server() as model, opened(embed=Embeddings(model.url, "local")) as (_, registry):
        await Agent("teller", description="Counts coins at the bank.").register(registry)
        await Agent("poet", description="Writes a poem with verses.").register(registry)
        assert [found.id for found in await registry.find(near="verses, a poem of five", limit=1)] == ["poet"]
        assert [found.id for found in await registry.find(near="coin counting for banks", limit=1)] == ["teller"]


async def test_many_texts_are_asked_for_in_several_requests_and_keep_their_order() -> None:
    async with model_server() as model:
        embed = Embeddings(model.url, "local")
        texts = [f"text {number}" for number in range(600)]
        vectors = await embed(texts)
        assert len(vectors) == 600
        assert [vectors[at] for at in (0, 300, 599)] == [(await embed([texts[at]]))[0] for at in (0, 300, 599)]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="secret inside"),
        httpx.Response(200, text="no JSON"),
        httpx.Response(200, json={"data": [{"index": 4, "embedding": [1.0]}]}),
        httpx.Response(200, json={"data": [{"index": 0, "embedding": ["x"]}]}),
    ],
)
async def test_what_is_no_list_of_vectors_is_an_error_that_shows_no_key(answer: httpx.Response) -> None:
    transport = HttpxTransport(httpx.MockTransport(lambda request: answer))
    embed = Embeddings("http://model.test/v1", "local", key="very-secret", transport=transport)
    with pytest.raises(BadResponse) as caught:
        await embed(["a"])
    assert "very-secret" not in f"{caught.value!r}{embed!r}"
    assert "secret inside" not in str(caught.value)


async def test_the_key_is_sent_as_a_bearer_token() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0]}]})

    embed = Embeddings("http://model.test/v1/", "m", key="k", transport=HttpxTransport(httpx.MockTransport(answer)))
    assert await embed(["a"]) == [[1.0]]
    assert seen == ["Bearer k"]


async def test_a_server_that_is_not_there_and_a_url_that_is_none() -> None:
    with pytest.raises(ConnectError):
        await Embeddings("http://127.0.0.1:9/v1", "m")(["a"])
    with pytest.raises(ConfigError, match="URL"):
        Embeddings("api.openai.com", "m")
