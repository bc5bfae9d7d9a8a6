"""Runs of agents of the OpenAI Agents SDK: text, data, files, tools, handoffs, usage, guardrails, failures."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai.types.responses import Response, ResponseCompletedEvent, ResponseOutputMessage, ResponseOutputText
from openai.types.responses.response_output_item import ImageGenerationCall
from pydantic import BaseModel

from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    Model,
    ModelProvider,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OutputGuardrail,
    RunConfig,
    RunContextWrapper,
    function_tool,
)
from codin import a2a
from codin.agent.adapters import ACTIVITY_KEY
from codin.agent.adapters.openai_agents import adapt
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG"
SUM = {"a": 2, "b": 3}


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class City(BaseModel):
    name: str
    people: int


# -- text --------------------------------------------------------------------------------------------------------------


async def test_tokens_are_streamed_and_joined_they_are_the_text(chat: OpenAIChatCompletionsModel) -> None:
    turn = await Desk(adapt(Agent("a", model=chat))).send("hello big world")
    assert turn.state == "COMPLETED"
    assert turn.chunks == ["You ", "said ", "hello ", "big ", "world"]
    assert turn.text == "You said hello big world"


async def test_what_is_said_before_a_tool_call_is_set_apart_by_a_blank_line(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    def answer(body: Body) -> Answer:
        said = body["messages"][-1]
        return Answer(f"It is {said['content']}.") if said["role"] == "tool" else Answer("Wait.", [("add", SUM)])

    model.answer = answer
    turn = await Desk(adapt(Agent("a", model=chat, tools=[add]))).send("2 and 3?")
    assert turn.text == "Wait.\n\nIt is 5."
    assert "".join(turn.chunks) == turn.text


async def test_a_tool_whose_result_is_the_answer(chat: OpenAIChatCompletionsModel) -> None:
    agent = Agent("a", model=chat, tools=[add], tool_use_behavior="stop_on_first_tool")
    assert (await Desk(adapt(agent)).send('call add {"a": 2, "b": 3}')).text == "5"


class Silent(Model):
    """A model that streams nothing and then has said it all, with a picture."""

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        text = ResponseOutputText(annotations=[], text="All at once", type="output_text")
        said = ResponseOutputMessage(id="m", content=[text], role="assistant", status="completed", type="message")
        picture = ImageGenerationCall(
            id="p", result=base64.b64encode(PNG).decode(), status="completed", type="image_generation_call"
        )
        response = Response(
            id="r", created_at=0, model="silent", object="response", output=[picture, said],
            parallel_tool_calls=False, tool_choice="auto", tools=[],
        )  # fmt: skip
        yield ResponseCompletedEvent(response=response, sequence_number=0, type="response.completed")


async def test_a_model_that_does_not_stream_says_its_answer_at_once_and_its_picture_is_a_file() -> None:
    turn = await Desk(adapt(Agent("a", model=Silent()))).send("draw")
    assert (turn.state, turn.chunks) == ("COMPLETED", ["All at once"])
    (file,) = [part for artifact in turn.task.artifacts for part in artifact.parts if part.raw is not None]
    assert (file.raw, file.media_type) == (PNG, "image/png")


# -- data and files ----------------------------------------------------------------------------------------------------


async def test_a_structured_output_is_data_and_its_json_is_not_text(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    model.answer = lambda body: Answer(json.dumps({"name": "Brest", "people": 140000}))
    agent = adapt(Agent("a", model=chat, output_type=City))
    turn = await Desk(agent).send("Brest")
    assert (turn.data, turn.chunks) == ({"name": "Brest", "people": 140000}, [])
    assert agent.output_schema is not None
    assert set(turn.data) == set(agent.output_schema["properties"])


async def test_an_output_that_is_no_object_is_data_without_the_wrapping_of_the_sdk(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    model.answer = lambda body: Answer(json.dumps({"response": [1, 2]}))
    assert (await Desk(adapt(Agent("a", model=chat, output_type=list[int]))).send("go")).data == [1, 2]


async def test_files_and_data_reach_the_model(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    await Desk(adapt(Agent("a", model=chat))).send(
        [
            a2a.Part(text="Look:"),
            a2a.Part(raw=PNG, media_type="image/png"),
            a2a.Part(url="http://127.0.0.1:9/far.png"),
            a2a.Part(raw=b"a note", filename="note.txt"),
            a2a.Part(raw=b"RIFF", media_type="audio/x-wav"),
            a2a.Part(raw=b"%PDF", filename="a.pdf"),
            a2a.Part(data={"zoom": 2}),
        ]
    )
    blocks = model.requests[0]["messages"][-1]["content"]
    assert [block.get("text") for block in blocks] == ["Look:", None, None, "a note", None, None, '{"zoom":2}']
    assert blocks[1]["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert blocks[2]["image_url"]["url"] == "http://127.0.0.1:9/far.png"
    assert blocks[4]["input_audio"] == {"data": base64.b64encode(b"RIFF").decode(), "format": "wav"}
    assert blocks[5]["file"]["filename"] == "a.pdf"


# -- tools, handoffs, usage, context -----------------------------------------------------------------------------------


async def test_tool_calls_are_status_updates_when_asked_for(chat: OpenAIChatCompletionsModel) -> None:
    agent = Agent("a", model=chat, tools=[add])
    assert (await Desk(adapt(agent)).send('call add {"a": 2, "b": 3}')).news == []
    turn = await Desk(adapt(agent, tool_activity=True)).send('call add {"a": 2, "b": 3}')
    assert turn.text == "The tool said 5"
    started, finished = [metadata[ACTIVITY_KEY]["tool"] for _, metadata in turn.news]
    assert started == {"id": finished["id"], "name": "add", "phase": "started", "args": {"a": 2, "b": 3}}
    assert (finished["name"], finished["phase"], finished["result"]) == ("add", "finished", 5)


async def test_a_handoff_goes_on_with_the_other_agent_and_its_kind_of_answer(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    def answer(body: Body) -> Answer:
        if body["messages"][-1]["role"] == "tool":
            return Answer(json.dumps({"name": "Brest", "people": 1}))
        return Answer("One moment.", [("transfer_to_surveyor", {})])

    model.answer = answer
    surveyor = Agent("surveyor", model=chat, output_type=City)
    turn = await Desk(adapt(Agent("desk", model=chat, handoffs=[surveyor]), tool_activity=True)).send("Brest?")
    assert (turn.text, turn.data) == ("One moment.", {"name": "Brest", "people": 1})
    assert [text for text, _ in turn.news] == ["transfer_to_surveyor: started", "transfer_to_surveyor: finished"]
    assert turn.news[1][1][ACTIVITY_KEY]["tool"]["result"] == "surveyor"


async def test_usage_is_asked_for_and_is_that_of_the_run(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    agent = Agent("a", model=chat, tools=[add])
    desk = Desk(adapt(agent))
    first = await desk.send('call add {"a": 2, "b": 3}', context="k")
    second = await desk.send("hi", context="k")
    assert first.usage == {"input_tokens": 40, "output_tokens": 5, "total_tokens": 45}
    assert second.usage == {"input_tokens": 50, "output_tokens": 3, "total_tokens": 53}
    assert agent.model_settings.include_usage is None  # the agent is not changed


@pytest.mark.parametrize("where", ["agent", "config"])
async def test_whoever_wants_no_usage_gets_none(
    model: ModelServer, chat: OpenAIChatCompletionsModel, where: str
) -> None:
    silent = ModelSettings(include_usage=False)
    if where == "agent":
        served = adapt(Agent("a", model=chat, model_settings=silent))
    else:
        served = adapt(Agent("a", model=chat), run_config=RunConfig(model_settings=silent))
    assert (await Desk(served).send("hi")).usage == {}
    assert model.requests[0]["stream_options"] == {"include_usage": False}


async def test_a_run_config_is_kept(chat: OpenAIChatCompletionsModel, model: ModelServer) -> None:
    class Local(ModelProvider):
        def get_model(self, model_name: str | None) -> Model:
            return chat

    config = RunConfig(model_provider=Local(), model_settings=ModelSettings(temperature=0.5))
    turn = await Desk(adapt(Agent("a", model="any"), run_config=config)).send("hi")
    assert (turn.text, model.requests[0]["temperature"]) == ("You said hi", 0.5)
    assert turn.usage["total_tokens"] == 13
    assert config.model_settings is not None
    assert config.model_settings.include_usage is None


@function_tool
def who(ctx: RunContextWrapper[str]) -> str:
    """Who asks."""
    return ctx.context


async def test_the_context_is_an_object_or_a_function_of_the_task(chat: OpenAIChatCompletionsModel) -> None:
    agent = Agent[str]("a", model=chat, tools=[who])
    assert (await Desk(adapt(agent, context="ada")).send("call who {}")).text == "The tool said ada"
    desk = Desk(adapt(agent, context=lambda task: task.context_id))
    assert (await desk.send("call who {}", context="k")).text == "The tool said k"


async def test_a_hundred_runs_of_one_agent_do_not_mix(chat: OpenAIChatCompletionsModel) -> None:
    @function_tool
    async def count(ctx: RunContextWrapper[str], number: int) -> str:
        return f"{number} for {ctx.context}"

    agent = Agent[str]("a", model=chat, tools=[count])
    desk = Desk(adapt(agent, context=lambda task: task.context_id))
    turns = await asyncio.gather(
        *(desk.send(f'call count {{"number": {number}}}', context=f"c{number}") for number in range(100))
    )
    assert [turn.text for turn in turns] == [f"The tool said {number} for c{number}" for number in range(100)]


async def test_a_tool_that_blocks_does_not_hold_the_event_loop(chat: OpenAIChatCompletionsModel) -> None:
    reached, gate = threading.Event(), threading.Event()

    @function_tool
    def wait() -> str:
        reached.set()
        return "open" if gate.wait(30) else "closed"

    desk = Desk(adapt(Agent("a", model=chat, tools=[wait])))
    running = asyncio.create_task(desk.send("call wait {}"))
    assert await asyncio.to_thread(reached.wait, 30)
    gate.set()  # which this loop could not do if the tool held it
    assert (await running).text == "The tool said open"


# -- guardrails and failures -------------------------------------------------------------------------------------------


def tripped(trip: bool) -> Any:
    async def check(*_: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info="secret reason", tripwire_triggered=trip)

    return check


async def test_a_guardrail_on_the_input_rejects(chat: OpenAIChatCompletionsModel) -> None:
    agent = Agent("a", model=chat, input_guardrails=[InputGuardrail(tripped(True), run_in_parallel=False)])
    turn = await Desk(adapt(agent)).send("hello")
    assert (turn.state, turn.text) == ("REJECTED", "")
    assert "guardrail" in turn.said
    assert "secret" not in turn.said


@pytest.mark.parametrize("where", ["agent", "config"])
async def test_nothing_is_said_that_a_guardrail_on_the_output_holds_back(
    chat: OpenAIChatCompletionsModel, where: str
) -> None:
    guardrail = OutputGuardrail(tripped(True))
    if where == "agent":
        served = adapt(Agent("a", model=chat, output_guardrails=[guardrail]))
    else:
        served = adapt(Agent("a", model=chat), run_config=RunConfig(output_guardrails=[guardrail]))
    turn = await Desk(served).send("hello")
    assert (turn.state, turn.chunks, turn.text) == ("FAILED", [], "")
    assert "guardrail" in turn.said


async def test_what_a_guardrail_lets_pass_is_said_at_once(chat: OpenAIChatCompletionsModel) -> None:
    agent = Agent("a", model=chat, output_guardrails=[OutputGuardrail(tripped(False))])
    assert (await Desk(adapt(agent)).send("hello")).chunks == ["You said hello"]


async def test_a_tool_that_raises_is_told_to_the_model_or_fails_the_task_without_its_words(
    chat: OpenAIChatCompletionsModel,
) -> None:
    @function_tool(failure_error_function=None)
    def explode() -> str:
        raise RuntimeError("password is hunter2")

    turn = await Desk(adapt(Agent("a", model=chat, tools=[explode]))).send("call explode {}")
    assert turn.state == "FAILED"
    assert "hunter2" not in turn.said
    assert "Traceback" not in turn.said
    assert turn.usage["input_tokens"] == 10  # what it cost until then
    assert [event.status_update.status.state.name for event in turn.events if event.status_update][-1:] == ["FAILED"]


async def test_too_many_turns_have_a_readable_reason(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    model.answer = lambda body: Answer("", [("add", SUM)])
    turn = await Desk(adapt(Agent("a", model=chat, tools=[add]), max_turns=3)).send("loop")
    assert (turn.state, len(model.requests)) == ("FAILED", 3)
    assert "turns" in turn.said


async def test_a_model_that_does_not_answer_fails_the_task(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    model.answer = lambda body: Answer("secret details", status=500)
    turn = await Desk(adapt(Agent("a", model=chat))).send("hello")
    assert turn.state == "FAILED"
    assert "secret" not in turn.said


async def test_cancel_drops_the_call_to_the_model(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    desk = Desk(adapt(Agent("a", model=chat)))
    task = await desk.begin("hang on")
    async with asyncio.timeout(30):
        await model.stuck.wait()
        canceled = await desk.cancel(task)
        await model.drop.wait()
    assert (canceled.status.state.name, model.dropped) == ("CANCELED", 1)


async def test_cancel_ends_a_tool_at_work(chat: OpenAIChatCompletionsModel) -> None:
    reached, ended = asyncio.Event(), asyncio.Event()

    @function_tool
    async def work() -> str:
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    desk = Desk(adapt(Agent("a", model=chat, tools=[work])))
    task = await desk.begin("call work {}")
    async with asyncio.timeout(30):
        await reached.wait()
        await desk.cancel(task)
        await ended.wait()
