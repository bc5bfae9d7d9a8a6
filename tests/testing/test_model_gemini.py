"""The local model, as Google's own client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types
from google.genai.errors import ClientError
from pydantic import BaseModel

from codin.testing import ModelAnswer, ModelServer, model_server, scripted

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


@pytest.fixture
async def model(anyio_backend: str) -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def models(model: ModelServer) -> AsyncIterator[Any]:
    # With a transport of ours it takes httpx, and not aiohttp, for whose sessions it warns.
    args: Any = {"transport": httpx.AsyncHTTPTransport()}
    options = types.HttpOptions(base_url=model.gemini_url, async_client_args=args)
    client: Any = genai.Client(api_key="x", http_options=options)
    async with client.aio as aio:
        yield aio.models


async def test_it_answers_whole(models: Any, model: ModelServer) -> None:
    config = types.GenerateContentConfig(system_instruction="Be brief.")
    answer = await models.generate_content(model="gemini-local", contents="hello", config=config)
    assert answer.text == "You said hello"
    assert (answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count) == (20, 3)
    request = model.requests[-1]
    assert (request["model"], request["stream"]) == ("gemini-local", False)
    assert [message["role"] for message in request["messages"]] == ["system", "user"]


async def test_it_streams_word_by_word(models: Any, model: ModelServer) -> None:
    model.answer = scripted("  two  words\n")
    chunks = [chunk async for chunk in await models.generate_content_stream(model="m", contents="hello")]
    assert [chunk.text for chunk in chunks] == ["  two  ", "words\n", ""]
    assert chunks[-1].usage_metadata.candidates_token_count == 2
    assert chunks[-1].candidates[0].finish_reason == "STOP"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_it_calls_tools_and_hears_what_they_gave(models: Any, model: ModelServer, stream: bool) -> None:
    look = types.FunctionDeclaration(name="look", parameters_json_schema={"properties": {"at": {}}})
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[look])])
    asked = types.Content(role="user", parts=[types.Part(text='call look {"at": "sea"}')])
    if stream:
        coming = await models.generate_content_stream(model="m", contents=[asked], config=config)
        called = [chunk async for chunk in coming][-1]
    else:
        called = await models.generate_content(model="m", contents=[asked], config=config)
    (call,) = called.function_calls
    assert (call.name, call.args) == ("look", {"at": "sea"})
    result = types.Part(function_response=types.FunctionResponse(id=call.id, name="look", response={"sea": "grey"}))
    turns = [asked, called.candidates[0].content, types.Content(role="user", parts=[result])]
    answer = await models.generate_content(model="m", contents=turns, config=config)
    assert answer.text == 'The tool said {"sea": "grey"}'
    assert [message["role"] for message in model.requests[-1]["messages"]] == ["user", "assistant", "tool"]


async def test_data_is_json_where_a_schema_is_asked_for(models: Any, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer(data={"name": "Brest", "people": 140_000}))
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Place)
    answer = await models.generate_content(model="m", contents="hello", config=config)
    assert answer.parsed == Place(name="Brest", people=140_000)


async def test_a_status_is_the_error_of_the_client(models: Any, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer("no such key", status=400))
    with pytest.raises(ClientError, match="no such key"):
        await models.generate_content(model="m", contents="hello")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_caller_who_goes_away_is_counted(models: Any, model: ModelServer, stream: bool) -> None:
    async def call() -> None:
        if stream:
            async for _ in await models.generate_content_stream(model="m", contents="hang"):
                pass
        else:
            await models.generate_content(model="m", contents="hang")

    calling = asyncio.create_task(call())
    async with asyncio.timeout(30):
        await model.stuck.wait()
        calling.cancel()
        await model.drop.wait()
    assert model.dropped == 1
