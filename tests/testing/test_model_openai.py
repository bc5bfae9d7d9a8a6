"""The local model, as OpenAI's own client and LangChain's see it: Chat Completions, Responses, embeddings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import AsyncOpenAI, BadRequestError
from pydantic import BaseModel, SecretStr

from codin.testing import ModelAnswer, ModelServer, model_server, scripted

pytestmark = pytest.mark.anyio

TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {}}}}
CHAT_TOOL: Any = {"type": "function", "function": {key: TOOL[key] for key in ("name", "parameters")}}
HELLO: Any = [{"role": "user", "content": "hello"}]


class Place(BaseModel):
    name: str
    people: int


@pytest.fixture
async def model(anyio_backend: str) -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def client(model: ModelServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0) as client:
        yield client


# -- chat completions --------------------------------------------------------------------------------------------------


async def test_chat_answers_whole(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="local", messages=HELLO)
    assert answer.choices[0].message.content == "You said hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 3, 13)


async def test_chat_streams_word_by_word_and_ends_with_the_usage(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted("  two  words\n")
    stream = await client.chat.completions.create(
        model="local", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert pieces == ["", "  two  ", "words\n", None]
    assert chunks[-1].usage is not None
    assert (model.spent["output_tokens"], chunks[-1].usage.completion_tokens) == (2, 2)


async def test_chat_calls_tools_with_ids_that_no_other_call_has(client: AsyncOpenAI) -> None:
    asked: Any = [{"role": "user", "content": 'call look {"at": "sea"}'}]
    answers = [await client.chat.completions.create(model="local", messages=asked, tools=[CHAT_TOOL]) for _ in range(2)]
    calls = [call for answer in answers for call in answer.choices[0].message.tool_calls or []]
    assert [call.to_dict()["function"] for call in calls] == [{"name": "look", "arguments": '{"at": "sea"}'}] * 2
    assert calls[0].id != calls[1].id
    assert answers[0].choices[0].finish_reason == "tool_calls"


async def test_chat_streams_a_call_in_pieces(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer("Let me see.", [("look", {"at": "sea"}), ("look", {"at": "sky"})]))
    async with client.chat.completions.stream(model="local", messages=HELLO, tools=[CHAT_TOOL]) as stream:
        message = (await stream.get_final_completion()).choices[0].message
    assert message.content == "Let me see."
    assert [call.function.arguments for call in message.tool_calls or []] == ['{"at": "sea"}', '{"at": "sky"}']


async def test_data_is_json_where_a_format_is_asked_for(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer(data={"name": "Brest", "people": 140_000}))
    answer = await client.chat.completions.parse(model="local", messages=HELLO, response_format=Place)
    assert answer.choices[0].message.parsed == Place(name="Brest", people=140_000)


async def test_data_is_a_call_where_a_tool_takes_its_fields(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer(data={"at": "sea"}), ModelAnswer(data={"to": "sea"}))
    called = await client.chat.completions.create(model="local", messages=HELLO, tools=[CHAT_TOOL])
    assert called.choices[0].finish_reason == "tool_calls"
    said = await client.chat.completions.create(model="local", messages=HELLO, tools=[CHAT_TOOL])
    assert said.choices[0].message.content == '{"to": "sea"}'


async def test_a_status_is_the_error_of_the_client(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer("no such key", status=400))
    with pytest.raises(BadRequestError, match="no such key"):
        await client.chat.completions.create(model="local", messages=HELLO)
    assert model.spent == {"input_tokens": 0, "output_tokens": 0}


async def test_a_script_that_is_over_says_so(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted("one")
    await client.chat.completions.create(model="local", messages=HELLO)
    with pytest.raises(BadRequestError, match="no answer after its 1"):
        await client.chat.completions.create(model="local", messages=HELLO)


async def test_a_script_that_fails_says_how(client: AsyncOpenAI, model: ModelServer, caplog: Any) -> None:
    model.answer = lambda body: body["no such field"]
    with pytest.raises(BadRequestError, match="KeyError"):
        await client.chat.completions.create(model="local", messages=HELLO)
    assert "KeyError" in caplog.text


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    assert [each.id async for each in client.models.list()] == ["local"]
    assert (await client.models.retrieve("local")).owned_by == "codin"


# -- responses ---------------------------------------------------------------------------------------------------------


async def test_responses_answer_whole(client: AsyncOpenAI, model: ModelServer) -> None:
    answer = await client.responses.create(model="local", input="hello", instructions="Be brief.")
    assert (answer.output_text, answer.status) == ("You said hello", "completed")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (20, 3)
    assert model.requests[-1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello"},
    ]


async def test_responses_stream_text_and_calls(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer("Let me see.", [("look", {"at": "sea"})]))
    async with client.responses.stream(model="local", input=HELLO, tools=[TOOL]) as stream:
        events = [event async for event in stream]
        answer = await stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert deltas == ["Let ", "me ", "see."]
    assert answer.output_text == "Let me see."
    assert answer.output[1].to_dict()["arguments"] == '{"at": "sea"}'
    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")] == [*range(len(events))]


async def test_responses_hear_what_a_tool_gave(client: AsyncOpenAI, model: ModelServer) -> None:
    called = await client.responses.create(model="local", input='call look {"at": "sea"}', tools=[TOOL])
    (call,) = called.output
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "grey"}
    conversation: Any = [*HELLO, call.to_dict(), result]
    answer = await client.responses.create(model="local", input=conversation, tools=[TOOL])
    assert answer.output_text == "The tool said grey"
    assert [message["role"] for message in model.requests[-1]["messages"]] == ["user", "assistant", "tool"]


async def test_responses_give_data_in_the_format_that_is_asked_for(client: AsyncOpenAI, model: ModelServer) -> None:
    model.answer = scripted(ModelAnswer(data={"name": "Brest", "people": 140_000}))
    answer = await client.responses.parse(model="local", input="hello", text_format=Place)
    assert answer.output_parsed == Place(name="Brest", people=140_000)
    assert model.requests[-1]["response_format"]["type"] == "json_schema"


# -- callers who go away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wire", ["chat", "responses"])
async def test_a_caller_who_goes_away_is_counted(
    client: AsyncOpenAI, model: ModelServer, wire: str, stream: bool
) -> None:
    async def call() -> None:
        if wire == "chat":
            answer: Any = await client.chat.completions.create(
                model="local", messages=[{"role": "user", "content": "hang"}], stream=stream
            )
        else:
            answer = await client.responses.create(model="local", input="hang", stream=stream)
        async for _ in answer:
            pass

    calling = asyncio.create_task(call())
    async with asyncio.timeout(30):
        await model.stuck.wait()
        assert model.dropped == 0
        calling.cancel()
        await model.drop.wait()
    assert model.dropped == 1
    assert model.spent == {"input_tokens": 0, "output_tokens": 0}


async def test_calls_are_answered_side_by_side(client: AsyncOpenAI, model: ModelServer) -> None:
    async with asyncio.timeout(30):
        hanging: Any = [{"role": "user", "content": "hang"}]
        first = asyncio.create_task(client.chat.completions.create(model="local", messages=hanging))
        await model.stuck.wait()
        second = await client.chat.completions.create(model="local", messages=HELLO)
        assert second.choices[0].message.content == "You said hello"
        first.cancel()


# -- LangChain ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_langchain_speaks_both(model: ModelServer, http: httpx.AsyncClient, responses: bool) -> None:
    chat: Any = ChatOpenAI(
        model="local",
        base_url=model.url,
        api_key=SecretStr("x"),
        http_async_client=http,
        use_responses_api=responses,
        stream_usage=True,
    )
    chunks = [chunk async for chunk in chat.astream("hello")]
    assert "".join(str(chunk.text) for chunk in chunks) == "You said hello"
    assert [chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata] == [13]
    called = await chat.bind_tools([CHAT_TOOL]).ainvoke('call look {"at": "sea"}')
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("look", {"at": "sea"})]


# -- embeddings --------------------------------------------------------------------------------------------------------


async def test_texts_with_words_in_common_are_near(client: AsyncOpenAI) -> None:
    texts = ["The lamp of the lighthouse is lit.", "Lighthouses light their lamps.", "Bread needs flour and time."]
    answer = await client.embeddings.create(model="local", input=texts)
    lamp, lamps, bread = (each.embedding for each in answer.data)
    assert _cosine(lamp, lamps) > 0.3 > 3 * abs(_cosine(lamp, bread))
    assert _cosine(lamp, lamp) == pytest.approx(1.0)
    assert answer.usage.prompt_tokens == 16


async def test_a_vector_has_the_size_and_the_form_that_is_asked_for(client: AsyncOpenAI) -> None:
    numbers = await client.embeddings.create(model="local", input="tide", dimensions=32, encoding_format="float")
    packed = await client.embeddings.create(model="local", input="tide", dimensions=32)
    assert len(numbers.data[0].embedding) == 32
    assert packed.data[0].embedding == pytest.approx(numbers.data[0].embedding, abs=1e-6)
    empty = await client.embeddings.create(model="local", input="")
    assert _cosine(empty.data[0].embedding, empty.data[0].embedding) == pytest.approx(1.0)


async def test_langchain_embeds(model: ModelServer, http: httpx.AsyncClient) -> None:
    embeddings = OpenAIEmbeddings(
        model="local",
        base_url=model.url,
        api_key=SecretStr("x"),
        http_async_client=http,
        check_embedding_ctx_length=False,  # it would ask the internet for a tokenizer
    )
    one, other = await embeddings.aembed_documents(["high tide", "high tide"])
    assert one == other
    assert model.requests == []


def _cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_an_unknown_place_is_not_found(model: ModelServer, http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{model.url}/audio/speech", content=json.dumps({}))
    assert (answer.status_code, "audio/speech" in answer.text) == (404, True)
