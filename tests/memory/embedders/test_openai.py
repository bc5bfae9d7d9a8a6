"""Vectors from a server that speaks OpenAI's embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import httpx
import pytest

from codin.errors import ConfigError, EmbeddingFailed
from codin.memory import Memory, Scope
from codin.memory.embedders import OpenAIEmbedder
from codin.net import HttpxTransport
from codin.testing import model_server
from tests.memory.conftest import opened

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret"
URL = "http://model.test/v1"
Answer = Callable[[httpx.Request], httpx.Response]


def vectors(request: httpx.Request, dimensions: int = 2) -> httpx.Response:
    """Each text's vector begins with its length; they are answered from the last to the first."""
    texts: Sequence[str] = json.loads(request.content)["input"]
    data = [{"index": at, "embedding": [float(len(text)), *[1.0] * (dimensions - 1)]} for at, text in enumerate(texts)]
    return httpx.Response(200, json={"data": data[::-1]})


def embedder(answer: Answer = vectors, **options: Any) -> OpenAIEmbedder:
    options = {"dimensions": 2, "base_url": URL, "api_key": KEY, **options}
    return OpenAIEmbedder("local", transport=HttpxTransport(httpx.MockTransport(answer)), **options)


def in_turn(*answers: httpx.Response | Exception) -> tuple[Answer, list[httpx.Request]]:
    """A server that gives one answer after the other, the last for good."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        given = answers[min(len(seen), len(answers) - 1)]
        seen.append(request)
        if isinstance(given, Exception):
            raise given
        return vectors(request) if given.status_code == 200 and not given.content else given

    return answer, seen


async def test_a_memory_finds_by_the_vectors_of_a_real_server() -> None:
    async with model_server() as model:
        embed = OpenAIEmbedder("local", base_url=model.url, dimensions=256)
        records = Memory(await opened(), Scope("", "clerk", "ada"), embedder=embed).records
        await records.add("Counts coins at the bank.", id="teller")
        await records.add("Writes a poem with verses.", id="poet")
        assert [hit.record.id for hit in await records.search("verses of poems", 1, how="vectors")] == ["poet"]
        assert [hit.record.id for hit in await records.search("coin counting", 1, how="vectors")] == ["teller"]
        await embed.aclose()
        assert len(await embed.embed(["again"], purpose="query")) == 1
        await embed.aclose()


async def test_the_request_is_the_one_that_servers_know() -> None:
    answer, seen = in_turn(httpx.Response(200))
    embed = embedder(answer, query_prefix="q: ", document_prefix="d: ")
    await embed.embed(["one"], purpose="document")
    await embed.embed(["two"], purpose="query")
    assert [str(request.url) for request in seen] == [f"{URL}/embeddings"] * 2
    assert {request.headers["authorization"] for request in seen} == {f"Bearer {KEY}"}
    assert [json.loads(request.content) for request in seen] == [
        {"model": "local", "encoding_format": "float", "input": [text]} for text in ("d: one", "q: two")
    ]


async def test_texts_are_sent_in_batches_and_their_vectors_keep_the_order() -> None:
    answer, seen = in_turn(httpx.Response(200))
    found = await embedder(answer, batch=3).embed(["x" * size for size in range(1, 9)], purpose="document")
    assert [vector[0] for vector in found] == list(range(1, 9))
    assert [len(json.loads(request.content)["input"]) for request in seen] == [3, 3, 2]
    seen.clear()
    await embedder(answer).embed(["x" * 60_000] * 3, purpose="document")
    assert [len(json.loads(request.content)["input"]) for request in seen] == [1, 1, 1]
    seen.clear()
    assert await embedder(answer).embed([], purpose="document") == []
    assert not seen


async def test_an_empty_text_is_not_sent_and_has_no_direction() -> None:
    answer, seen = in_turn(httpx.Response(200))
    found = await embedder(answer).embed(["", "ab", " \n"], purpose="query")
    assert [list(vector) for vector in found] == [[0, 0], [2, 1], [0, 0]]
    assert [json.loads(request.content)["input"] for request in seen] == [["ab"]]


@pytest.mark.parametrize("passing", [429, 408, 500, 503])
async def test_what_may_pass_is_tried_again(passing: int) -> None:
    answer, seen = in_turn(httpx.Response(passing, headers={"retry-after": "0"}), httpx.Response(200))
    assert len(await embedder(answer).embed(["ab"], purpose="query")) == 1
    assert len(seen) == 2


async def test_a_server_that_hangs_up_or_is_slow_is_tried_again() -> None:
    for failure in (httpx.ConnectError("gone"), httpx.ReadError("cut"), httpx.ReadTimeout("slow")):
        answer, seen = in_turn(failure, httpx.Response(200))
        assert len(await embedder(answer).embed(["ab"], purpose="query")) == 1
        assert len(seen) == 2


async def test_after_the_retries_the_failure_says_that_it_may_pass() -> None:
    answer, seen = in_turn(httpx.Response(503, headers={"retry-after": "0"}))
    with pytest.raises(EmbeddingFailed, match="503") as caught:
        await embedder(answer, retries=3).embed(["ab"], purpose="query")
    assert caught.value.retryable
    assert len(seen) == 4


async def test_a_server_that_wants_a_long_pause_is_not_waited_for() -> None:
    answer, seen = in_turn(httpx.Response(429, headers={"retry-after": "3600"}))
    with anyio.fail_after(30), pytest.raises(EmbeddingFailed, match="429") as caught:
        await embedder(answer).embed(["ab"], purpose="query")
    assert caught.value.retryable
    assert len(seen) == 1


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    with pytest.raises(EmbeddingFailed) as caught:
        await OpenAIEmbedder("m", base_url="http://127.0.0.1:9/v1", dimensions=2, retries=0).embed(
            ["a"], purpose="query"
        )
    assert caught.value.retryable


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, text=f"no: {KEY}"),
        httpx.Response(401, text=f"Incorrect API key provided: {KEY}"),
        httpx.Response(404),
        httpx.Response(302, headers={"location": "http://elsewhere.test"}),
        httpx.Response(200, text=f"no JSON {KEY}"),
        httpx.Response(200, json={"data": []}),
        httpx.Response(200, json={"data": [{"index": 1, "embedding": [1.0, 1.0]}]}),
        httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0, 1.0]}] * 2}),
        httpx.Response(200, json={"data": [{"index": 0, "embedding": ["1", "1"]}]}),
        httpx.Response(200, content=b" " * 2_000_000),
    ],
    ids=lambda response: f"{response.status_code}-{len(response.content)}",
)
async def test_what_is_no_list_of_vectors_fails_at_once_and_shows_no_key(answer: httpx.Response) -> None:
    server, seen = in_turn(answer)
    embed = embedder(server)
    with pytest.raises(EmbeddingFailed) as caught:
        await embed.embed(["ab"], purpose="query")
    assert not caught.value.retryable
    assert len(seen) == 1
    assert KEY not in f"{caught.value} {caught.value!r} {embed!r}"


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]}',
        '{"data": [{"index": 0, "embedding": [NaN, 1.0]}]}',
        '{"data": [{"index": 0, "embedding": [1e999, 1.0]}]}',
    ],
)
async def test_a_wrong_vector_is_not_kept(body: str) -> None:
    server, _ = in_turn(httpx.Response(200, text=body))
    memory = Memory(await opened(), Scope("", "clerk", "ada"), embedder=embedder(server))
    with pytest.raises(EmbeddingFailed):
        await memory.records.add("text")
    assert (await memory.stats()).records == 0


def test_the_dimensions_are_known_before_the_first_text() -> None:
    known = OpenAIEmbedder("text-embedding-3-small", base_url=URL)
    assert (known.dimensions, known.space) == (1536, "openai/text-embedding-3-small/1536")
    assert OpenAIEmbedder("nomic-embed-text:latest", base_url=URL).dimensions == 768
    assert OpenAIEmbedder("BAAI/bge-m3", base_url=URL).space == "openai/BAAI/bge-m3/1024"
    with pytest.raises(ConfigError, match="dimensions"):
        OpenAIEmbedder("unheard-of", base_url=URL)
    with pytest.raises(ConfigError):
        OpenAIEmbedder("unheard-of", base_url=URL, dimensions=0)


async def test_shorter_vectors_of_a_known_model_are_asked_for() -> None:
    answer, seen = in_turn(httpx.Response(200))
    transport = HttpxTransport(httpx.MockTransport(answer))
    embed = OpenAIEmbedder("text-embedding-3-small", base_url=URL, dimensions=256, transport=transport)
    await embed.embed(["ab"], purpose="query")
    assert json.loads(seen[0].content)["dimensions"] == 256
    assert embed.space == "openai/text-embedding-3-small/256"


async def test_a_key_of_the_environment_goes_to_the_servers_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    answer, seen = in_turn(httpx.Response(200))
    for base_url in (None, "https://api.openai.com/v1/", URL):
        await embedder(answer, base_url=base_url, api_key=None).embed(["ab"], purpose="query")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{URL}/")
    await embedder(answer, base_url=None, api_key=None).embed(["ab"], purpose="query")
    assert [(request.url.host, request.headers.get("authorization")) for request in seen] == [
        ("api.openai.com", f"Bearer {KEY}"),
        ("api.openai.com", f"Bearer {KEY}"),
        ("model.test", None),
        ("model.test", f"Bearer {KEY}"),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "api.openai.com"},
        {"base_url": ""},
        {"base_url": f"http://user:{KEY}@model.test/v1"},
        {"base_url": f"http://model.test/v1?key={KEY}"},
        {"base_url": f"http://[{KEY}/v1"},
        {"api_key": f"{KEY}\r\nX: y"},
        {"api_key": f"{KEY}ä"},
        {"batch": 0},
        {"timeout": 0},
    ],
    ids=str,
)
def test_a_setting_that_is_none_is_refused_and_shows_no_key(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        embedder(**options)
    assert KEY not in f"{caught.value} {caught.value!r}"
