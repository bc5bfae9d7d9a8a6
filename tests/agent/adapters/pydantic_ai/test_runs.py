"""Runs of Pydantic AI agents: text as it comes, data, files, tools, usage, failures."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from typing import Any

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import (
    Agent,
    BinaryImage,
    ModelResponse,
    ModelRetry,
    NativeOutput,
    NativeToolCallPart,
    RunContext,
    TextOutput,
    TextPart,
)
from pydantic_ai.messages import FilePart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import UsageLimits

from codin import a2a
from codin.agent.adapters import ACTIVITY_KEY
from codin.agent.adapters.pydantic_ai import adapt
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.pydantic_ai.searching import Searching

pytestmark = pytest.mark.anyio

SUM = {"a": 2, "b": 3}
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class City(BaseModel):
    name: str
    people: int = Field(alias="inhabitants")


# -- text --------------------------------------------------------------------------------------------------------------


async def test_tokens_are_streamed_from_the_first_on_and_joined_they_are_the_text(chat: OpenAIChatModel) -> None:
    turn = await Desk(adapt(Agent(chat))).send("hello big world")
    assert turn.state == "COMPLETED"
    assert turn.chunks == ["You ", "said ", "hello ", "big ", "world"]
    assert turn.text == "You said hello big world"


async def test_what_is_said_before_a_tool_call_is_set_apart_by_a_blank_line(
    model: ModelServer, chat: OpenAIChatModel
) -> None:
    def answer(body: Body) -> Answer:
        said = body["messages"][-1]
        return Answer(f"It is {said['content']}.") if said["role"] == "tool" else Answer("Wait.", [("add", SUM)])

    model.answer = answer
    turn = await Desk(adapt(Agent(chat, tools=[add]))).send("2 and 3?")
    assert turn.text == "Wait.\n\nIt is 5."
    assert "".join(turn.chunks) == turn.text


SEARCH = NativeToolCallPart("web_search", {"query": "tide"}, tool_call_id="1")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("Let me look.", SEARCH, "It is low."), "Let me look.\n\nIt is low."),
        (("It is low.", SEARCH), "It is low."),
        (("Let me look.", SEARCH, "It is ", SEARCH, "low."), "Let me look.\n\nIt is \n\nlow."),
    ],
)
async def test_nothing_is_said_twice_around_a_tool_of_the_provider(parts: Any, text: str) -> None:
    turn = await Desk(adapt(Agent(Searching(*parts)))).send("When is the tide low?")
    assert (turn.state, turn.text) == ("COMPLETED", text)


async def test_an_output_validator_has_the_last_word_and_nothing_else_is_said(
    model: ModelServer, chat: OpenAIChatModel
) -> None:
    agent = Agent(chat)

    @agent.output_validator
    def polite(text: str) -> str:
        if "please" not in text:
            raise ModelRetry("say please")
        return text.upper()

    model.answer = lambda body: Answer("please wait" if len(body["messages"]) > 1 else "wait")
    assert (await Desk(adapt(agent)).send("go")).text == "PLEASE WAIT"


async def test_text_that_a_function_makes_an_output_of_is_not_streamed(chat: OpenAIChatModel) -> None:
    def words(text: str) -> list[str]:
        return text.split()

    turn = await Desk(adapt(Agent(chat, output_type=TextOutput(words)))).send("hi there")
    assert (turn.data, turn.text) == (["You", "said", "hi", "there"], "")


async def test_a_model_that_cannot_stream_says_its_answer_at_once() -> None:
    model = FunctionModel(lambda messages, info: ModelResponse(parts=[TextPart("all at once")]))
    turn = await Desk(adapt(Agent(model), stream=False)).send("go")
    assert (turn.state, turn.chunks) == ("COMPLETED", ["all at once"])


# -- data and files ----------------------------------------------------------------------------------------------------


async def test_a_structured_output_is_data_as_its_schema_says(model: ModelServer, chat: OpenAIChatModel) -> None:
    model.answer = lambda body: Answer("Here it is", [("final_result", {"name": "Brest", "inhabitants": 140000})])
    agent = adapt(Agent(chat, output_type=City))
    turn = await Desk(agent).send("Brest")
    assert turn.data == {"name": "Brest", "inhabitants": 140000}
    assert agent.output_schema is not None
    assert set(turn.data) == set(agent.output_schema["properties"])
    assert turn.text == ""


async def test_a_native_output_is_data_and_its_json_is_not_text(model: ModelServer, chat: OpenAIChatModel) -> None:
    model.answer = lambda body: Answer(json.dumps({"name": "Brest", "inhabitants": 140000}))
    turn = await Desk(adapt(Agent(chat, output_type=NativeOutput(City)))).send("Brest")
    assert (turn.data, turn.chunks) == ({"name": "Brest", "inhabitants": 140000}, [])


async def test_an_agent_of_two_outputs_gives_the_one_that_fits(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat, output_type=[City, str])))
    assert (await desk.send("no city")).text == "You said no city"
    model.answer = lambda body: Answer("", [("final_result", {"name": "Brest", "inhabitants": 1})])
    assert (await desk.send("Brest")).data["name"] == "Brest"


async def test_files_and_data_reach_the_model(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat)))
    await desk.send(
        [
            a2a.Part(text="Look:"),
            a2a.Part(raw=PNG, media_type="image/png"),
            a2a.Part(url="http://127.0.0.1:9/far.png"),
            a2a.Part(raw=b"a note", filename="note.txt"),
            a2a.Part(data={"zoom": 2}),
        ]
    )
    blocks = model.requests[0]["messages"][-1]["content"]
    assert [block.get("text") for block in blocks] == ["Look:", None, None, "a note", '{"zoom":2}']
    assert blocks[1]["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert blocks[2]["image_url"]["url"] == "http://127.0.0.1:9/far.png"


async def test_texts_and_data_without_files_are_one_prompt(model: ModelServer, chat: OpenAIChatModel) -> None:
    await Desk(adapt(Agent(chat))).send([a2a.Part(text="Zoom:"), a2a.Part(data={"zoom": 2})])
    assert model.requests[0]["messages"][-1]["content"] == 'Zoom:\n\n{"zoom":2}'


async def test_a_file_that_a_model_makes_is_an_artifact() -> None:
    image = BinaryImage(PNG, media_type="image/png")
    model = FunctionModel(lambda messages, info: ModelResponse(parts=[TextPart("Here:"), FilePart(image)]))
    turn = await Desk(adapt(Agent(model), stream=False)).send("draw")
    (file,) = [part for artifact in turn.task.artifacts for part in artifact.parts if part.raw is not None]
    assert (file.raw, file.media_type) == (PNG, "image/png")
    assert turn.text == "Here:"


# -- tools, usage, dependencies ----------------------------------------------------------------------------------------


async def test_tool_calls_are_status_updates_when_asked_for(chat: OpenAIChatModel) -> None:
    agent = Agent(chat, tools=[add])
    assert (await Desk(adapt(agent)).send('call add {"a": 2, "b": 3}')).news == []
    turn = await Desk(adapt(agent, tool_activity=True)).send('call add {"a": 2, "b": 3}')
    assert turn.text == "The tool said 5"
    started, finished = [metadata[ACTIVITY_KEY]["tool"] for _, metadata in turn.news]
    assert started == {"id": finished["id"], "name": "add", "phase": "started", "args": {"a": 2, "b": 3}}
    assert (finished["phase"], finished["result"]) == ("finished", 5)


async def test_usage_is_that_of_the_run_and_not_of_the_conversation(chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat, tools=[add])))
    first = await desk.send('call add {"a": 2, "b": 3}', context="k")
    second = await desk.send("hi", context="k")
    assert first.usage == {"input_tokens": 40, "output_tokens": 5, "total_tokens": 45}
    assert second.usage == {"input_tokens": 50, "output_tokens": 3, "total_tokens": 53}


async def test_dependencies_are_an_object_or_a_function_of_the_task(chat: OpenAIChatModel) -> None:
    agent = Agent(chat, deps_type=str)

    @agent.tool
    def who(ctx: RunContext[str]) -> str:
        return ctx.deps

    assert (await Desk(adapt(agent, deps="ada")).send("call who {}")).text == "The tool said ada"
    desk = Desk(adapt(agent, deps=lambda task: task.context_id))
    assert (await desk.send("call who {}", context="k")).text == "The tool said k"


async def test_a_hundred_runs_of_one_agent_do_not_mix(chat: OpenAIChatModel) -> None:
    agent = Agent(chat, deps_type=str)

    @agent.tool
    async def who(ctx: RunContext[str], number: int) -> str:
        return f"{number} for {ctx.deps}"

    desk = Desk(adapt(agent, deps=lambda task: task.context_id))
    turns = await asyncio.gather(
        *(desk.send(f'call who {{"number": {number}}}', context=f"c{number}") for number in range(100))
    )
    assert [turn.text for turn in turns] == [f"The tool said {number} for c{number}" for number in range(100)]


async def test_a_tool_that_blocks_does_not_hold_the_event_loop() -> None:
    reached, gate = threading.Event(), threading.Event()

    def wait() -> str:
        reached.set()
        return "open" if gate.wait(30) else "closed"

    desk = Desk(adapt(Agent(TestModel(), tools=[wait])))
    running = asyncio.create_task(desk.send("go"))
    assert await asyncio.to_thread(reached.wait, 30)
    gate.set()  # which this loop could not do if the tool held it
    assert '"open"' in (await running).text


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_a_tool_that_raises_fails_the_task_without_its_words(chat: OpenAIChatModel) -> None:
    def explode() -> str:
        raise RuntimeError("password is hunter2")

    turn = await Desk(adapt(Agent(chat, tools=[explode]))).send("call explode {}")
    assert turn.state == "FAILED"
    assert "hunter2" not in turn.said
    assert "Traceback" not in turn.said
    assert turn.usage["input_tokens"] == 10  # what it cost until then
    assert [event.status_update.status.state.name for event in turn.events if event.status_update][-1:] == ["FAILED"]


async def test_a_limit_that_is_reached_has_a_readable_reason(model: ModelServer, chat: OpenAIChatModel) -> None:
    model.answer = lambda body: Answer("", [("add", SUM)])
    agent = adapt(Agent(chat, tools=[add]), usage_limits=UsageLimits(request_limit=3))
    turn = await Desk(agent).send("loop")
    assert (turn.state, len(model.requests)) == ("FAILED", 3)
    assert "limits" in turn.said


async def test_cancel_drops_the_call_to_the_model(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat)))
    task = await desk.begin("hang on")
    async with asyncio.timeout(30):
        await model.stuck.wait()
        canceled = await desk.cancel(task)
        await model.drop.wait()
    assert (canceled.status.state.name, model.dropped) == ("CANCELED", 1)


async def test_cancel_ends_a_tool_at_work(chat: OpenAIChatModel) -> None:
    reached, ended = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    desk = Desk(adapt(Agent(chat, tools=[work])))
    task = await desk.begin("call work {}")
    async with asyncio.timeout(30):
        await reached.wait()
        await desk.cancel(task)
        await ended.wait()
