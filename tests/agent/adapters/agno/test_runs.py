"""Agents of Agno at work: what goes in, what is streamed, what comes out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from agno.agent import Agent
from agno.exceptions import CheckTrigger, InputCheckError, OutputCheckError
from agno.media import File, Image
from agno.models.openai.like import OpenAILike
from agno.run import RunContext
from agno.run.agent import CustomEvent
from agno.tools.function import ToolResult
from pydantic import BaseModel

from codin import a2a
from codin.agent.adapters import ACTIVITY_KEY
from codin.agent.adapters.agno import adapt
from codin.task import Task
from codin.testing import Body, ModelAnswer, ModelServer
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@dataclass
class Progress(CustomEvent):
    message: str = ""
    part: int = 0


async def sent(agent: Any, content: Any, **options: Any) -> Turn:
    return await Desk(adapt(agent, **options)).send(content)


# -- text --------------------------------------------------------------------------------------------------------------


async def test_tokens_are_streamed_and_the_final_text_is_what_was_streamed(chat: OpenAILike) -> None:
    turn = await sent(Agent(model=chat), "hello big world")
    assert turn.state == "COMPLETED"
    assert turn.chunks == ["You ", "said ", "hello ", "big ", "world"]
    assert turn.text == "".join(turn.chunks)


async def test_what_the_model_says_before_and_after_a_tool_is_set_apart(model: ModelServer, chat: OpenAILike) -> None:
    def answer(body: Body) -> ModelAnswer:
        if body["messages"][-1]["role"] == "tool":
            return ModelAnswer("It is five.")
        return ModelAnswer("Let me see.", calls=[("add", {"a": 2, "b": 3})])

    model.answer = answer
    turn = await sent(Agent(model=chat, tools=[add]), "2 + 3?")
    assert turn.text == "".join(turn.chunks) == "Let me see.\n\nIt is five."
    assert turn.news == []


async def test_usage_is_that_of_this_run_alone(model: ModelServer, chat: OpenAILike) -> None:
    desk = Desk(adapt(Agent(model=chat, tools=[add])))
    for _ in range(2):
        before = dict(model.spent)
        turn = await desk.send('call add {"a": 2, "b": 3}')
        spent = {name: count - before[name] for name, count in model.spent.items()}
        assert {name: turn.usage[name] for name in spent} == spent


async def test_tools_at_work_are_told_only_when_asked_for(chat: OpenAILike) -> None:
    turn = await sent(Agent(model=chat, tools=[add]), 'call add {"a": 2, "b": 3}', tool_activity=True)
    told = [metadata[ACTIVITY_KEY]["tool"] for _, metadata in turn.news]
    assert [(tool["name"], tool["phase"]) for tool in told] == [("add", "started"), ("add", "finished")]
    assert (told[0]["args"], told[1]["result"]) == ({"a": 2, "b": 3}, "5")
    assert turn.text == "The tool said 5"


async def test_custom_events_of_tools_are_status_updates(chat: OpenAILike) -> None:
    async def work() -> AsyncIterator[Any]:
        """Work."""
        yield Progress(message="half way", part=1)
        yield "done"

    agent = Agent(model=chat, tools=[work])
    ((text, metadata),) = (await sent(agent, "call work {}")).news
    assert text == "half way"
    assert metadata[ACTIVITY_KEY]["event"] == {"message": "half way", "part": 1}
    assert (await sent(agent, "call work {}", events=False)).news == []


# -- data and files ----------------------------------------------------------------------------------------------------


async def test_structured_output_is_data_and_its_schema_on_the_card(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = lambda body: ModelAnswer(data={"name": "Cork", "people": 3})
    agent = Agent(model=chat, output_schema=Place)
    turn = await sent(agent, "A town?")
    assert (turn.data, turn.text) == ({"name": "Cork", "people": 3}, "")
    described = adapt(agent)
    assert described.output_schema is not None
    assert set(described.output_schema["properties"]) == {"name", "people"}
    assert list(described.output_modes) == ["application/json"]


async def test_structured_output_that_is_not_parsed_is_text(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = lambda body: ModelAnswer('{"name": "Cork"}')
    turn = await sent(Agent(model=chat, output_schema=Place, parse_response=False), "A town?")
    assert turn.text == '{"name": "Cork"}'


async def test_files_of_tools_are_files_of_the_answer(chat: OpenAILike, tmp_path: Any) -> None:
    (tmp_path / "map.svg").write_bytes(b"<svg/>")

    def draw() -> ToolResult:
        """Draw."""
        return ToolResult(
            content="drawn",
            images=[Image(content=b"\x89PNG", format="png"), Image(filepath=tmp_path / "map.svg")],
            files=[File(content=b"tide", filename="note.txt")],
        )

    turn = await sent(Agent(model=chat, tools=[draw]), "call draw {}")
    parts = [part for artifact in turn.task.artifacts for part in artifact.parts if part.kind == "raw"]
    assert [(part.filename, part.raw, part.media_type) for part in parts] == [
        (None, b"\x89PNG", "image/png"),
        ("map.svg", b"<svg/>", "image/svg+xml"),
        ("note.txt", b"tide", "text/plain"),
    ]


async def test_images_text_files_and_data_reach_the_model(model: ModelServer, chat: OpenAILike) -> None:
    parts = [
        a2a.Part(text="look"),
        a2a.Part(raw=b"\x89PNG", media_type="image/png"),
        a2a.Part(raw=b"a note", filename="note.txt"),
        a2a.Part(data={"n": 1}),
    ]
    assert (await sent(Agent(model=chat), parts)).state == "COMPLETED"
    said = str(model.requests[0]["messages"][-1]["content"])
    for piece in ("look", base64.b64encode(b"\x89PNG").decode(), "a note", '{"n":1}'):
        assert piece in said


async def test_files_by_url_are_taken_only_where_the_server_says_so(model: ModelServer, chat: OpenAILike) -> None:
    picture = a2a.Part(url="http://127.0.0.1/a.png", media_type="image/png")
    assert "as bytes" in (await sent(Agent(model=chat), picture)).said
    assert model.requests == []
    assert (await sent(Agent(model=chat), picture, file_urls=True)).state == "COMPLETED"
    assert "http://127.0.0.1/a.png" in str(model.requests[0]["messages"])


async def test_a_file_of_a_kind_that_agno_does_not_know_is_rejected(chat: OpenAILike) -> None:
    turn = await sent(Agent(model=chat, name="Reader"), a2a.Part(raw=b"?", media_type="application/x-thing"))
    assert (turn.state, turn.said) == ("REJECTED", "Reader takes no files of type 'application/x-thing'.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a town", "a JSON object with the fields name (string), people (integer)"),
        ({"name": "Cork"}, "people: Field required"),
        ([a2a.Part(text="see"), a2a.Part(data={"name": "Cork", "people": 1})], "a JSON object"),
    ],
)
async def test_input_that_does_not_fit_its_schema_is_rejected(chat: OpenAILike, content: Any, words: str) -> None:
    turn = await sent(Agent(model=chat, input_schema=Place), content)
    assert (turn.state, words in turn.said) == ("REJECTED", True), turn.said


async def test_input_with_a_schema_reaches_the_model(model: ModelServer, chat: OpenAILike) -> None:
    agent = Agent(model=chat, input_schema=Place)
    for content in ({"name": "Cork", "people": 3}, '{"name": "Cork", "people": 3}'):
        assert (await sent(agent, content)).state == "COMPLETED"
        assert "Cork" in str(model.requests[-1]["messages"][-1]["content"])
    described = adapt(agent)
    assert described.input_modes[0] == "application/json"
    assert described.input_schema is not None


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_a_failure_of_the_model_shows_no_secret(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = lambda body: ModelAnswer("wrong key: hunter2", status=400)
    turn = await sent(Agent(model=chat), "hello")
    assert turn.state == "FAILED"
    assert "hunter2" not in turn.said
    assert turn.news == []


async def test_a_guardrail_refuses_with_its_words(model: ModelServer, chat: OpenAILike) -> None:
    def guard(run_input: Any) -> None:
        raise InputCheckError("not about that", check_trigger=CheckTrigger.OFF_TOPIC)

    def check(run_output: Any) -> None:
        raise OutputCheckError("not said", check_trigger=CheckTrigger.OUTPUT_NOT_ALLOWED)

    turn = await sent(Agent(model=chat, pre_hooks=[guard]), "hello")
    assert (turn.state, turn.said) == ("REJECTED", "not about that")
    assert model.requests == []
    turn = await sent(Agent(model=chat, post_hooks=[check]), "hello")
    assert (turn.state, turn.said) == ("FAILED", "not said")


async def test_cancel_drops_the_call_to_the_model(model: ModelServer, chat: OpenAILike) -> None:
    desk = Desk(adapt(Agent(model=chat)))
    async with asyncio.timeout(30):
        task = await desk.begin("hang on")
        await model.stuck.wait()
        canceled = await desk.cancel(task)
        await model.drop.wait()
    assert canceled.status.state.name == "CANCELED"
    assert model.dropped == 1


async def test_a_run_that_agno_cancels_is_not_completed(chat: OpenAILike) -> None:
    def stop(run_context: RunContext) -> str:
        """Stop."""
        Agent.cancel_run(run_context.run_id)
        return "stopped"

    turn = await sent(Agent(model=chat, tools=[stop]), "call stop {}")
    assert (turn.state, turn.said) == ("FAILED", "The run was canceled before it was complete.")


async def test_many_runs_of_one_agent_do_not_mix(chat: OpenAILike) -> None:
    desk = Desk(adapt(Agent(model=chat)))
    turns = await asyncio.gather(*(desk.send(f"run {number}") for number in range(100)))
    assert [turn.text for turn in turns] == [f"You said run {number}" for number in range(100)]


async def test_arguments_of_a_run_may_depend_on_the_task(model: ModelServer, chat: OpenAILike) -> None:
    def arguments(task: Task) -> dict[str, Any]:
        return {"dependencies": {"who": task.caller.id}, "session_id": "another's"}

    agent = Agent(model=chat, instructions="You serve {who}.")
    assert (await sent(agent, "hello", arguments=arguments)).state == "COMPLETED"
    assert "You serve anonymous." in str(model.requests[0]["messages"][0]["content"])
